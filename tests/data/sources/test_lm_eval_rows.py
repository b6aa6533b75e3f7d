"""Logs of lm-eval written by hand: which metric is the score, and what its values mean."""

import math

import pytest
from lm_eval_rows import configs, hashed, read_one, remarks, results, row, write_log

from gembench.data.outcomes import Outcome
from gembench.data.sources.source import Choice, ModelLog
from gembench.errors import SourceError

DOCUMENTS = ("one", "two", "three", "four")


def log_of(folder, values: list, figures: dict, metric: str = "acc", **others) -> ModelLog:
    rows = [row(document, value, metric=metric) for document, value in zip(DOCUMENTS, values, strict=False)]
    write_log(folder, {"quiz": rows}, results({"quiz": figures}, **others))
    return read_one(folder)


def test_numbers_and_booleans_and_either_as_text_are_scores(tmp_path):
    log = log_of(tmp_path, [True, 0, "1.0", "False"], {"acc,none": 0.5})
    assert log.score.tolist() == [1.0, 0.0, 1.0, 0.0]
    assert log.reported == {"quiz": 0.5}


def test_a_value_that_is_no_number_is_not_graded_and_never_wrong(tmp_path):
    log = log_of(tmp_path, [1.0, math.nan, None, "oops"], {"acc,none": 1.0})
    assert log.outcome.tolist() == [Outcome.ANSWERED] + [Outcome.UNGRADED] * 3
    assert [remark.num_rows for remark in log.remarks] == [3]


def test_a_row_without_the_metric_is_not_graded(tmp_path):
    without = {key: value for key, value in row("two").items() if key != "acc"}
    write_log(tmp_path, {"quiz": [row("one"), without, row("three", 0.0)]}, results({"quiz": {"acc,none": 0.5}}))
    assert read_one(tmp_path).outcome.tolist() == [Outcome.ANSWERED, Outcome.UNGRADED, Outcome.ANSWERED]


def test_a_list_counts_by_its_mean_and_the_tool_s_mean_over_all_entries_is_not_compared(tmp_path):
    values = [[True, False], [True], [False, False, True]]
    log = log_of(tmp_path, values, {"loose,none": 0.5}, metric="loose", **configs("quiz", loose="def agg(items): ..."))
    assert log.score.tolist() == pytest.approx([1 / 2, 1.0, 1 / 3])
    assert log.reported == {}


def test_the_first_metric_that_gives_each_answer_a_score_is_taken(tmp_path):
    values = {"perplexity": -3.5, "f1": [1, 0], "toxicity": 0.25, "acc": 1.0}
    write_log(
        tmp_path,
        {"quiz": [row("one", **values, other=0.5)]},
        results(
            {"quiz": {f"{metric},none": 0.5 for metric in ["perplexity", "perplexity_stderr", *values, "other"]}},
            higher_is_better={"quiz": {"toxicity": False, "acc": True}},
            **configs("quiz", perplexity="perplexity", f1="f1"),
        ),
    )
    log = read_one(tmp_path)
    assert log.settings["metrics"] == {"quiz": "acc,none"}
    assert "'perplexity' (it is of all documents at once)" in remarks(log)
    assert "'toxicity' (less of it is better)" in remarks(log)
    other = read_one(tmp_path, Choice(metric="other"))
    assert other.settings["metrics"] == {"quiz": "other,none"}
    assert other.score.tolist() == [0.5]


def test_a_metric_that_a_task_does_not_have_is_said_and_the_first_taken(tmp_path):
    tasks = {"quiz": [row("one")], "sums": [row("one", metric="exact_match")]}
    write_log(tmp_path, tasks, results({"quiz": {"acc,none": 1.0}, "sums": {"exact_match,none": 1.0}}))
    log = read_one(tmp_path, Choice(metric="exact_match", filter_name="strict"))
    assert log.settings["metrics"] == {"quiz": "acc,none", "sums": "exact_match,none"}
    assert "there is no metric 'exact_match'; 'acc' is taken" in remarks(log)
    assert "there is no filter 'strict'; 'none' is taken" in remarks(log)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"acc": 37.5}, "outside [0, 1], such as 37.5"),
        ({"acc": -3.5}, "outside [0, 1], such as -3.5"),
        ({"acc": [1, 0]}, "are lists"),
        ({}, "no row that can be used"),
    ],
)
def test_a_task_without_scores_is_left_out_and_the_others_stay(tmp_path, values, why):
    spoiled = [row("one", **values)] if values else []
    figures = {"quiz": {"acc,none": 1.0}, "spoiled": {"acc,none": 0.5}}
    write_log(tmp_path, {"quiz": [row("one")], "spoiled": spoiled}, results(figures))
    log = read_one(tmp_path)
    assert set(log.tasks) == {"quiz"}
    assert why in remarks(log)
    assert log.num_rows == 1 + len(spoiled)


def test_a_run_of_which_nothing_is_left_is_refused_with_file_and_reason(tmp_path):
    place = write_log(tmp_path, {"quiz": [row("one", 37.5)]}, results({"quiz": {"acc,none": 37.5}}))
    with pytest.raises(SourceError, match=rf"{place}/samples_quiz.*outside \[0, 1\].*--metric"):
        read_one(tmp_path)


