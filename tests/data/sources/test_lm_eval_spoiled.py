"""Broken logs of lm-eval: what can be used is used, what cannot is named by file and line."""

import gzip
import re

import pytest
from hypothesis import strategies as st
from lm_eval_rows import DATE, as_lines, configs, results, row, write_log
from spoiled import read_all, spoiled_bytes, spoiled_json, survives, with_some, with_very_many

from gembench.data.sources import files, lm_eval, lm_eval_blocks
from gembench.data.sources.source import Choice
from gembench.errors import SourceError

FIGURES = {"quiz": {"acc,none": 0.5}}
WHOLE = [row("one"), row("two", 0.0), row("three")]


def write_samples(folder, data: bytes, name: str = f"samples_quiz_{DATE}.jsonl"):
    place = write_log(folder, {}, results(FIGURES))
    (place / name).write_bytes(data)
    return place / name


BROKEN_LINES = {
    "cut": (as_lines(WHOLE)[:-40].splitlines()[-1], "a row is cut short or not JSON"),
    "not UTF-8": (as_lines([row("ä")]).replace("ä".encode(), b"\xff\xfe"), "a row is not UTF-8"),
    "twice": (as_lines([row("four")])[:-2] + b', "acc": 0.0}', "a row has 'acc' twice"),
    "no object": (b"[1, 2]", "a row is no JSON object"),
    "no hash": (as_lines([{"acc": 1.0, "filter": "none"}]), "a row has no doc_hash"),
    "a hash of another type": (as_lines([row("four", doc_hash=17)]), "a row has no doc_hash"),
    "a hash that is none": (as_lines([row("four", target_hash="x:y" * 20)]), "a row has no target_hash"),
    "no filter": (
        as_lines([{key: value for key, value in row("four").items() if key != "filter"}]),
        "a row does not say which filter it is of, as others of its file do",
    ),
    "too deep": (b"[" * 100_000, "a row is cut short or not JSON"),
    "too long a number": (b'{"acc": ' + b"9" * 5000 + b"}", "a row is cut short or not JSON"),
}


@pytest.mark.parametrize("broken", BROKEN_LINES)
def test_a_broken_row_is_left_out_and_named_by_file_and_line(tmp_path, broken):
    line, message = BROKEN_LINES[broken]
    path = write_samples(tmp_path, as_lines(WHOLE) + b"\n" + line.strip(b"\n") + b"\n" + line.strip(b"\n"))
    (log,) = read_all(lm_eval, tmp_path)
    assert log.score.tolist() == [1.0, 0.0, 1.0]
    assert log.num_rows == 5
    (remark,) = log.remarks
    assert (remark.file, remark.line, remark.num_rows) == (str(path), 5, 2)
    assert remark.message == f"{message}; it is left out"


def test_lines_are_counted_over_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(lm_eval_blocks, "BLOCK_BYTES", 1000)
    rows = [row(f"document {number}", float(number % 3 == 0)) for number in range(400)]
    lines = as_lines(rows).splitlines(keepends=True)
    lines[314] = lines[314][:50] + b"\n"
    write_samples(tmp_path, b"".join(lines))
    (log,) = read_all(lm_eval, tmp_path)
    assert [remark.line for remark in log.remarks] == [315]
    assert log.score.tolist() == [float(number % 3 == 0) for number in range(400) if number != 314]


def test_nan_in_a_row_spoils_neither_its_score_nor_its_neighbours(tmp_path):
    rows = [*WHOLE, row("four", 0.0, resps=[[float("nan"), float("inf")]])]
    write_samples(tmp_path, as_lines(rows))
    (log,) = read_all(lm_eval, tmp_path)
    assert log.score.tolist() == [1.0, 0.0, 1.0, 0.0]
    assert not log.remarks


def test_a_row_of_ten_megabytes_is_read(tmp_path):
    write_samples(tmp_path, as_lines([row("one", resps=[["x" * 10_000_000]]), row("two", 0.0)]))
    (log,) = read_all(lm_eval, tmp_path)
    assert log.score.tolist() == [1.0, 0.0]


def test_a_row_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(lm_eval_blocks, "MAX_ROW_BYTES", 1 << 21)
    path = write_samples(tmp_path, as_lines(WHOLE) + b"x" * (1 << 22))
    with pytest.raises(SourceError, match=re.escape(f"{path}, line 4: the row is longer than 2,097,152 bytes")):
        read_all(lm_eval, tmp_path)


