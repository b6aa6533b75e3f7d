"""Inspect's logs: what its scores are worth, what becomes of failures and epochs, and archives not to be trusted.

Logs are made by hand here, and by Inspect itself in `test_inspect_ai_made.py`.
"""

import copy
import io
import json
import math
import textwrap

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spoiled import read_all, spoiled_bytes, spoiled_json, survives

from gembench.data.outcomes import Outcome
from gembench.data.sources import inspect_ai, inspect_archive
from gembench.data.sources.inspect_archive import zipfile
from gembench.data.sources.source import Choice
from gembench.errors import SourceError

A, T, U, F = Outcome.ANSWERED, Outcome.TRUNCATED, Outcome.UNGRADED, Outcome.FAILED


def sample(number, value="C", epoch=1, **others):
    scores = {"match": {"value": value}} if value is not None else {}
    return {
        "id": number,
        "epoch": epoch,
        "input": f"question {number}",
        "target": "x",
        "scores": scores,
        "total_time": 2.0,
        "working_time": 0.5,
        "completed": True,
        **others,
    }


def header(reported=None, status="success", **spec):
    results = {"scores": [{"name": "match", "scorer": "match", "metrics": {"accuracy": {"value": reported}}}]}
    return {
        "version": 2,
        "status": status,
        "eval": {
            "eval_id": "e1",
            "run_id": "r1",
            "created": "2001-02-03T04:05:06+00:00",
            "task": "suite/task",
            "model": "mockllm/org/model",
            "dataset": {"samples": 3},
            **spec,
        },
        "results": results,
    }


def write_eval(folder, head, samples, name="log.eval", compression=zipfile.ZIP_ZSTANDARD):
    return write_members(folder, {"header.json": head, "summaries.json": samples}, name, compression)


def write_members(folder, members, name="log.eval", compression=zipfile.ZIP_ZSTANDARD):
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w", compression) as archive:
        for member, content in members.items():
            archive.writestr(member, content if isinstance(content, str | bytes) else json.dumps(content))
    return folder


def write_json(folder, head, samples, name="log.json"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps({**head, "samples": samples}))
    return folder


def read_one(folder, samples, metric=None, head=None):
    (log,) = read_all(inspect_ai, write_eval(folder, head or header(), samples), choice=Choice(metric=metric))
    return log


@pytest.mark.parametrize("write", [write_eval, write_json])
def test_letters_words_and_numbers_are_worth_what_inspect_s_accuracy_says(tmp_path, write):
    values = {"C": 1, "P": 0.5, "I": 0, "N": 0, "yes": 1, "No": 0, "TRUE": 1, "false": 0, "0.25": 0.25, "1": 1}
    values |= {True: 1, False: 0, 0.75: 0.75}
    samples = [sample(number, value) for number, value in enumerate(values)]
    (log,) = read_all(inspect_ai, write(tmp_path, header(reported=sum(values.values()) / len(values)), samples))
    assert log.score.tolist() == list(values.values())
    assert log.score.mean() == pytest.approx(log.reported["suite/task"], abs=1e-9)
    assert set(log.outcome.tolist()) == {A}
    assert log.seconds.tolist() == [0.5] * len(values)
    assert log.date == "2001-02-03T04:05:06+00:00"
    assert log.settings["eval_id"] == "e1"


def test_what_is_not_scored_is_ungraded(tmp_path):
    log = read_one(tmp_path, [sample(1), sample(2, math.nan), sample(3, None), sample(4, "maybe"), sample(5, "")])
    assert log.outcome.tolist() == [A, U, U, U, U]
    assert np.isnan(log.score[1:]).all()
    assert [(remark.num_rows, "have no score" in remark.message) for remark in log.remarks] == [(4, True)]


def test_an_error_failed_and_a_limit_truncated_whatever_score_they_have(tmp_path):
    samples = [
        *(sample(1), sample(2, "I", error="RuntimeError('')"), sample(3, None, error="")),
        *(sample(4, "I", limit="token"), sample(5, None, limit="time")),
    ]
    log = read_one(tmp_path, samples, head=header(reported=1 / 3))
    assert log.outcome.tolist() == [A, F, F, T, U]
    assert log.score[[0, 3]].tolist() == [1, 0]
    # Inspect's figure counts the answer that failed, which is not here.
    assert log.reported == {}
    full = [sample(2, "I", error={"message": "boom"}), sample(4, "C", limit={"type": "token", "limit": 5})]
    (log,) = read_all(inspect_ai, write_json(tmp_path / "full", header(), full))
    assert log.outcome.tolist() == [F, T]


def test_epochs_are_averaged_and_counted(tmp_path):
    samples = [
        *(sample(1, "C", 1), sample(1, "I", 2), sample(1, "P", 3)),
        *(sample(2, "C", 1), sample(2, None, 2, error="boom"), sample(2, "C", 3)),
        *(sample(3, math.nan, 1), sample(3, math.nan, 2), sample(3, "I", 3)),
        *(sample(4, None, epoch, error="boom") for epoch in (1, 2, 3)),
    ]
    log = read_one(tmp_path, samples, head=header(reported=(0.5 + 1 + 0) / 3))
    assert log.score[:3].tolist() == [0.5, 1.0, 0.0]
    assert log.repeats.tolist() == [3, 2, 1, 3]
    assert log.outcome.tolist() == [A, A, A, F]
    assert log.num_rows == 12
    assert np.nanmean(log.score) == pytest.approx(log.reported["suite/task"], abs=1e-9)


