"""Files that are no policies, before anything runs them."""

import os

import pytest

from gembench.errors import UsageError
from gembench.leaderboard.policy_file import LARGEST_FILE, read_policy_file


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "policy.py")
    with pytest.raises(UsageError, match=r"policy\.py: is no file"):
        read_policy_file(str(tmp_path / "policy.py"))


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "policy.py").mkdir()
    with pytest.raises(UsageError, match=r"policy\.py: is no file"):
        read_policy_file(str(tmp_path / "policy.py"))


def test_a_name_that_no_file_can_have_is_refused():
    with pytest.raises(UsageError, match="cannot be read: embedded null byte"):
        read_policy_file("a\0b.py")


# The last is too large by one letter, of which only a half is read.
@pytest.mark.parametrize("content", [b"#" * (LARGEST_FILE + 1), b"#" * LARGEST_FILE + "\u00e4".encode()])
def test_a_file_that_is_too_large_is_refused_for_its_size(tmp_path, content):
    (tmp_path / "policy.py").write_bytes(content)
    with pytest.raises(UsageError, match="is larger than 65,536 bytes"):
        read_policy_file(str(tmp_path / "policy.py"))


@pytest.mark.parametrize("content", [b"\xff\xfex\x00", b"\x80abc", b"\xed\xa0\x80"])
def test_a_file_that_is_no_text_is_refused(tmp_path, content):
    (tmp_path / "policy.py").write_bytes(content)
    with pytest.raises(UsageError, match="is no text in UTF-8"):
        read_policy_file(str(tmp_path / "policy.py"))


@pytest.mark.parametrize("name", ["x y", "1", "a.b", "\x1b[31m", "../a"])
def test_what_is_no_name_of_a_class_is_refused(name):
    with pytest.raises(UsageError, match="is no name of a class"):
        read_policy_file(f"policy.py:{name}")
