"""A policy's file is named as FILE.py[:CLASS[:KEY=VALUE,...]], and is read without being run."""

import hashlib

import pytest

from gembench.errors import UsageError
from gembench.leaderboard.policy_file import is_policy_file, read_policy_file


@pytest.mark.parametrize(
    ("named", "policy_class", "settings"),
    [
        ("", None, ""),
        (":Mine", "Mine", ""),
        (":Mine:a=1,b=x:y", "Mine", "a=1,b=x:y"),
        ("::a=1", None, "a=1"),
    ],
)
def test_class_and_settings_are_read(tmp_path, named, policy_class, settings):
    path = tmp_path / "mine.py"
    path.write_bytes(b"raise SystemExit  # \xc3\xa4\r\n")
    file = read_policy_file(f"{path}{named}")
    assert (file.path, file.policy_class, file.settings) == (str(path), policy_class, settings)
    # The very bytes, for the digest is of the file.
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("specification", "is_file"),
    [("a.py", True), ("b/c.py:D", True), ("ucb", False), ("ucb:exploration=1", False), ("a.pyx", False)],
)
def test_a_file_is_told_from_a_policy_of_the_catalog(specification, is_file):
    assert is_policy_file(specification) == is_file


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff\xfe", "is no text in UTF-8"), (b"#" * 2**17, "is larger than 65,536 bytes"), (None, "cannot be read")],
)  # fmt: skip
def test_what_is_no_file_of_a_policy_is_refused(tmp_path, content, message):
    path = tmp_path / "mine.py"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_policy_file(str(path))