def test_a_limit_in_one_epoch_does_not_make_the_others_wrong(tmp_path):
    samples = [sample(1, "C", 1), sample(1, "I", 2, limit="token"), sample(2, "I", 1, limit="token")]
    log = read_one(tmp_path, samples, head=header(reported=0.25))
    assert log.score.tolist() == [1.0, 0.0]
    assert log.outcome.tolist() == [A, T]
    assert log.reported == {}


def test_figures_of_other_reducers_are_not_compared(tmp_path):
    head = header(reported=1.0)
    (score,) = head["results"]["scores"]
    head["results"]["scores"] = [{**score, "reducer": "at_least_1"}]
    assert read_one(tmp_path / "a", [sample(1)], head=head).reported == {}
    head["results"]["scores"] += [{**score, "reducer": "mean"}]
    assert read_one(tmp_path / "b", [sample(1)], head=head).reported == {"suite/task": 1.0}


def test_the_score_is_the_headline_else_the_first_reported_else_the_first_there_is_or_the_one_chosen(tmp_path):
    scores = {"first": {"value": "I"}, "keyed": {"value": {"a": 0.25, "b": "C"}}, "last": {"value": "P"}}
    samples = [sample(1, scores=scores)]

    def score_of(name, metric=None, results=None):
        log = read_one(tmp_path / name, samples, metric, {**header(), "results": results})
        return log.score.item(), log.settings["score"]

    assert score_of("nothing") == (0, "first")
    reported = {"scores": [{"name": "a", "scorer": "keyed"}, {"name": "last", "scorer": "last"}]}
    assert score_of("reported", results=reported) == (0.25, "keyed/a")
    headline = {"headline": {"scorer": "last", "score": "last", "metric": "accuracy"}, **reported}
    assert score_of("headline", results=headline) == (0.5, "last")
    assert score_of("chosen", "keyed/b", headline) == (1, "keyed/b")
    assert score_of("key alone", "b", headline) == (1, "keyed/b")
    with pytest.raises(SourceError, match="no score 'f1'; choose one of first, keyed/a, keyed/b, last"):
        score_of("missing", "f1")


def test_values_that_are_no_score_are_refused_by_sample(tmp_path):
    for number, value in enumerate((7, -1, [1, 0], math.inf)):
        with pytest.raises(SourceError, match=r"the sample '1' has the match .* no score in \[0, 1\]; choose another"):
            read_one(tmp_path / str(number), [sample(1, value)])


def test_the_arguments_of_a_model_are_its_identity_and_those_of_a_task_what_is_asked(tmp_path):
    specs = {
        "plain": {},
        "quantized": {"model_args": {"load_in_4bit": True, "api_key": "hidden", "device": None}},
        "warm": {"model_generate_config": {"temperature": 0.5, "max_connections": 9}},
        "fewshot": {"task_args": {"shots": 5, "hint": "no"}, "task_args_passed": {"shots": 5}},
        "longer": {"task_args": {"prompt": "x" * 1000}},
    }
    logs = {name: read_one(tmp_path / name, [sample(1)], head=header(**spec)) for name, spec in specs.items()}
    identities = {name: log.identity for name, log in logs.items()}
    assert identities["plain"] == {"model": "mockllm/org/model", "name": "org/model", "model_args": "", "sampling": ""}
    assert identities["quantized"]["model_args"] == '{"load_in_4bit":true}'
    assert identities["warm"]["sampling"] == '{"temperature":0.5}'
    assert identities["fewshot"] == identities["plain"]
    assert logs["fewshot"].tasks == ["suite/task(shots=5)"]
    assert len(logs["longer"].tasks[0]) < 120
    assert len({log.queries[0] for log in logs.values()}) == 3


def test_one_id_for_two_questions_is_two_queries(tmp_path):
    one = read_one(tmp_path / "a", [sample(1)])
    other = read_one(tmp_path / "b", [sample(1, input="another question")])
    assert one.queries != other.queries


def test_a_run_that_crashed_is_read_from_its_journal_and_said(tmp_path):
    members = {"_journal/start.json": {"version": 2, "eval": header()["eval"], "plan": {}}}
    members |= {f"_journal/summaries/{n}.json": [sample(n, "I")] for n in (10, 1, 2)}
    members |= {"_journal/summaries/11.json": [sample(2, "P")], "samples/1_epoch_1.json": {}}
    (log,) = read_all(inspect_ai, write_members(tmp_path, members))
    # In the order of numbers, not of names: the eleventh is of the second sample, asked again.
    assert log.score.tolist() == [0, 0.5, 0]
    assert log.reported == {}
    assert log.remarks[0].message == "the run did not finish: its status is 'started'"
    assert log.remarks[0].num_rows == 3


