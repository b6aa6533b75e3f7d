import numpy as np
import pytest

from gembench.comparison import compare, summarize


def ranks_around(means, num_runs=50, spread=1.0):
    rng = np.random.default_rng(0)
    return {policy: mean + spread * rng.normal(size=num_runs) for policy, mean in means.items()}


def compared(means, **options):
    return compare(ranks_around(means, **options), tensor="tree", queries_per_model=10, seed=0)


def test_policies_come_best_first_and_every_pair_names_the_better_one_first():
    comparison = compared({"far": 90, "near": 10, "middle": 50})
    assert comparison.policies == ("near", "middle", "far")
    assert [(pair.better, pair.worse) for pair in comparison.differences] == [
        ("near", "middle"),
        ("near", "far"),
        ("middle", "far"),
    ]
    assert [pair.difference for pair in comparison.differences] == pytest.approx([40, 80, 40], abs=1)
    assert all(pair.certain and pair.difference_ci[0] > 0 for pair in comparison.differences)


def test_the_leader_that_beats_all_is_said_to():
    assert summarize(compared({"b": 50, "a": 10, "c": 90})) == "a beats every other policy for certain."


def test_whoever_cannot_be_told_from_the_leader_is_named_and_so_are_level_neighbours_below():
    line = summarize(compared({"a": 10, "b": 10.1, "c": 50, "d": 50.1, "e": 90}))
    assert "beats 3 of 4 for certain, but not" in line
    assert line.startswith(("a beats 3 of 4 for certain, but not b.", "b beats 3 of 4 for certain, but not a."))
    assert line.endswith(
        ("Neighbours that cannot be told apart: c ~ d.", "Neighbours that cannot be told apart: d ~ c.")
    )


def test_a_chain_of_neighbours_is_cut_where_its_ends_can_be_told_apart():
    ranks = {
        "leader": np.tile([1.0, 2.0], 50),
        "x": np.tile([10.0, 30.0], 50),
        "y": np.tile([29.0, 14.0], 50),
        "z": np.tile([13.0, 33.0], 50),  # x + 3 in every run, while y is level with both
    }
    line = summarize(compare(ranks, tensor="tree", queries_per_model=10, seed=0))
    assert line.endswith("apart: x ~ y, y ~ z.")


def test_policies_that_all_look_alike_leave_no_leader():
    assert "no policy can be told from it" in summarize(compared({"a": 10, "b": 10, "c": 10}, spread=5.0))


def test_policies_that_did_the_same_in_every_run_are_not_told_apart():
    ranks = np.arange(1, 31)
    (pair,) = compare({"a": ranks, "b": ranks}, tensor="tree", queries_per_model=10, seed=0).differences
    assert pair.difference == 0
    assert not pair.certain


def test_few_runs_are_said_to_be_too_few():
    comparison = compared({"a": 1, "b": 9}, num_runs=5)
    assert summarize(comparison).startswith("Too few runs")
    assert comparison.differences[0].difference_ci is None
    assert not comparison.differences[0].certain


def test_one_policy_alone_is_compared_with_nothing():
    comparison = compared({"a": 1})
    assert comparison.differences == ()
    assert summarize(comparison) == ""