def test_documents_of_the_same_text_are_told_apart_by_their_occurrence(tmp_path):
    rows = [row(document, value) for document, value in [("one", 1.0), ("two", 0.0), ("one", 0.0), ("one", 1.0)]]
    write_log(tmp_path, {"quiz": rows}, results({"quiz": {"acc,none": 0.5}}))
    log = read_one(tmp_path)
    one, two, target = (hashed(text)[:16] for text in ("one", "two", "yes"))
    assert list(log.queries) == [
        f"quiz:{one}:{target}",
        f"quiz:{two}:{target}",
        f"quiz:{one}:{target}:2",
        f"quiz:{one}:{target}:3",
    ]
    assert log.score.tolist() == [1.0, 0.0, 0.0, 1.0]


def test_rows_of_several_processes_are_of_the_filter_that_they_name(tmp_path):
    rows = [row(text, value, filter_name=name) for text, name, value in [
        ("one", "strict", 1.0), ("one", "last", 0.0), ("two", "strict", 0.0), ("two", "last", 1.0),
    ]]  # fmt: skip
    write_log(tmp_path, {"quiz": rows}, results({"quiz": {"acc,strict": 0.5, "acc,last": 0.5}}))
    assert read_one(tmp_path).score.tolist() == [1.0, 0.0]
    assert read_one(tmp_path, Choice(filter_name="last")).score.tolist() == [0.0, 1.0]


def test_the_first_filter_is_the_first_that_the_results_report(tmp_path):
    rows = [row("one", float(name == "strict"), filter_name=name) for name in ("last", "strict")]
    write_log(tmp_path, {"quiz": rows}, results({"quiz": {"acc,strict": 1.0, "acc,last": 0.0}}))
    assert read_one(tmp_path).score.tolist() == [1.0]
    write_log(tmp_path, {"quiz": rows[:1]}, None)
    with pytest.raises(SourceError, match="rows of other filters are left out"):
        read_one(tmp_path)


def test_old_rows_with_more_filters_than_the_results_tell_of_are_left_out(tmp_path):
    rows = [{key: value for key, value in row("one").items() if key != "filter"}] * 3
    write_log(tmp_path, {"quiz": rows}, results({"quiz": {"acc,strict": 1.0, "acc,last": 1.0}}))
    with pytest.raises(SourceError, match="a document has 3 rows, the results tell of 2 filters"):
        read_one(tmp_path)


def test_a_group_has_figures_but_no_rows_and_a_task_without_samples_is_named(tmp_path):
    figures = {name: {"acc,none": 1.0} for name in ("quiz", "all", "lost")}
    subtasks = {"all": ["quiz", "lost"], "quiz": []}
    write_log(tmp_path, {"quiz": [row("one")]}, results(figures, group_subtasks=subtasks))
    log = read_one(tmp_path)
    assert set(log.reported) == {"quiz"}
    assert [remark.message for remark in log.remarks] == ["it reports of tasks whose samples do not lie there: 'lost'"]


def test_documents_without_a_row_are_counted(tmp_path):
    counts = {"n-samples": {"quiz": {"original": 9, "effective": 4}}}
    log = log_of(tmp_path, [1.0, 0.0, 1.0], {"acc,none": 0.5}, **counts)
    assert [remark.num_rows for remark in log.remarks] == [1]
    assert log.reported == {"quiz": 0.5}, "so that the difference is told"


def test_what_the_results_say_of_the_model_is_kept(tmp_path):
    arguments = {"pretrained": "org/base", "peft": "org/adapter", "revision": "v2", "token": "secret"}
    config = {"model_args": arguments, "model_num_parameters": 7, "model_sha": "c0ffee"}
    log = log_of(tmp_path, [1.0], {"acc,none": 1.0}, model_name="org/adapter", config=config)
    assert (log.identity["model"], log.identity["revision"]) == ("org/adapter", "v2")
    assert log.model_columns == {"revision": "c0ffee", "num_parameters": 7, "parent": "org/base"}
    assert log.date == "2001-09-09T01:46:40.500000+00:00"
    assert "secret" not in repr(log)


def test_a_name_that_is_not_of_the_arguments_is_a_name_unless_it_looks_drawn(tmp_path):
    named = log_of(tmp_path / "named", [1.0], {"acc,none": 1.0}, model_name="a-server", config={})
    assert (named.identity["model"], remarks(named)) == ("a-server", "")
    drawn = log_of(tmp_path / "drawn", [1.0], {"acc,none": 1.0}, model_name="k3v9x0qa", config={"model": "dummy"})
    assert drawn.identity["model"] == "k3v9x0qa"
    assert "name no model" in remarks(drawn)


def test_a_branch_that_moves_is_no_revision(tmp_path):
    log = log_of(tmp_path, [1.0], {"acc,none": 1.0}, config={"model_args": "pretrained=a/b", "model_revision": "main"})
    assert log.identity["revision"] == ""
