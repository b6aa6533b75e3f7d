"""Logs written by hand: which metric is the score, what its values mean, and which runs lie where."""

import gzip
import json
import math
import shutil

import fsspec
import pytest
from lm_eval_rows import DATE, as_lines, configs, hashed, results, row, write_log
from spoiled import read_all

from gembench.data.outcomes import Outcome
from gembench.data.sources import lm_eval
from gembench.data.sources.source import Choice, ModelLog
from gembench.errors import SourceError

DOCUMENTS = ("one", "two", "three", "four")


def read_one(folder, choice: Choice | None = None) -> ModelLog:
    (log,) = read_all(lm_eval, folder, choice=choice)
    return log


def remarks(log: ModelLog) -> str:
    return " ".join(remark.message for remark in log.remarks)


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
            {"quiz": {f"{metric},none": 0.5 for metric in [*values, "other"]}},
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
    [({"acc": 37.5}, "outside [0, 1], such as 37.5"), ({"acc": [1, 0]}, "are lists"), ({}, "no row that can be used")],
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


def test_a_branch_that_moves_is_no_revision(tmp_path):
    log = log_of(tmp_path, [1.0], {"acc,none": 1.0}, config={"model_args": "pretrained=a/b", "model_revision": "main"})
    assert log.identity["revision"] == ""


def test_a_run_again_after_a_fix_is_a_log_of_its_own_with_its_own_date(tmp_path):
    for number, value in enumerate((0.0, 1.0)):
        content = results({"quiz": {"acc,none": value}}, date=float(number))
        write_log(tmp_path, {"quiz": [row("one", value)]}, content, date=f"2001-02-03T04-05-0{number}.5")
    first, second = read_all(lm_eval, tmp_path)
    assert (first.score.tolist(), second.score.tolist()) == ([0.0], [1.0])
    assert first.date < second.date
    assert first.identity == second.identity


def test_samples_without_results_are_of_the_model_that_their_folder_names(tmp_path):
    rows = [row("one", filter_name=name) for name in ("strict", "last")]
    write_log(tmp_path, {"a_quiz_of_2001": rows}, None)
    log = read_one(tmp_path)
    assert (log.identity["model"], log.date) == ("org__model", "2001-02-03T04:05:06.000007")
    assert (set(log.tasks), log.settings["metrics"]) == ({"a_quiz_of_2001"}, {"a_quiz_of_2001": "acc,strict"})
    assert "no results file" in remarks(log)


def test_results_without_samples_are_refused_with_the_option_that_writes_them(tmp_path):
    write_log(tmp_path, {}, results({"quiz": {"acc,none": 1.0}}))
    with pytest.raises(SourceError, match=rf"results_{DATE}.json: no samples_.*--log_samples"):
        read_one(tmp_path)


@pytest.mark.parametrize(
    "named", [f"results_{DATE}.json", f"samples_quiz_{DATE}.jsonl", "samples_q*", "results_*", "*.json*"]
)
def test_one_half_of_a_run_is_enough_to_name(tmp_path, named):
    place = write_log(tmp_path, {"quiz": [row("one")]}, results({"quiz": {"acc,none": 1.0}}), name="a [glob]")
    # In a glob, brackets are written as a set of one.
    folder = str(place).replace("[", "[[]") if "*" in named else str(place)
    (log,) = lm_eval.find_logs([f"{folder}/{named}"])
    assert [path.rsplit("/", 1)[-1] for path in log.files] == [f"results_{DATE}.json", f"samples_quiz_{DATE}.jsonl"]
    assert log.num_bytes == sum(path.stat().st_size for path in place.iterdir())


def test_only_the_task_that_is_named_is_read_and_nothing_twice(tmp_path):
    tasks = {"quiz": [row("one")], "sums": [row("one")]}
    place = write_log(tmp_path, tasks, results({task: {"acc,none": 1.0} for task in tasks}))
    name = str(place / f"samples_sums_{DATE}.jsonl")
    (log,) = lm_eval.find_logs([name, name])
    assert log.files == (str(place / f"results_{DATE}.json"), name)
    (log,) = lm_eval.find_logs([name, str(tmp_path), str(place)])
    assert len(log.files) == 3


