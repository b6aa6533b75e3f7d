import json

import numpy as np
import pytest
from boards import make_benchmark, make_scores
from hypothesis import given
from hypothesis import strategies as st

from gembench.errors import BenchmarkError
from gembench.leaderboard.standing import make_standing, pareto_front, to_json


def standing_of(benchmark, ranks, **costs):
    return make_standing(benchmark, [make_scores(benchmark, name, each, **costs) for name, each in ranks.items()])


def places(standing):
    return {entry.name: entry.place for entry in standing.entries}


def noisy(mean, num_runs, seed, spread=3):
    return mean + np.random.default_rng(seed).integers(-spread, spread + 1, (1, num_runs))


def test_policies_that_differ_in_every_run_have_places_of_their_own_best_first():
    standing = standing_of(make_benchmark(), {"reference": 4, "worse": 8, "better": 2})
    assert [(entry.place, entry.name, entry.rank.value) for entry in standing.entries] == [
        (1, "better", pytest.approx(0.5)),
        (2, "reference", 1.0),
        (3, "worse", pytest.approx(2.0)),
    ]


def test_policies_that_cannot_be_told_apart_share_a_place_and_the_next_counts_them_all():
    alike = {name: noisy(20, 50, seed) for seed, name in enumerate(("a", "b", "reference"))}
    standing = standing_of(make_benchmark(), {**alike, "far": 90, "first": 2})
    assert places(standing) == {"first": 1, "a": 2, "b": 2, "reference": 2, "far": 5}
    assert standing.entries[0].name == "first"
    numbers = [entry.rank.value for entry in standing.entries[1:4]]
    assert numbers == sorted(numbers)


def test_a_place_counts_who_is_better_for_certain_not_who_looks_it():
    tiled = {
        "reference": np.tile([1, 2], 25),
        "x": np.tile([10, 30], 25),
        "y": np.tile([29, 14], 25),
        "z": np.tile([13, 33], 25),  # x + 3 in every run, while y is level with both
    }
    standing = standing_of(make_benchmark(), tiled)
    assert places(standing) == {"reference": 1, "x": 2, "y": 2, "z": 3}


def test_policies_that_did_the_same_in_every_run_share_a_place():
    ranks = noisy(20, 50, 0)
    standing = standing_of(make_benchmark(), {"reference": ranks, "copy": ranks})
    assert places(standing) == {"reference": 1, "copy": 1}
    (pair,) = standing.pairs
    assert (pair.ratio, pair.interval, pair.is_certain) == (1.0, (1.0, 1.0), False)


def test_every_pair_names_the_better_first_and_by_how_much():
    standing = standing_of(make_benchmark(), {"reference": noisy(40, 50, 1), "b": 8, "c": noisy(40, 50, 2)})
    assert standing.pairs[0].better == "b"
    assert len(standing.pairs) == 3
    for pair in standing.pairs:
        assert pair.ratio >= 1
        assert pair.interval[0] <= pair.ratio <= pair.interval[1]
        assert pair.is_certain == (pair.interval[0] > 1) == (pair.better == "b")
    assert standing.pairs_of("c") == tuple(pair for pair in standing.pairs if "c" in (pair.better, pair.worse))


def test_an_easy_tensor_changes_no_place():
    hard = {
        name: noisy(mean, 50, seed) for seed, (name, mean) in enumerate({"reference": 20, "b": 22, "c": 40}.items())
    }
    alone = standing_of(make_benchmark(("oak",)), hard)
    together = standing_of(
        make_benchmark(("oak", "ash")), {name: np.concatenate([each, np.ones((1, 50))]) for name, each in hard.items()}
    )
    assert places(alone) == places(together)
    assert [pair.is_certain for pair in alone.pairs] == [pair.is_certain for pair in together.pairs]


def test_tables_by_tensor_and_by_budget_take_the_cells_of_each():
    benchmark = make_benchmark(("oak", "ash"), (10, 50))
    ratios = np.array([[2.0], [4.0], [8.0], [16.0]])  # oak at 10 and 50, ash at 10 and 50
    standing = standing_of(benchmark, {"reference": 10, "other": 10 * ratios})
    entry = standing.entries[1]
    assert entry.rank.value == pytest.approx((2 * 4 * 8 * 16) ** 0.25)
    assert {name: each.value for name, each in entry.rank_by_tensor.items()} == pytest.approx(
        {"oak": 8**0.5, "ash": 128**0.5}
    )
    assert {num: each.value for num, each in entry.rank_by_queries_per_model.items()} == pytest.approx(
        {10: 4.0, 50: 8.0}
    )
    assert [(each.cell.tensor, each.cell.queries_per_model, each.rank.value) for each in entry.cells] == [
        ("oak", 10, 20),
        ("oak", 50, 40),
        ("ash", 10, 80),
        ("ash", 50, 160),
    ]


