"""Every Eval Ever: which result is the score, which record is of which query, and whom a run is of."""

import gzip
import json
import re

import numpy as np
import pytest
from eee_records import UUID, aggregate, result, sample, write_run
from hypothesis import strategies as st
from spoiled import read_all, spoiled_bytes, spoiled_json, survives, with_some, with_very_many

from gembench.data.outcomes import Outcome
from gembench.data.sources import every_eval_ever
from gembench.data.sources.source import Choice
from gembench.errors import SourceError

A = Outcome.ANSWERED


def read_one(place, **choice):
    (log,) = read_all(every_eval_ever, place, choice=Choice(**choice))
    return log


def test_samples_become_rows_and_their_accuracy_is_the_reported_one(tmp_path):
    details = {"revision": "abc", "num_parameters": "135000000", "license": "mit", "model_args": "pretrained=org/m"}
    record = aggregate(result(score=2 / 3), details=details)
    log = read_one(write_run(tmp_path / "run", [sample("0", 1.0), sample("1", 0.0), sample("2", 1)], record))
    assert list(log.queries) == ["arc/0", "arc/1", "arc/2"]
    assert set(log.tasks) == {"arc"}
    assert log.score.tolist() == [1, 0, 1]
    assert log.outcome.tolist() == [A, A, A]
    assert log.reported == {"arc": pytest.approx(log.score.mean(), abs=1e-12)}
    assert log.identity == {"model": "org/m", "revision": "abc", "model_args": "pretrained=org/m", "folder": "run"}
    assert log.model_columns == {"revision": "abc", "num_parameters": 135_000_000, "license": "mit"}
    assert log.date == "2025-10-09T08:53:20+00:00"
    assert log.settings == {"library_name": "lm_eval", "library_version": "0.4.13", "schema_version": "0.3.0"}
    assert (log.correct, log.seconds, log.repeats, list(log.remarks)) == (None, None, None, [])


def test_what_is_right_is_the_score_and_not_each_converter_s_idea_of_it(tmp_path):
    rows = [sample("0", 0.1, evaluation={"score": 0.1, "is_correct": True})]
    log = read_one(write_run(tmp_path, rows, aggregate(result())))
    assert log.correct is None
    assert log.score.tolist() == [0.1]


def test_a_record_with_an_error_is_a_failure_and_one_without_a_number_ungraded(tmp_path):
    rows = [sample("0", 0.0, error="timeout"), sample("1", 0.0, error=None), sample("2", float("nan"))]
    log = read_one(write_run(tmp_path, rows, aggregate(result())))
    assert log.outcome.tolist() == [Outcome.FAILED, A, Outcome.UNGRADED]
    np.testing.assert_array_equal(log.score, [np.nan, 0, np.nan])


def test_one_metric_is_the_score_the_first_that_is_reported_or_the_chosen_one(tmp_path):
    rows = [
        sample(number, score, result=metric)
        for number in "01"
        for metric, score in (("acc", float(number)), ("acc_norm", 0.5))
    ]
    write_run(tmp_path, rows, aggregate(result(metric="acc_norm", score=0.5), result(metric="acc", score=0.5)))
    log = read_one(tmp_path)
    assert log.score.tolist() == [0.5, 0.5]
    assert log.num_rows == 4
    (remark,) = log.remarks
    assert (remark.message, remark.num_rows) == ("the score of 'arc' is acc_norm; left out: acc", 2)
    assert read_one(tmp_path, metric="acc").score.tolist() == [0, 1]
    with pytest.raises(SourceError, match="no metric 'f1'; there are acc_norm, acc"):
        read_one(tmp_path, metric="f1")


