"""The harness is the judge: what is imported of the logs that it wrote is what it reports itself."""

import json
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from lm_eval_runs import DECIDED_BY, MODELS, NUM_DOCUMENTS, TASKS, run_lm_eval, write_tasks
from needs import needs_harness
from spoiled import check, read_all

from gembench.data.outcomes import Outcome
from gembench.data.sources import lm_eval
from gembench.data.sources.source import Choice, ModelLog

pytestmark = needs_harness


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("tasks") / "tasks")


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "chat"])
def run(request, tasks, tmp_path_factory) -> tuple[Path, dict[str, dict]]:
    """A folder of logs of three models, and the tool's results by model."""
    folder = tmp_path_factory.mktemp("logs")
    results = {model: run_lm_eval(tasks, folder, model, apply_chat_template=request.param) for model in MODELS}
    return folder, results


def read(folder: Path, choice: Choice | None = None) -> dict[str, ModelLog]:
    return {log.identity["model"]: log for log in read_all(lm_eval, folder, choice=choice)}


def scores(log: ModelLog, task: str) -> list[float]:
    return [float(score) for score, of_task in zip(log.score, log.tasks, strict=True) if of_task == task]


@pytest.mark.parametrize(
    ("choice", "place"),
    [
        (Choice(), 0),
        (Choice(metric="acc_norm", filter_name="last"), 1),
        (Choice(metric="acc", filter_name="strict"), 0),
    ],
)
def test_the_mean_of_every_model_and_task_is_the_figure_that_the_tool_reports(run, choice, place):
    folder, results = run
    logs = read(folder, choice)
    assert set(logs) == set(MODELS)
    for model, log in logs.items():
        for task in TASKS:
            figure = results[model]["results"][task][DECIDED_BY[task][place]]
            assert 0 < figure < 1, "a test with one outcome tells nothing"
            assert fmean(scores(log, task)) == pytest.approx(figure, abs=1e-9)
            assert log.reported[task] == pytest.approx(figure, abs=1e-9)
            assert log.settings["metrics"][task] == DECIDED_BY[task][place]
    figures = {tuple(log.reported.values()) for log in logs.values()}
    assert len(figures) == len(MODELS), "models of the same figures tell nothing"


def test_each_answer_has_the_score_that_the_tool_logged_for_its_document(run):
    folder, results = run
    for model, log in read(folder).items():
        for task, decided_by in DECIDED_BY.items():
            metric, filter_name = decided_by[0].split(",")
            samples = [each for each in results[model]["samples"][task] if each["filter"] == filter_name]
            assert scores(log, task) == [each[metric] for each in samples]
            hashes = [
                (doc, target)
                for doc, target, of_task in zip(
                    log.query_columns["doc_hash"], log.query_columns["target_hash"], log.tasks, strict=True
                )
                if of_task == task
            ]
            assert hashes == [(each["doc_hash"], each["target_hash"]) for each in samples]


def test_all_models_meet_the_same_queries_with_a_chat_template_and_without(tasks, tmp_path):
    for has_template in (False, True):
        run_lm_eval(tasks, tmp_path, "org/one", apply_chat_template=has_template)
    with_and_without = read_all(lm_eval, tmp_path)
    assert len({log.identity["chat_template"] for log in with_and_without}) == 2
    assert len({json.dumps(log.settings["task_hashes"]) for log in with_and_without}) == 2, "the prompts differ"
    first, second = (log.queries for log in with_and_without)
    assert list(first) == list(second)
    assert len(first) == 2 * NUM_DOCUMENTS


def test_queries_are_called_as_in_gembench_s_own_recordings(run, tasks):
    from gembench.evaluate.harness import load_suite

    suite = load_suite("choices,sums", include_path=[tasks])
    for log in read(run[0]).values():
        assert set(log.queries) == {query.id for query in suite.queries}


def test_every_row_is_counted_and_those_of_the_other_filter_are_said_to_be_left_out(run):
    for log in read(run[0]).values():
        assert log.num_rows == NUM_DOCUMENTS + 2 * NUM_DOCUMENTS
        assert [(remark.num_rows, "other filters" in remark.message) for remark in log.remarks] == [
            (NUM_DOCUMENTS, True)
        ]


def test_the_model_is_the_one_that_the_results_name_and_not_the_folder(run):
    log = read(run[0])["org/three"]
    assert (log.identity["folder"], log.identity["model_args"]) == ("org__three", "pretrained=org/three")
    assert log.settings["lm_eval_version"]
    assert log.settings["n-shot"]["sums"] == 0
    assert log.date[:2] == "20"


