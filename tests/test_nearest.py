import math

import numpy as np
import pytest

from gembench.errors import UsageError
from gembench.load_race import LoadedRace
from gembench.nearest import NUM_NEAREST, Case, StandIn, distance, nearest, stand_in
from gembench.race import Race


def make_race(correct, name="tree"):
    num_models = len(correct)
    return LoadedRace(
        tensor=name,
        digest="sha256:0",
        min_coverage=0.5,
        models=tuple(f"model-{model}" for model in range(num_models)),
        race=Race(np.asarray(correct, np.uint8), np.arange(num_models) + 1.0, np.arange(num_models) / 10),
        cost_source="recorded",
        left_out_models=(),
        num_left_out_queries=0,
    )


@pytest.fixture
def wide():
    """40 models on 60 queries; two columns of 30 rows are the same with a probability under 1 in 500,000."""
    return make_race(np.random.default_rng(1).integers(0, 2, (40, 60)))


def test_a_larger_tensor_is_cut_to_rows_and_columns_of_its_own_in_their_order(wide):
    cut = stand_in(wide, Case(5, num_models=30, num_queries=20), seed=7)
    rows = [int(name.removeprefix("model-")) for name in cut.loaded.models]
    assert cut.loaded.race.correct.shape == (30, 20)
    assert rows == sorted(set(rows))
    columns = {tuple(column): place for place, column in enumerate(wide.race.correct[rows].T)}
    assert len(columns) == 60
    drawn = [columns[tuple(column)] for column in cut.loaded.race.correct.T]
    assert drawn == sorted(set(drawn))
    assert cut.loaded.race.load_seconds.tolist() == [row + 1 for row in rows]
    assert cut.loaded.race.query_seconds.tolist() == [row / 10 for row in rows]
    assert (cut.num_models_uncut, cut.num_queries_uncut) == (40, 60)


def test_the_truth_of_a_cut_tensor_is_over_the_queries_that_are_left(wide):
    cut = stand_in(wide, Case(5, num_models=30, num_queries=20)).loaded
    assert wide.accuracy.shape == (40,)
    assert np.array_equal(cut.accuracy, cut.race.correct.sum(axis=1) / 20)


def test_the_same_seed_cuts_the_same_and_another_seed_otherwise(wide):
    def models(seed):
        return stand_in(wide, Case(5, num_models=10), seed=seed).loaded.models

    assert models(3) == models(3)
    assert len({models(seed) for seed in range(20)}) == 20  # two draws of 847 million are the same in 1 of 4 million


def test_every_model_is_as_likely_to_be_drawn():
    """400 draws of 5 of 20: 100 each, standard deviation 8.7. One model of 20 is 5 of these off in 1 of 80,000."""
    race = make_race(np.eye(20, 30))
    drawn = np.zeros(20)
    for seed in range(400):
        names = stand_in(race, Case(1, num_models=5), seed=seed).loaded.models
        drawn[[int(name.removeprefix("model-")) for name in names]] += 1
    assert np.abs(drawn - 100).max() < 5 * math.sqrt(400 * 0.25 * 0.75)


@pytest.mark.parametrize("case", [Case(5), Case(5, num_models=40, num_queries=60), Case(5, 1000, 1000)])
def test_a_tensor_that_is_not_larger_than_the_case_is_left_whole(wide, case):
    whole = stand_in(wide, case)
    assert np.array_equal(whole.loaded.race.correct, wide.race.correct)
    assert whole.loaded.models == wide.models


def test_costs_that_are_given_take_the_place_of_the_tensor_s_own(wide):
    given = stand_in(wide, Case(5, seconds_per_load=12, seconds_per_query=0.25))
    assert set(given.loaded.race.load_seconds) == {12.0}
    assert set(given.loaded.race.query_seconds) == {0.25}
    assert given.loaded.cost_source == "given"
    assert (given.seconds_per_load, given.seconds_per_query) == (12.0, 0.25)
    own = stand_in(wide, Case(5))
    assert own.loaded.cost_source == "recorded"
    assert own.seconds_per_load == pytest.approx(20.5)  # the mean of 1 to 40


def test_the_difference_is_that_of_the_tensor_as_it_is_cut():
    """Twins that answer alike; whichever two of the four models are drawn, they are no twins or they are."""
    twins = make_race([[1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1]])
    assert stand_in(twins, Case(1)).difference == 0
    seen = set()
    for seed in range(60):  # both kinds of pair are missing in all 60 in one of 10**10
        cut = stand_in(twins, Case(1, num_models=2), seed=seed)
        first, second = cut.loaded.race.correct
        assert cut.difference == (first != second).mean()
        seen.add(cut.difference)
    assert seen == {0, 0.25}


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (Case(1), 0),
        (Case(1, num_models=400), 2),
        (Case(1, num_models=50), 1),
        (Case(1, num_queries=2000), 3),
        (Case(1, num_models=800, num_queries=4000), 5),  # 3 and 4 doublings
        (Case(1, difference=0.32), 3),
        (Case(1, difference=0.01), 2),
        (Case(1, num_models=800, num_queries=4000, difference=0.04), 5),
        (Case(1, 200, 500, 0.16, 5, 5), math.sqrt(1 + 1 + 4)),  # costs that are given are the tensor's too
    ],
)
def test_the_distance_is_euclidean_in_doublings_of_what_is_known(case, expected):
    assert distance(case, num_models=100, num_queries=250, difference=0.04) == pytest.approx(expected)


def test_models_that_never_differ_count_as_differing_on_half_a_query():
    assert distance(Case(1, difference=0.02), 10, 100, difference=0.0) == pytest.approx(2)


def stand_in_at(name, how_far, num_queries=100):
    return StandIn(make_race(np.eye(3, num_queries), name), 3, num_queries, None, how_far)


def names_of(stand_ins):
    return [each.loaded.tensor for each in stand_ins]


def test_the_nearest_come_first_and_of_two_as_near_the_one_listed_first():
    stand_ins = [stand_in_at("ash", 2.0), stand_in_at("oak", 0.5), stand_in_at("elm", 0.5), stand_in_at("fir", 0.1)]
    assert NUM_NEAREST == 3
    assert names_of(nearest(stand_ins, Case(5))) == ["fir", "oak", "elm"]


def test_a_tensor_of_which_the_budget_buys_every_answer_stands_for_nothing():
    stand_ins = [stand_in_at("short", 0, num_queries=50), stand_in_at("long", 9, num_queries=51)]
    assert names_of(nearest(stand_ins, Case(50))) == ["long"]
    with pytest.raises(UsageError, match="51 queries per model buy every answer of every embedded tensor"):
        nearest(stand_ins, Case(51))


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"num_models": 1}, "2 models or more, got 1"),
        ({"num_queries": 0}, "got 0"),
        ({"num_queries": 10}, "10 queries per model buy every answer of the case, which has 10 queries"),
        ({"difference": 0}, "above 0 and up to 1, got 0"),
        ({"difference": 1.2}, "got 1.2"),
        ({"difference": math.nan}, "got nan"),
        ({"seconds_per_load": 3}, "both a load and a query"),
        ({"seconds_per_query": 3}, "both a load and a query"),
        ({"seconds_per_load": -1, "seconds_per_query": 3}, "0 or more, got -1"),
        ({"seconds_per_load": 1, "seconds_per_query": math.inf}, "0 or more, got inf"),
        ({"seconds_per_load": math.nan, "seconds_per_query": 1}, "0 or more, got nan"),
    ],
)
def test_a_case_that_cannot_be_is_refused(figures, expected):
    with pytest.raises(UsageError, match=expected):
        Case(10, **figures)
