import dataclasses
import json

import numpy as np
import pytest
from reports import make_row, make_test_report

from gembench.measures import measure
from gembench.result import Replay, make_report, summarize_runs, to_json
from gembench.runs import Runs

REPLAY = Replay(
    tensor="tree",
    tensor_digest="sha256:0",
    min_coverage=0.5,
    num_models=4,
    num_queries=10,
    policy="ucb_e:exploration=2.0",
    sampling="shared",
    queries_per_model=2.5,
    budget=10,
    runs=2,
    seed=7,
    cost_source="recorded",
)


def summarize_by_hand(recommended, replay=REPLAY):
    num_runs = len(recommended)
    runs = Runs(
        recommended=np.asarray(recommended, dtype=np.int32),
        pulls=np.arange(8, 8 + num_runs),
        model_loads=np.arange(4, 4 + num_runs),
        cost_seconds=np.arange(num_runs) + 0.5,
        best_pulls=np.full(num_runs, 2),
        best_correct=np.full(num_runs, 1),
        distinct_queries=np.full(num_runs, 2.0),
    )
    measures = measure(runs, np.array([0.8, 0.6, 0.4, 0.2]), (1, 2))
    return summarize_runs(dataclasses.replace(replay, runs=num_runs), runs, measures, wall_seconds=0.25)


def test_a_row_holds_the_means_over_runs():
    row = summarize_by_hand([[0, 2], [2, 1]])
    assert row.mean_rank == 2
    assert row.mean_accuracy == pytest.approx(0.6)
    assert row.simple_regret == pytest.approx(0.2)
    assert row.recall == {1: 0.5, 2: 0.5}
    assert (row.pulls_mean, row.pulls_max, row.model_loads_mean, row.cost_seconds_mean) == (8.5, 9, 4.5, 1.0)


def test_finding_the_best_in_one_of_two_runs_has_the_exact_binomial_interval():
    # Clopper and Pearson: the low end p gives one find or more in two runs 2.5% of the time, 1 - (1 - p)^2 = 0.025.
    low = 1 - np.sqrt(0.975)
    assert summarize_by_hand([[0, 2], [2, 1]]).recall_ci[1] == pytest.approx((low, 1 - low))


def test_the_json_row_has_the_fields_that_are_promised():
    promised = {"tensor", "tensor_digest", "policy", "sampling", "queries_per_model", "budget", "runs", "seed"}
    promised |= {"mean_rank", "mean_rank_ci", "mean_accuracy", "simple_regret", "recall", "recall_ci"}
    promised |= {"pulls_mean", "pulls_max", "model_loads_mean", "cost_seconds_mean", "wall_seconds"}
    report = json.loads(to_json(make_test_report()))
    assert set(report) == {"version", "rows", "comparisons"}
    for row in report["rows"]:
        assert promised <= set(row)
        assert set(row["recall"]) == set(row["recall_ci"]) == {"1", "3"}


def test_every_mean_of_a_json_row_lies_in_its_interval():
    (row, *_) = json.loads(to_json(make_test_report()))["rows"]
    means = {name.removesuffix("_ci") for name in row if name.endswith("_ci")} - {"recall"}
    assert means == {
        "mean_rank",
        "mean_accuracy",
        "simple_regret",
        "pulls_mean",
        "distinct_queries_mean",
        "model_loads_mean",
        "cost_seconds_mean",
    }
    for mean in means:
        low, high = row[f"{mean}_ci"]
        assert low <= row[mean] <= high
    for k, (low, high) in row["recall_ci"].items():
        assert low <= row["recall"][k] <= high


def test_a_single_run_has_null_for_every_interval():
    report = make_report([summarize_by_hand([[0, 2]])], ())
    (row,) = json.loads(to_json(report))["rows"]
    intervals = [value for name, value in row.items() if name.endswith("_ci") and name != "recall_ci"]
    assert [*intervals, *row["recall_ci"].values()] == [None] * 9


def test_the_json_says_which_differences_are_certain():
    (comparison,) = json.loads(to_json(make_test_report(queries_per_model=(10,))))["comparisons"]
    assert comparison["policies"] == ["ucb", "uniform"]
    (pair,) = comparison["differences"]
    low, high = pair["difference_ci"]
    assert low <= pair["difference"] <= high
    assert pair["certain"] == (low > 0)


def test_a_number_that_json_cannot_hold_is_refused():
    row = dataclasses.replace(make_row()[0], cost_seconds_mean=float("nan"))
    with pytest.raises(ValueError, match="JSON"):
        to_json(make_report([row], ()))


def test_a_row_counts_distinct_queries_as_runs_do_with_their_interval():
    row = summarize_by_hand([[0, 2], [2, 1], [0, 1]])
    assert (row.distinct_queries_mean, row.distinct_queries_mean_ci) == (2, (2, 2))


def test_a_row_says_what_was_known_beforehand_and_that_nothing_was_where_nobody_says_so():
    told = dataclasses.replace(REPLAY, history_tensors=("others.zarr",), history=("sha256:1",), prior="downloads")
    rows = [summarize_by_hand([[0, 2]], replay) for replay in (REPLAY, told)]
    rows = json.loads(to_json(make_report(rows, ())))["rows"]
    known = [{name: row[name] for name in ("history_tensors", "history", "prior")} for row in rows]
    assert known == [
        {"history_tensors": [], "history": [], "prior": None},
        {"history_tensors": ["others.zarr"], "history": ["sha256:1"], "prior": "downloads"},
    ]