def test_an_archive_that_unpacks_to_far_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(lm_eval_blocks, "MAX_BYTES", 1 << 21)
    monkeypatch.setattr(files, "MAX_BYTES", 1 << 21)
    path = write_samples(tmp_path, gzip.compress(as_lines(WHOLE) * 5000), f"samples_quiz_{DATE}.jsonl.gz")
    with pytest.raises(SourceError, match=re.escape(f"{path}: unpacks to more than 2,097,152 bytes")):
        read_all(lm_eval, tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no row that can be used"),
        (b"\n \n", "no row that can be used"),
        (b"\xff\x00\x13", "line 1: a row is not UTF-8"),
        (b'[{"doc_id": 1},', "line 1: "),
        (b"[]", "no row that can be used"),
        (b"[1, 2]", "a row is no JSON object"),
    ],
)
def test_samples_that_are_none_are_refused_by_name_and_place(tmp_path, data, message):
    path = write_samples(tmp_path, data)
    with pytest.raises(SourceError, match=message) as caught:
        read_all(lm_eval, tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "line 1"),
        (b"{}", "'results' is missing"),
        (b'{"results": 3}', "'results' is missing"),
        (b'{"results": {},\n "results": {}}', "the key 'results' stands twice"),
        (b'{"results": {},\n "config": {"mod', "line 2"),
        (b'{"results": {}, "model_name": 7}', "nothing names its model"),
        (b"[" * 100_000, "line 1"),
        (b'{"results": {"\xff": 1}}', "line 1"),
    ],
)
def test_results_that_are_none_are_refused_by_name_and_place(tmp_path, data, message):
    place = write_log(tmp_path, {"quiz": WHOLE}, {})
    path = place / f"results_{DATE}.json"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=message) as caught:
        read_all(lm_eval, tmp_path)
    assert str(path) in str(caught.value)


CONTENT = results(
    {"quiz": {"acc,none": 0.5, "acc_stderr,none": 0.1, "acc,last": 0.5, "loose,none": 0.5}, "sums": {"acc,none": 1.0}},
    group_subtasks={"all": ["quiz", "sums"]},
    higher_is_better={"quiz": {"acc": True}},
    task_hashes={"quiz": "c0ffee"},
    **{"n-samples": {"quiz": {"original": 3, "effective": 3}}, "n-shot": {"quiz": 0}, "versions": {"quiz": 1.0}},
    **configs("quiz", acc="mean", loose="def agg(items): ..."),
)
ROWS = [
    row(document, value, filter_name=name, loose=[True, False])
    for name in ("none", "last")
    for document, value in (("one", True), ("two", "0.0"), ("one", 1))
]
CHOICES = st.builds(
    Choice, metric=st.sampled_from((None, "acc", "loose")), filter_name=st.sampled_from((None, "last", "?"))
)


@st.composite
def spoiled_samples(draw: st.DrawFn) -> bytes:
    """Rows of today or of old, in lines or an array, some of them spoiled, and then the bytes of all."""
    rows = ROWS
    if draw(st.booleans()):
        left_out = draw(st.sets(st.sampled_from(("filter", "metrics", "doc_hash", "target_hash", "doc_id"))))
        rows = [{key: value for key, value in each.items() if key not in left_out} for each in ROWS]
    if draw(st.integers(0, 3)) == 0:
        return draw(spoiled_json(rows))
    lines = as_lines(rows).splitlines(keepends=True)
    for number in draw(st.lists(st.integers(0, len(rows) - 1), max_size=3)):
        lines[number] = draw(spoiled_json(rows[number])) + b"\n"
    return draw(spoiled_bytes(b"".join(lines)))


@st.composite
def spoiled_packed(draw: st.DrawFn) -> tuple[str, bytes]:
    """Samples, perhaps compressed, with the end of their file's name."""
    data = draw(spoiled_samples())
    if draw(st.integers(0, 3)):
        return "", data
    return ".gz", draw(spoiled_bytes(gzip.compress(data, mtime=0)))


SPOILED = {"content": st.one_of(st.just(b""), spoiled_json(CONTENT)), "samples": spoiled_packed(), "choice": CHOICES}


def read_spoiled(folder, content, samples, choice):
    """A run of one task that is whole, and one that is not; without results where those are empty."""
    place = write_log(folder, {"sums": [row("four")]}, {})
    for path in place.glob("samples_quiz_*"):
        path.unlink()
    ending, data = samples
    (place / f"samples_quiz_{DATE}.jsonl{ending}").write_bytes(data)
    (place / f"results_{DATE}.json").write_bytes(content)
    if not content:
        (place / f"results_{DATE}.json").unlink()
    return survives(lm_eval, folder, choice)


@with_some(**SPOILED)
def test_whatever_is_wrong_in_a_log_is_one_clear_line(tmp_path, content, samples, choice):
    read_spoiled(tmp_path, content, samples, choice)


@with_very_many(**SPOILED)
def test_whatever_is_wrong_in_a_log_is_one_clear_line_often(tmp_path, content, samples, choice):
    read_spoiled(tmp_path, content, samples, choice)