def test_the_harness_s_filters_are_no_tasks_and_one_is_chosen(tmp_path):
    rows = []
    for filter_name, score in (("strict-match", 0.0), ("flexible-extract", 1.0)):
        name, result_id = f"gsm8k/{filter_name}", f"exact_match:{filter_name}"
        rows += [
            sample(number, score, task=name, result=result_id, metadata={"filter": filter_name}) for number in "01"
        ]
    results = [
        result(f"gsm8k/{name}", f"exact_match:{name}", score=score)
        for name, score in (("flexible-extract", 1.0), ("strict-match", 0.0))
    ]
    write_run(tmp_path, rows, aggregate(*results))
    log = read_one(tmp_path)
    assert (set(log.tasks), log.score.tolist()) == ({"gsm8k"}, [1, 1])
    assert list(log.queries) == ["gsm8k/0", "gsm8k/1"]
    assert log.reported == {"gsm8k": 1.0}
    strict = read_one(tmp_path, filter_name="strict-match", metric="exact_match")
    assert (strict.score.tolist(), strict.reported) == ([0, 0], {"gsm8k": 0.0})
    assert list(strict.queries) == list(log.queries)
    with pytest.raises(SourceError, match="no filter 'none'; there are flexible-extract, strict-match"):
        read_one(tmp_path, filter_name="none")


def test_a_metric_of_which_a_low_value_is_good_is_no_score(tmp_path):
    rows = [sample("0", 0.9, result="brier"), sample("0", 1.0, result="acc")]
    results = [result(metric="brier", lower_is_better=True), result(metric="acc", score=1.0)]
    write_run(tmp_path, rows, aggregate(*results))
    assert read_one(tmp_path).score.tolist() == [1.0]
    with pytest.raises(SourceError, match="a low brier is good"):
        read_one(tmp_path, metric="brier")


def test_scores_beyond_one_are_scaled_by_the_metric_s_bounds_and_refused_without(tmp_path):
    rows = [sample("0", 25), sample("1", 100)]
    write_run(tmp_path, rows, aggregate(result(score=62.5, min_score=0, max_score=100)))
    log = read_one(tmp_path)
    assert log.score.tolist() == [0.25, 1]
    assert log.reported == {"arc": 0.625}
    write_run(tmp_path, rows, aggregate(result(score=62.5)))
    with pytest.raises(SourceError, match="line 1 has the score 25, and the metric acc no bounds"):
        read_one(tmp_path)


def test_bounds_that_begin_above_nothing_are_shifted(tmp_path):
    rows = [sample("0", 1), sample("1", 2), sample("2", 5)]
    log = read_one(write_run(tmp_path, rows, aggregate(result(score=8 / 3, min_score=1, max_score=5))))
    assert log.score.tolist() == [0, 0.25, 1]
    assert log.reported == {"arc": pytest.approx(5 / 12)}


def test_samples_in_shares_under_an_aggregate_in_percent_stay_as_they_are(tmp_path):
    rows = [sample("0", 0), sample("1", 1)]
    write_run(tmp_path, rows, aggregate(result(score=50.0, min_score=0, max_score=100)))
    log = read_one(tmp_path)
    assert log.score.tolist() == [0, 1]
    assert log.reported == {"arc": 0.5}


def test_one_task_that_cannot_be_used_leaves_the_others(tmp_path):
    rows = [sample("0", 57, task="bleu", result="bleu"), sample("0", 1, task="arc")]
    write_run(tmp_path, rows, aggregate(result("bleu", "bleu"), result(score=1)))
    log = read_one(tmp_path)
    assert set(log.tasks) == {"arc"}
    (remark,) = log.remarks
    assert remark.message.startswith("the task 'bleu' is left out: line 1 has the score 57")
    log = read_one(tmp_path, metric="acc")
    assert log.remarks[0].message == "the task 'bleu' is left out: it has not the metric and filter that were chosen"


def test_epochs_are_one_query_with_the_mean_of_those_that_were_answered(tmp_path):
    rows = [
        sample("a", score, metadata={"epoch": str(epoch)}, error=error, performance={"generation_time_ms": ms})
        for epoch, (score, error, ms) in enumerate([(1, None, 100), (0, "limit", 5000), (0.5, None, 300)])
    ]
    log = read_one(write_run(tmp_path, [*rows, sample("b", 1)], aggregate(result())))
    assert list(log.queries) == ["arc/a", "arc/b"]
    assert log.score.tolist() == [0.75, 1]
    assert log.repeats.tolist() == [2, 1]
    assert log.seconds[0] == pytest.approx(1.8)
    assert np.isnan(log.seconds[1])
    assert log.remarks[0].message == "a query has several records: the mean is its score"


