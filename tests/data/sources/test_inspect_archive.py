"""Inspect's files: archives that are not to be trusted, cut short, or no logs at all."""

import copy
import io
import json

import pytest
from hypothesis import strategies as st
from inspect_logs import header, sample, write_eval, write_json, write_members
from spoiled import read_all, spoiled_bytes, spoiled_json, survives, with_some, with_very_many

from gembench.data.sources import inspect_ai, inspect_archive
from gembench.data.sources.inspect_archive import zipfile
from gembench.data.sources.source import Choice
from gembench.errors import SourceError


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_ZSTANDARD])
def test_members_may_be_packed_by_any_codec(tmp_path, compression):
    (log,) = read_all(inspect_ai, write_eval(tmp_path, header(), [sample(1)], compression=compression))
    assert log.score.tolist() == [1]


def test_members_that_lead_out_of_the_archive_are_refused(tmp_path):
    for number, name in enumerate(("../evil.json", "samples/../../evil.json", "/etc/evil.json", "a\\..\\evil.json")):
        members = {"header.json": header(), "summaries.json": [sample(1)], name: "{}"}
        with pytest.raises(SourceError, match="leads out of the archive"):
            read_all(inspect_ai, write_members(tmp_path / str(number), members))


def test_a_member_that_unpacks_to_too_much_is_refused_before_it_is_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(inspect_archive, "MAX_MEMBER", 1 << 20)
    bomb = b"[" + b" " * (64 << 20) + b"]"
    write_members(tmp_path, {"header.json": header(), "summaries.json": bomb})
    assert (tmp_path / "log.eval").stat().st_size < 20_000
    with pytest.raises(SourceError, match=r"summaries.json: unpacks to 67,108,866 bytes, more than is read"):
        read_all(inspect_ai, tmp_path)


def test_a_member_that_says_it_is_small_and_is_not_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(inspect_archive, "MAX_MEMBER", 1 << 20)
    write_members(tmp_path, {"header.json": header(), "summaries.json": b"[" + b" " * (64 << 20) + b"]"})
    data = (tmp_path / "log.eval").read_bytes()
    size = (64 << 20) + 2
    assert data.count(size.to_bytes(4, "little")) == 2
    (tmp_path / "log.eval").write_bytes(data.replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little")))
    with pytest.raises(SourceError, match=r"log\.eval"):
        read_all(inspect_ai, tmp_path)


def test_many_members_are_bounded_together(tmp_path, monkeypatch):
    monkeypatch.setattr(inspect_archive, "MAX_MEMBERS", 1 << 20)
    members = {"_journal/start.json": header()}
    members |= {f"_journal/summaries/{n}.json": "[" + " " * (1 << 19) + "]" for n in range(3)}
    with pytest.raises(SourceError, match=r"_journal/summaries/1.json: unpacks to .* more than is read"):
        read_all(inspect_ai, write_members(tmp_path, members))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"other.json": {}}, r"neither header.json nor _journal/start.json"),
        ({"header.json": [1]}, r"header.json: holds no object"),
        ({"header.json": "{"}, r"header.json, line 1"),
        ({"header.json": {}}, r"no 'eval' with 'samples'"),
        ({"header.json": {"eval": {"task": "a"}}}, r"does not say which model"),
        ({"header.json": {"eval": {"model": "a"}}}, r"does not say which task"),
        ({"header.json": header(), "summaries.json": {}}, r"summaries.json: holds no list"),
        ({"header.json": header(), "summaries.json": [1]}, r"sample 1 has no 'id'"),
    ],
)
def test_an_archive_that_is_no_log_is_refused_by_member(tmp_path, members, message):
    with pytest.raises(SourceError, match=message) as caught:
        read_all(inspect_ai, write_members(tmp_path, members))
    assert "log.eval" in str(caught.value)


def test_a_file_that_is_cut_short_is_refused_by_name(tmp_path):
    write_eval(tmp_path, header(), [sample(1)])
    whole = (tmp_path / "log.eval").read_bytes()
    (tmp_path / "log.eval").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"log.eval: cannot be read as a zip"):
        read_all(inspect_ai, tmp_path)
    (tmp_path / "log.eval").unlink()
    write_json(tmp_path, header(), [sample(1)])
    text = (tmp_path / "log.json").read_text()
    (tmp_path / "log.json").write_text(text[: len(text) // 2])
    with pytest.raises(SourceError, match=r"log.json, line 1"):
        read_all(inspect_ai, tmp_path)
    with pytest.raises(SourceError, match="no filters"):
        read_all(inspect_ai, tmp_path, choice=Choice(filter_name="strict"))


HEAD = header(reported=0.5, task_args={"a": 1}, model_args={"b": [2]}, model_generate_config={"temperature": 1})
SAMPLES = [
    sample(1),
    sample(1, "I", 2),
    sample(2, scores={"match": {"value": 1}, "keyed": {"value": {"a": 1.0, "b": "P"}}}),
    sample(5, input=[{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}]}]),
    sample(3, None, error="boom"),
    sample(4, "P", limit="token"),
]


def archive(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_ZSTANDARD) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return file.getvalue()


def packed(data):
    return archive({"header.json": json.dumps(HEAD), "summaries.json": data})


WHOLE = packed(json.dumps(SAMPLES))
SPOILED = {
    "log": st.one_of(
        spoiled_json({**HEAD, "samples": SAMPLES}).map(lambda data: ("log.json", data)),
        spoiled_json(HEAD).map(lambda data: ("log.eval", archive({"header.json": data, "summaries.json": "[]"}))),
        spoiled_json(SAMPLES).map(lambda data: ("log.eval", packed(data))),
        spoiled_bytes(WHOLE).map(lambda data: ("log.eval", data)),
    ),
    "metric": st.sampled_from((None, None, "match", "keyed/a", "b")),
}


def read_spoiled(folder, log, metric):
    name, data = log
    (folder / name).write_bytes(data)
    survives(inspect_ai, folder, Choice(metric=metric))
    (folder / name).unlink()


def test_the_whole_logs_that_are_spoiled_can_be_read(tmp_path):
    (tmp_path / "log.eval").write_bytes(WHOLE)
    assert survives(inspect_ai, tmp_path)
    assert survives(inspect_ai, write_json(tmp_path / "b", copy.deepcopy(HEAD), SAMPLES))


@with_some(**SPOILED)
def test_whatever_is_wrong_in_a_file_is_one_clear_line(tmp_path, log, metric):
    read_spoiled(tmp_path, log, metric)


@with_very_many(**SPOILED)
def test_whatever_is_wrong_in_a_file_is_one_clear_line_often(tmp_path, log, metric):
    read_spoiled(tmp_path, log, metric)
