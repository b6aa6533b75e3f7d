"""Files of logs are found wherever they lie, and read within bounds."""

import gzip
import json
import math

import fsspec
import pytest

from gembench.data.sources.files import find_files, parse_json, plain_settings, read_bytes
from gembench.data.sources.texts import clean_text, text_hash
from gembench.errors import SourceError


def is_log(path):
    return path.endswith(".log")


def found(*places):
    return find_files([str(place) for place in places], is_log, "logs")


@pytest.fixture
def folder(tmp_path):
    for name in ("b/2.log", "a/1.log", "a/x.txt", "a/[odd] |name.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_files_of_folders_come_sorted_and_once(folder):
    names = [f"{folder}/{name}" for name in ("a/1.log", "a/[odd] |name.log", "b/2.log")]
    assert [path for path, _ in found(folder)] == names
    assert [path for path, _ in found(folder / "b", folder, folder / "a")] == [names[2], *names[:2]]
    assert dict(found(folder))[names[0]] == len("a/1.log")


def test_globs_find_files_and_what_lies_in_folders(folder):
    assert len(found(f"{folder}/*/1.log")) == 1
    assert len(found(f"{folder}/[ab]")) == 3


def test_a_name_is_itself_before_it_is_a_glob(folder):
    assert len(found(folder / "a" / "[odd] |name.log")) == 1


def test_a_file_named_outright_is_taken_at_its_word_unless_others_are_what_is_looked_for(folder):
    odd = folder / "a" / "x.txt"
    assert [path for path, _ in found(odd)] == [str(odd)]
    assert str(odd) not in dict(found(odd, folder / "b"))


def test_links_to_folders_above_have_an_end(folder):
    (folder / "a" / "above").symlink_to(folder)
    (folder / "a" / "linked.log").symlink_to(folder / "b" / "2.log")
    assert len(found(folder)) == 4


def test_urls_are_listed_and_read(folder):
    system = fsspec.filesystem("memory")
    system.pipe("/logs/a/1.log", b"one")
    system.pipe("/logs/b/2.log", b"two")
    try:
        assert found("memory://logs") == [("memory:///logs/a/1.log", 3), ("memory:///logs/b/2.log", 3)]
        assert [read_bytes(path) for path, _ in found("memory://logs/*/1.log")] == [b"one"]
        assert found("memory://logs/b/2.log") == [("memory://logs/b/2.log", 3)]
    finally:
        system.rm("/logs", recursive=True)


def test_what_is_not_there_is_said(folder):
    with pytest.raises(SourceError, match=r"none: nothing lies there"):
        found(folder / "none")
    with pytest.raises(SourceError, match=r"no logs lies there"):
        find_files([str(folder / "b")], lambda path: False, "logs")
    with pytest.raises(SourceError, match=r"nowhere://x: cannot be listed: .*nowhere"):
        found("nowhere://x")


def test_packed_files_are_unpacked_as_far_as_they_may_be(tmp_path):
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b"0" * 1000))
    assert read_bytes(str(tmp_path / "a.json.gz")) == b"0" * 1000
    assert len(read_bytes(str(tmp_path / "a.json.gz"), max_bytes=1000)) == 1000
    with pytest.raises(SourceError, match=r"a.json.gz: unpacks to more than 999 bytes"):
        read_bytes(str(tmp_path / "a.json.gz"), max_bytes=999)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"0" * 1000)[:-9])
    with pytest.raises(SourceError, match=r"cut.gz: cannot be read"):
        read_bytes(str(tmp_path / "cut.gz"))
    with pytest.raises(SourceError, match=r"none.json: cannot be read"):
        read_bytes(str(tmp_path / "none.json"))


def test_json_may_hold_what_python_writes_into_it():
    assert parse_json(b'{"a": [1, 2.5, "x"]}', "f") == {"a": [1, 2.5, "x"]}
    assert math.isnan(parse_json(b"[NaN]", "f")[0])
    assert parse_json(b"[Infinity, -Infinity]", "f") == [math.inf, -math.inf]
    assert parse_json("\ufeff[1]".encode(), "f") == [1]
    assert parse_json(rb'["\ud800"]', "f") == ["\ud800"]


@pytest.mark.parametrize(
    ("data", "line"),
    [(b"", 1), (b"[1,\n2", 2), (b'[NaN,\n1,\n"a" "b"]', 3), (b'["\xff"]', 1), (b"[" * 100_000, 1), (b"9" * 9000, 1)],
)
def test_what_is_no_json_is_refused_by_line(data, line):
    with pytest.raises(SourceError, match=f"^some file, line {line}: "):
        parse_json(data, "some file")


def test_texts_that_cannot_be_stored_are_cleaned_and_hashed_all_the_same():
    assert clean_text("a\ud800b") == "a?b"
    assert clean_text("ä|é") == "ä|é"
    assert text_hash("\ud800") != text_hash("?")
    assert text_hash("a", "bc") != text_hash("ab", "c")
    assert text_hash("a", "") != text_hash("a")


def test_settings_are_texts_and_finite_numbers():
    stated = {"a": "x\ud800", "b": 2, "c": 0.5, "d": math.nan, "e": math.inf, "f": [1], "g": None, "h": 10**400, "i": 1}
    settings = plain_settings(stated, ["a", "b", "c", "d", "e", "f", "g", "missing"])
    assert settings == {"a": "x?", "b": 2, "c": 0.5}
    json.dumps(plain_settings(stated, ["h"]))
