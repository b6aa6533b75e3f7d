"""Logs that Inspect itself has made: every figure that it reports is found again."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from needs import needs_inspect
from spoiled import read_all

from gembench.data.outcomes import Outcome
from gembench.data.sources import inspect_ai
from gembench.data.sources.source import Choice

pytestmark = needs_inspect
SCRIPT = Path(__file__).with_name("inspect_runs.py")
SCORES = {"letters": "letters/letters", "keyed/format": "keyed/format", "style": "keyed/style"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of the runs, and what Inspect reports of them."""
    folder = tmp_path_factory.mktemp("inspect")
    process = subprocess.run([sys.executable, SCRIPT, folder], cwd=folder, capture_output=True, text=True, check=True)
    crashed = subprocess.run([sys.executable, SCRIPT, folder, "crash"], cwd=folder, capture_output=True, check=False)
    assert crashed.returncode == 9
    return folder, json.loads(process.stdout)


def one(folder, metric=None):
    (log,) = read_all(inspect_ai, folder, choice=Choice(metric=metric))
    return log


@pytest.mark.parametrize("metric", SCORES)
@pytest.mark.parametrize("run", ["plain", "as_json", "epochs", "at_least", "other_arguments", "limited", "warmer"])
def test_the_mean_of_what_is_imported_is_what_inspect_reports(made, run, metric):
    folder, reported = made
    log = one(folder / run, metric)
    by_reducer = {name.rpartition("/")[2]: figures for name, figures in reported[run].items() if SCORES[metric] in name}
    (figure,) = by_reducer.get("None", by_reducer.get("mean")).values()
    assert log.reported[log.tasks[0]] == figure
    assert np.nanmean(log.score) == pytest.approx(figure, abs=1e-9)


def test_failures_and_samples_that_are_not_scored_are_no_wrong_answers(made):
    log = one(made[0] / "epochs")
    assert log.outcome.tolist() == [Outcome.ANSWERED] * 6 + [Outcome.UNGRADED, Outcome.ANSWERED, Outcome.FAILED, 1]
    # C I P N CI CPI x Cx fail C, over six epochs.
    assert log.score.tolist()[:6] == [1, 0, 0.5, 0, 0.5, 0.5]
    assert log.repeats.tolist() == [6, 6, 6, 6, 6, 6, 6, 3, 6, 6]
    assert log.num_rows == 60


def test_a_limit_truncates(made):
    log = one(made[0] / "limited")
    assert set(log.outcome[[0, 1, 2, 3]].tolist()) == {Outcome.TRUNCATED}


def test_a_converted_log_says_the_same(made):
    for run in ("plain", "epochs"):
        zipped = one(made[0] / run)
        (converted,) = read_all(inspect_ai, made[0] / "converted" / f"{run}.json")
        assert (zipped.queries, zipped.query_columns) == (converted.queries, converted.query_columns)
        assert (zipped.identity, zipped.date, zipped.reported) == (
            converted.identity,
            converted.date,
            converted.reported,
        )
        np.testing.assert_array_equal(zipped.score, converted.score)
        np.testing.assert_array_equal(zipped.outcome, converted.outcome)
        np.testing.assert_array_equal(zipped.repeats, converted.repeats)


def test_a_crashed_run_has_what_it_had_answered(made):
    log = one(made[0] / "crashed")
    assert log.score.tolist() == [1, 0, 0.5]
    assert log.reported == {}
    assert "did not finish" in log.remarks[0].message


def test_runs_that_sample_otherwise_are_told_apart_and_tasks_with_other_arguments_ask_something_else(made):
    plain, warmer, other = (one(made[0] / run) for run in ("plain", "warmer", "other_arguments"))
    assert plain.identity["sampling"] == ""
    assert warmer.identity["sampling"] == '{"temperature":0.5}'
    assert plain.identity == other.identity
    assert not set(plain.queries) & set(other.queries)