def test_a_cell_is_summed_up_by_its_means_with_the_exact_interval_for_finding_the_best():
    benchmark = make_benchmark(runs=20)
    ranks = np.repeat([1, 3], [5, 15])
    standing = standing_of(benchmark, {"reference": ranks})
    (cell,) = standing.entries[0].cells
    assert cell.rank.value == 2.5
    assert (cell.recall[1].value, cell.recall[3].value) == (0.25, 1.0)
    assert cell.recall[1].interval == pytest.approx((0.0866, 0.4910), abs=1e-4)  # Clopper and Pearson, 5 of 20
    assert cell.accuracy.value == pytest.approx(0.5)
    assert (cell.pulls.value, cell.model_loads.value, cell.cost_seconds.value) == (100, 10, 50.0)


def test_both_costs_are_relative_to_the_reference():
    benchmark = make_benchmark(("oak", "ash"))
    standing = make_standing(
        benchmark,
        [
            make_scores(benchmark, "reference", 5, pulls=100, seconds=[[10.0], [1000.0]]),
            make_scores(benchmark, "other", 5, pulls=50, seconds=[[40.0], [9000.0]]),
        ],
    )
    other = {entry.name: entry for entry in standing.entries}["other"]
    assert other.pulls.value == pytest.approx(0.5)
    assert other.cost_seconds.value == pytest.approx(6)  # of ratios 4 and 9


def test_the_front_holds_whom_nobody_beats_in_quality_and_seconds_at_once():
    benchmark = make_benchmark()
    points = {"reference": (8, 10.0), "quick": (9, 5.0), "good": (2, 90.0), "beaten": (8, 11.0), "twin": (8, 10.0)}
    standing = make_standing(
        benchmark, [make_scores(benchmark, name, rank, seconds=cost) for name, (rank, cost) in points.items()]
    )
    assert {entry.name for entry in standing.entries if entry.is_on_front} == {"reference", "twin", "quick", "good"}


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30))
def test_a_point_is_on_the_front_unless_another_is_as_low_in_both_and_lower_in_one(points):
    def beats(other, point):
        return other[0] <= point[0] and other[1] <= point[1] and other != point

    expected = [not any(beats(other, point) for other in points) for point in points]
    assert pareto_front([point[0] for point in points], [point[1] for point in points]) == expected


def test_who_asks_nothing_costs_nothing_and_is_no_error():
    benchmark = make_benchmark()
    scores = [make_scores(benchmark, "reference", 5), make_scores(benchmark, "idle", 50, pulls=0, seconds=0.0)]
    idle = make_standing(benchmark, scores).entries[1]
    assert (idle.pulls.value, idle.cost_seconds.value, idle.is_on_front) == (0, 0, True)


@pytest.mark.parametrize(
    ("names", "message"),
    [(["a"], "the reference, reference, is not among"), (["reference", "a", "a"], "two of the scores are called a")],
)
def test_a_field_without_its_reference_or_with_a_name_twice_is_refused(names, message):
    benchmark = make_benchmark()
    with pytest.raises(BenchmarkError, match=message):
        make_standing(benchmark, [make_scores(benchmark, name, 5) for name in names])


@pytest.mark.parametrize(
    "other", [{"tensors": ("ash",)}, {"queries_per_model": (11,)}, {"runs": 49}, {"top_k": (1, 5)}]
)
def test_scores_of_another_benchmark_are_refused(other):
    benchmark, elsewhere = make_benchmark(("elm",)), make_benchmark(**{"tensors": ("elm",), **other})
    with pytest.raises(BenchmarkError, match="a: was not scored on the cells, 50 runs and top ks of benchmark test"):
        make_standing(benchmark, [make_scores(benchmark, "reference", 5), make_scores(elsewhere, "a", 5)])


def test_a_reference_that_paid_nothing_is_refused():
    benchmark = make_benchmark()
    with pytest.raises(BenchmarkError, match="reference: paid nothing in some cell"):
        make_standing(benchmark, [make_scores(benchmark, "reference", 5, seconds=0.0)])


def test_too_few_runs_order_nobody():
    standing = standing_of(make_benchmark(runs=10), {"reference": 1, "b": 9})
    assert places(standing) == {"reference": 1, "b": 1}
    assert standing.pairs[0].interval is None
    assert not standing.pairs[0].is_certain


def test_the_order_in_which_scores_come_changes_nothing():
    benchmark = make_benchmark()
    scores = [make_scores(benchmark, name, noisy(20, 50, seed)) for seed, name in enumerate(("a", "reference", "c"))]
    first, second = make_standing(benchmark, scores), make_standing(benchmark, scores[::-1])
    assert places(first) == places(second) == {"a": 1, "reference": 1, "c": 1}
    assert [entry.name for entry in first.entries] == [entry.name for entry in second.entries]
    assert [(pair.better, pair.worse) for pair in first.pairs] == [(pair.better, pair.worse) for pair in second.pairs]


def test_a_standing_is_written_as_plain_json():
    benchmark = make_benchmark(queries_per_model=(10, 2.5))
    written = json.loads(to_json(standing_of(benchmark, {"reference": 4, "b": 8})))
    assert [(entry["name"], entry["place"]) for entry in written["entries"]] == [("reference", 1), ("b", 2)]
    assert set(written["entries"][0]["rank_by_queries_per_model"]) == {"10", "2.5"}
    assert written["pairs"][0]["is_certain"] is True