def test_the_harness_s_hashes_tell_queries_apart_and_equal_documents_by_their_order(tmp_path):
    documents = [("1", "d1", "t"), ("0", "d2", "t"), ("2", "d1", "t")]
    one, two = (
        [sample(number, 1, metadata={"doc_hash": doc, "target_hash": target}) for number, doc, target in rows]
        for rows in (documents, [("7", "d2", "t"), ("8", "d1", "t"), ("9", "d1", "t")])
    )
    first = read_one(write_run(tmp_path / "one", one, aggregate(result())))
    second = read_one(write_run(tmp_path / "two", two, aggregate(result())))
    assert list(first.queries) == ["arc/d1-t", "arc/d2-t", "arc/d1-t#2"]
    assert set(first.queries) == set(second.queries)
    assert first.query_columns == {"doc_hash": ["d1", "d2", "d1"], "target_hash": ["t", "t", "t"]}


def test_one_sample_id_for_two_prompts_is_two_queries(tmp_path):
    rows = [sample("0", 1, sample_hash="x" * 20), sample("0", 0, sample_hash="y" * 20), sample("1", 1)]
    log = read_one(write_run(tmp_path, rows, aggregate(result())))
    assert list(log.queries) == [f"arc/0#{'x' * 16}", f"arc/0#{'y' * 16}", "arc/1"]


def test_two_queries_that_would_be_called_the_same_are_refused(tmp_path):
    rows = [sample("c", 1, task="a/b"), sample("b/c", 1, task="a")]
    with pytest.raises(SourceError, match="the query 'a/b/c' is of two evaluations"):
        read_one(write_run(tmp_path, rows))


def test_samples_alone_are_a_run_too(tmp_path):
    rows = [sample("0", 1, evaluation_result_id=None), sample("0", 0, task="gsm", evaluation_result_id=None)]
    log = read_one(write_run(tmp_path, rows))
    assert log.identity["model"] == "org/m"
    assert (list(log.queries), list(log.tasks)) == (["arc/0", "gsm/0"], ["arc", "gsm"])
    assert log.reported == {}


def test_results_are_joined_by_id_even_where_evaluations_are_named_otherwise(tmp_path):
    rows = [sample("0", 0, task="arc", result="b"), sample("0", 1, task="arc", result="a")]
    results = [result("arc_easy - a", "a", score=1), result("arc_easy - b", "b", score=0)]
    log = read_one(write_run(tmp_path, rows, aggregate(*results)))
    assert (log.score.tolist(), log.reported) == ([1], {"arc": 1})


def test_records_of_version_0_2_without_result_ids_are_read(tmp_path):
    rows = [sample(number, 1.0) for number in "01"]
    for row in rows:
        del row["evaluation_result_id"]
        row["schema_version"] = "0.2.1"
        row["metadata"] = None
    log = read_one(write_run(tmp_path, rows, aggregate(result(score=1.0))))
    assert (log.score.tolist(), log.reported) == ([1, 1], {"arc": 1.0})


def test_aggregates_without_samples_are_passed_over_and_alone_they_are_no_answers(tmp_path):
    (tmp_path / "leaderboard.json").write_text(json.dumps(aggregate(result())))
    with pytest.raises(SourceError, match=r"1 aggregate records and no \*_samples.jsonl"):
        every_eval_ever.find_logs([str(tmp_path)])
    write_run(tmp_path / "data" / "arc", [sample("0", 1)], aggregate(result()))
    (log,) = every_eval_ever.find_logs([str(tmp_path)])
    assert [file.rsplit("/", 1)[-1] for file in log.files] == [f"{UUID}_samples.jsonl", f"{UUID}.json"]
    assert log.num_bytes > 0


def test_packed_samples_are_read(tmp_path):
    write_run(tmp_path, [], aggregate(result()))
    (tmp_path / f"{UUID}_samples.jsonl").unlink()
    (tmp_path / f"{UUID}_samples.jsonl.gz").write_bytes(gzip.compress(json.dumps(sample("0", 1)).encode()))
    assert read_one(tmp_path).score.tolist() == [1]