def test_a_sample_that_was_logged_twice_counts_as_it_was_last(tmp_path):
    log = read_one(tmp_path, [sample(1, None, error="boom"), sample(2, "I"), sample(1, "C")])
    assert log.score.tolist() == [1, 0]
    assert log.num_rows == 2


def test_a_sample_that_a_person_struck_out_is_ungraded(tmp_path):
    struck = {"invalidation": {"author": "somebody", "reason": "a leak"}}
    head = {**header(reported=1.0), "invalidated": True}
    members = {"header.json": head, "summaries.json": [sample(1), sample(2)], "samples/1_epoch_1.json": sample(1)}
    (log,) = read_all(inspect_ai, write_members(tmp_path / "a", {**members, "samples/2_epoch_1.json": struck}))
    assert log.outcome.tolist() == [A, U]
    assert log.reported == {}
    (log,) = read_all(inspect_ai, write_json(tmp_path / "b", head, [sample(1), sample(2, **struck)]))
    assert log.outcome.tolist() == [A, U]


def test_the_start_of_an_input_is_the_same_in_summaries_and_in_full(tmp_path):
    def messages(length):
        picture = {"type": "text", "text": "(Image)"} if length == 5120 else {"type": "image", "image": "data:..."}
        parts = [{"type": "text", "text": ("long " * 3000)[:length]}, picture]
        return [{"role": "system", "content": "be brief"}, {"role": "user", "content": parts}]

    def short(kind):
        parts = [{"type": "text", "text": "a"}, {"type": "image", **kind}, {"type": "text", "text": "b"}]
        return [{"role": "user", "content": parts}]

    text = "a  b\n" * 3000
    thin = [
        sample(1, input=text[:5120] + "...\n(content truncated)"),
        sample(2, input=messages(5120)),
        sample(3, input=short({"type": "text", "text": "(Image)"})),
        # As versions up to 0.3.100 cut them.
        sample(4, input=textwrap.shorten(text, width=1024, placeholder="...")),
    ]
    full = [
        sample(1, input=text),
        sample(2, input=messages(15000)),
        sample(3, input=short({"image": "data:..."})),
        sample(4, input=text),
    ]
    write_eval(tmp_path, header(), thin)
    write_json(tmp_path, header(), full)
    one, other = read_all(inspect_ai, tmp_path)
    assert one.queries == other.queries
    assert one.query_columns == other.query_columns
    assert one.identity == other.identity
    assert one.date == other.date
    (message,) = short({"image": "data:..."})
    message["content"][2]["text"] = "another end"
    (third,) = read_all(inspect_ai, write_json(tmp_path / "third", header(), [sample(3, input=[message])]))
    assert third.queries[0] != one.queries[2]


def test_old_logs_have_one_score_without_a_name(tmp_path):
    old = {**sample(1, None), "score": {"value": "C"}}
    del old["scores"]
    (log,) = read_all(inspect_ai, write_json(tmp_path, {**header(), "version": 1, "results": None}, [old]))
    assert log.score.tolist() == [1]


def test_a_run_without_samples_is_named(tmp_path):
    (log,) = read_all(inspect_ai, write_json(tmp_path, header(status="error"), None))
    assert len(log.queries) == 0
    assert "its status is 'error'" in log.remarks[0].message


def test_what_lies_beside_logs_is_none(tmp_path):
    write_eval(tmp_path / "a", header(), [sample(1)])
    for name in ("logs.json", "eval-set.json", ".buffer/x/y.json", "notes.txt"):
        (tmp_path / "a" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / name).write_text("{}")
    assert len(read_all(inspect_ai, tmp_path)) == 1
    with pytest.raises(SourceError, match=r"no \.eval or \.json log of Inspect lies there"):
        inspect_ai.find_logs([str(tmp_path / "a" / ".buffer")])


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
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def read_spoiled(folder, log, metric):
    name, data = log
    (folder / name).write_bytes(data)
    survives(inspect_ai, folder, Choice(metric=metric))
    (folder / name).unlink()


def test_the_whole_logs_that_are_spoiled_can_be_read(tmp_path):
    (tmp_path / "log.eval").write_bytes(WHOLE)
    assert survives(inspect_ai, tmp_path)
    assert survives(inspect_ai, write_json(tmp_path / "b", copy.deepcopy(HEAD), SAMPLES))


@settings(max_examples=200, derandomize=True, deadline=None, database=None, suppress_health_check=QUIET)
@given(**SPOILED)
def test_whatever_is_wrong_in_a_file_is_one_clear_line(tmp_path, log, metric):
    read_spoiled(tmp_path, log, metric)


@pytest.mark.slow
@settings(max_examples=100_000, deadline=None, database=None, suppress_health_check=QUIET)
@given(**SPOILED)
def test_whatever_is_wrong_in_a_file_is_one_clear_line_often(tmp_path, log, metric):
    read_spoiled(tmp_path, log, metric)