def test_compressed_files_and_remote_ones_are_read(tmp_path):
    place = write_log(tmp_path, {"quiz": [row("one"), row("two", 0.0)]}, results({"quiz": {"acc,none": 0.5}}))
    system = fsspec.filesystem("memory")
    for path in place.iterdir():
        system.pipe(f"/logs/org__model/{path.name}.gz", gzip.compress(path.read_bytes()))
    log = read_one("memory://logs")
    assert (log.identity["model"], log.identity["folder"]) == ("org/model", "org__model")
    assert log.score.tolist() == [1.0, 0.0]
    assert [log.files[0] for log in lm_eval.find_logs(["memory://logs/org__model/samples_*"])] == [log.file]


def test_a_file_that_lies_there_twice_is_read_once(tmp_path):
    place = write_log(tmp_path, {"quiz": [row("one")]}, results({"quiz": {"acc,none": 1.0}}))
    for path in list(place.iterdir()):
        (place / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    log = read_one(tmp_path)
    assert len(log.queries) == 1
    assert "another file of this run has the same task" in remarks(log)


def test_results_and_samples_of_different_folders_are_joined_by_their_date(tmp_path):
    samples, content = {"quiz": [row("one")]}, results({"quiz": {"acc,none": 1.0}})
    write_log(tmp_path / "details", samples, None, name="org__model")
    write_log(tmp_path / "results", {}, content, name="org/model")
    assert read_one(tmp_path).identity["model"] == "org/model"


def test_a_results_file_may_have_a_name_that_a_person_chose(tmp_path):
    place = write_log(tmp_path, {"quiz": [row("one")]}, results({"quiz": {"acc,none": 1.0}}))
    (place / f"results_{DATE}.json").rename(place / f"my_run_{DATE}.json")
    assert read_one(tmp_path).identity["model"] == "org/model"
    assert read_one(place / f"my_run_{DATE}.json").identity["model"] == "org/model"


@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_samples_of_an_early_version_are_one_array_and_may_name_their_filters(tmp_path, ending):
    rows = [row("one", filter_name="strict"), row("one", 0.0, filter_name="last")]
    place = write_log(tmp_path, {}, results({"quiz": {"acc,strict": 1.0, "acc,last": 0.0}}))
    (place / f"samples_quiz_{DATE}.{ending}").write_text(json.dumps(rows, indent=2))
    assert read_one(tmp_path).score.tolist() == [1.0]
    assert read_one(tmp_path, Choice(filter_name="last")).score.tolist() == [0.0]


def test_of_an_old_folder_the_names_of_the_tasks_are_told_from_the_model_s(tmp_path):
    content = results({name: {"acc,none": 1.0} for name in ("quiz", "long_quiz")})
    (tmp_path / "mine.json").write_text(json.dumps(content))
    for task in ("quiz", "long_quiz"):
        (tmp_path / f"pretrained__a_{task}.jsonl").write_bytes(as_lines([row("one")]))
    assert set(read_one(tmp_path).tasks) == {"quiz", "long_quiz"}


@pytest.mark.parametrize("content", ["", "README", "other"])
def test_a_place_without_logs_is_refused(tmp_path, content):
    if content:
        (tmp_path / f"{content}.json").write_text("{}")
    with pytest.raises(SourceError, match=f"{tmp_path}: no results_.* lies there"):
        lm_eval.find_logs([str(tmp_path)])


def test_logs_come_in_the_same_order_from_whichever_place(tmp_path):
    for name in ("b", "a", "c"):
        write_log(tmp_path, {"quiz": [row("one")]}, results({"quiz": {"acc,none": 1.0}}), name=name)
    places = [str(tmp_path / name) for name in ("c", "a", "b")]
    assert lm_eval.find_logs(places) == lm_eval.find_logs([str(tmp_path)])
    shutil.rmtree(tmp_path / "a")
    assert len(lm_eval.find_logs([str(tmp_path)])) == 2