GOOD = json.dumps(sample("0", 1)) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it holds no record"),
        (GOOD + GOOD[:-20], "line 2: it is cut short, or not JSON"),
        (GOOD + "[]", "line 2: no JSON object"),
        (GOOD + "{}", "line 2: no text 'model_id'"),
        (GOOD.replace("evaluation_name", "name"), "line 1: no text 'evaluation_name'"),
        (GOOD.replace("sample_id", "name"), "line 1: no text 'sample_id'"),
        (GOOD.replace('"score": 1', '"score": "1"'), "line 1: no number 'evaluation.score'"),
        (GOOD.replace('"score": 1', '"score": true'), "line 1: no number 'evaluation.score'"),
        (GOOD.replace('"score": 1', '"score": 0, "score": 1'), "line 1: a key stands twice"),
        (GOOD.replace('"score": 1', '"score": 1e999'), "line 1 has the score inf"),
        (GOOD + GOOD.replace("org/m", "org/n"), "line 2: it is of the model 'org/n', the file of 'org/m'"),
        ("[" * 100_000, "line 1: it is cut short"),
    ],
)
def test_a_samples_file_that_is_none_is_refused_by_line(tmp_path, text, message):
    write_run(tmp_path, [], aggregate(result()))
    (tmp_path / f"{UUID}_samples.jsonl").write_text(text)
    with pytest.raises(SourceError, match=re.escape(message)) as caught:
        read_one(tmp_path)
    assert UUID in str(caught.value)


@pytest.mark.parametrize(
    ("record", "message"),
    [([], "no object 'model_info'"), ({"model_info": {}}, "no list 'evaluation_results'"), ("x", "model_info")],
)
def test_an_aggregate_that_is_none_is_refused(tmp_path, record, message):
    write_run(tmp_path, [sample("0", 1)], record)
    with pytest.raises(SourceError, match=message) as caught:
        read_one(tmp_path)
    assert f"{UUID}.json" in str(caught.value)


def test_what_cannot_be_chosen_is_refused(tmp_path):
    write_run(tmp_path, [sample("0", 1)], aggregate(result()))
    with pytest.raises(SourceError, match="no columns to choose"):
        read_one(tmp_path, columns={"model": "m"})


ROWS = [
    sample("0", 1, metadata={"doc_hash": "a", "target_hash": "b", "filter": "none", "subject": "s"}),
    sample("1", 0.5, error="x", performance={"latency_ms": 5}),
    sample("1", 0, task="gsm", result="em"),
]
RECORD = aggregate(
    result(min_score=0, max_score=100),
    result("gsm", "em", score=0.0),
    details={"revision": "r", "downloads": "7"},
    evaluation_timestamp="2025-01-01T00:00:00Z",
)
OWN = {**RECORD, "eval_library": {"name": "gembench", "version": "1", "additional_details": {"tasks": "none"}}}
SPOILED = {
    "record": spoiled_json(RECORD) | spoiled_json(OWN),
    "samples": spoiled_json(ROWS).map(lambda text: text.strip(b"[]").replace(b"}, {", b"}\n{"))
    | spoiled_bytes("\n".join(map(json.dumps, ROWS)).encode()),
    "choice": st.sampled_from([Choice(), Choice(metric="acc"), Choice(filter_name="none")]),
}


def read_spoiled(folder, record, samples, choice):
    (folder / f"{UUID}.json").write_bytes(record)
    (folder / f"{UUID}_samples.jsonl").write_bytes(samples)
    survives(every_eval_ever, folder, choice)


@with_some(**SPOILED)
def test_whatever_is_wrong_in_a_run_is_one_clear_line(tmp_path, record, samples, choice):
    read_spoiled(tmp_path, record, samples, choice)


@with_very_many(**SPOILED)
def test_whatever_is_wrong_in_a_run_is_one_clear_line_often(tmp_path, record, samples, choice):
    read_spoiled(tmp_path, record, samples, choice)