def test_two_revisions_that_share_folder_and_name_are_told_apart(tasks, tmp_path):
    for revision in ("a1", "b2"):
        arguments = {"pretrained": "org/one", "revision": revision, "batch_size": 4}
        run_lm_eval(tasks, tmp_path, f"org/one@{revision}", model_args=arguments)
    logs = read_all(lm_eval, tmp_path)
    assert {log.identity["folder"] for log in logs} == {"org__one"}
    assert {(log.identity["model"], log.identity["revision"]) for log in logs} == {("org/one", "a1"), ("org/one", "b2")}
    assert logs[0].identity["model_args"] == "pretrained=org/one,revision=a1", "how the machine was used is no matter"
    assert logs[0].date < logs[1].date


def test_answers_of_predict_only_are_not_graded(tasks, tmp_path):
    run_lm_eval(tasks, tmp_path, "org/one", predict_only=True)
    (log,) = read_all(lm_eval, tmp_path)
    assert (log.outcome == Outcome.UNGRADED).all()
    assert np.isnan(log.score).all()
    assert not log.reported
    assert any("--predict_only" in remark.message for remark in log.remarks)


def test_a_limit_leaves_the_first_queries_as_they_are_called_in_the_whole(tasks, tmp_path):
    results = run_lm_eval(tasks, tmp_path / "some", "org/one", limit=5)
    run_lm_eval(tasks, tmp_path / "all", "org/one")
    (some,), (whole,) = read_all(lm_eval, tmp_path / "some"), read_all(lm_eval, tmp_path / "all")
    assert len(some.queries) == 10
    assert set(some.queries) <= set(whole.queries)
    assert some.settings["limit"] == 5
    assert fmean(scores(some, "choices")) == pytest.approx(results["results"]["choices"]["acc,none"], abs=1e-9)


def test_documents_that_the_tool_numbers_wrong_are_joined_by_what_they_are(tasks, tmp_path):
    asked = [9, 2, 14]
    results = run_lm_eval(tasks, tmp_path / "some", "org/one", samples={"choices": asked, "sums": asked})
    run_lm_eval(tasks, tmp_path / "all", "org/one")
    (some,), (whole,) = read_all(lm_eval, tmp_path / "some"), read_all(lm_eval, tmp_path / "all")
    numbers = [each["doc_id"] for each in results["samples"]["choices"]]
    assert numbers == asked, "the tool has mended its numbers: this test can go"
    of_document = {query: position for position, query in enumerate(whole.queries[:NUM_DOCUMENTS])}
    assert [of_document[query] for query in some.queries[:3]] == sorted(asked)


def test_a_model_that_the_arguments_do_not_name_has_the_name_that_the_tool_drew(tasks, tmp_path):
    run_lm_eval(tasks, tmp_path, "dummy", model_args="", bootstrap_iters=0)
    (log,) = read_all(lm_eval, tmp_path)
    assert log.identity["model"] == next(tmp_path.iterdir()).name
    assert any("name no model" in remark.message for remark in log.remarks)


def _as_before_0_4_3(folder: Path, old: Path) -> None:
    """The same run in the layout of 0.4.0 to 0.4.2: no filters, no hashes, an array, targets of their own type."""
    old.mkdir()
    (results,) = folder.rglob("results_*.json")
    content = json.loads(results.read_text())
    kept = {key: content[key] for key in ("results", "configs", "versions", "n-shot", "config")}
    (old / "results.json").write_text(json.dumps(kept, indent=2))
    for path in folder.rglob("samples_*.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            for name in ("filter", "metrics", "doc_hash", "prompt_hash", "target_hash"):
                del row[name]
            row["target"] = int(row["target"])
        task = path.name.split("_")[1]
        (old / f"pretrained__org__one_{task}.jsonl").write_text(json.dumps(rows, indent=2, ensure_ascii=False))


def _without_filters(folder: Path, old: Path) -> None:
    """As 0.4.3 wrote it."""
    old.mkdir()
    for path in folder.rglob("*_*.json*"):
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.suffix == ".jsonl" else []
        for row in rows:
            del row["filter"]
        text = "".join(json.dumps(row) + "\n" for row in rows) or path.read_text()
        (old / path.name).write_text(text)


@pytest.mark.parametrize("make_old", [_as_before_0_4_3, _without_filters])
@pytest.mark.parametrize("choice", [Choice(), Choice(filter_name="last", metric="acc_norm")])
def test_an_old_log_says_what_a_new_one_says(tasks, tmp_path, make_old, choice):
    run_lm_eval(tasks, tmp_path / "new", "org/one")
    make_old(tmp_path / "new", tmp_path / "old")
    (new,), (old,) = (read_all(lm_eval, tmp_path / age, choice=choice) for age in ("new", "old"))
    check(old)
    assert old.identity["model"] == "org/one"
    assert list(old.queries) == list(new.queries)
    assert old.score.tolist() == new.score.tolist()
    assert (old.reported, old.num_rows, old.settings["metrics"]) == (
        new.reported,
        new.num_rows,
        new.settings["metrics"],
    )
    assert old.query_columns == new.query_columns
