"""Inspect's logs: what its scores are worth, and what becomes of failures, epochs and runs.

Logs are made by hand here, and by Inspect itself in `test_inspect_ai_made.py`; `test_inspect_archive.py` spoils them.
"""

import math
import textwrap

import numpy as np
import pytest
from inspect_logs import header, sample, write_eval, write_json, write_members
from spoiled import read_all

from gembench.data.outcomes import Outcome
from gembench.data.sources import inspect_ai
from gembench.data.sources.source import Choice
from gembench.errors import SourceError

A, T, U, F = Outcome.ANSWERED, Outcome.TRUNCATED, Outcome.UNGRADED, Outcome.FAILED


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
    write_json(tmp_path / ".hidden" / "a", header(), [sample(1)])
    assert len(read_all(inspect_ai, tmp_path / ".hidden")) == 1
    write_eval(tmp_path / "a", header(), [sample(1)])
    for name in ("logs.json", "eval-set.json", ".buffer/x/y.json", "notes.txt"):
        (tmp_path / "a" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / name).write_text("{}")
    assert len(read_all(inspect_ai, tmp_path / "a")) == 1
    with pytest.raises(SourceError, match=r"no \.eval or \.json log of Inspect lies there"):
        inspect_ai.find_logs([str(tmp_path / "a" / ".buffer")])
