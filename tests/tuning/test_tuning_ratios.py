import numpy as np
import pytest
from scipy.stats import ttest_1samp
from toy import Noisy, make_loaded

from gembench.experiment import Settings, run_contests
from gembench.measures import measure
from gembench.policies import catalog
from gembench.simulate import simulate
from gembench.tuning.ratios import Yardstick, ratio
from gembench.tuning.splits import Part


def ranks(means, num_runs=1):
    """[C, N, R], of so many runs with these means."""
    return np.repeat(np.asarray(means, float)[:, :, None], num_runs, axis=2)


def test_the_ratio_is_the_geometric_mean_over_races_and_numbers_of_queries_of_means_over_runs():
    found = ratio(np.array([[[1.0, 3.0]], [[8.0, 8.0]]]), np.array([[[4.0, 4.0]], [[4.0, 0.0]]]), are_drawn=True)
    assert found.value == pytest.approx(np.sqrt((2 / 4) * (8 / 2)))
    assert found.worst == pytest.approx(4)
    several = ratio(ranks([[2, 9]]), ranks([[4, 2]]), are_drawn=True)
    assert several.value == several.worst == pytest.approx(np.sqrt(2 / 4 * 9 / 2))


def test_over_families_the_interval_is_student_s_of_the_logarithms():
    rng = np.random.default_rng(0)
    means, others = rng.uniform(1, 9, (2, 6, 2))
    low, high = ratio(ranks(means), ranks(others), are_drawn=True).interval
    expected = ttest_1samp(np.log(means / others).mean(axis=1), 0).confidence_interval(0.95)
    assert (np.log(low), np.log(high)) == pytest.approx((expected.low, expected.high))


def test_over_families_95_percent_of_intervals_hold_the_truth():
    """Of 400 with probability 0.95: under 355 or over 398 in one of 100,000 (binomial)."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        log_ratios = rng.normal(np.log(0.8), 0.4, 5)
        low, high = ratio(ranks(np.exp(log_ratios)[:, None]), ranks(np.ones((5, 1))), are_drawn=True).interval
        hits += low <= 0.8 <= high
    assert 355 <= hits <= 398


def test_over_runs_on_given_tensors_95_percent_of_intervals_hold_the_truth():
    """As above; 60 paired runs on two tensors, whose ranks come from one geometric and one other law."""
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(400):
        common = rng.geometric(0.2, (2, 1, 60))
        mine, others = common + rng.geometric(0.5, (2, 1, 60)), common + rng.geometric(0.25, (2, 1, 60))
        low, high = ratio(mine.astype(float), others.astype(float), are_drawn=False).interval
        hits += low <= 7 / 9 <= high
    assert 350 <= hits <= 398  # The bootstrap of skewed ranks is a little narrow.


def test_one_family_and_too_few_runs_have_no_interval():
    assert ratio(ranks([[2.0]]), ranks([[4.0]]), are_drawn=True).interval is None
    assert ratio(ranks([[2.0]], 19), ranks([[4.0]], 19), are_drawn=False).interval is None
    assert ratio(ranks([[2.0]], 20), ranks([[4.0]], 20), are_drawn=False).interval == pytest.approx((0.5, 0.5))


def test_a_policy_against_itself_is_1_for_certain():
    mine = np.random.default_rng(0).uniform(1, 9, (4, 2, 30))
    for are_drawn in (True, False):
        assert ratio(mine, mine, are_drawn=are_drawn).interval == (1, 1)


@pytest.fixture
def noisy(monkeypatch):
    monkeypatch.setattr(catalog, "CATALOG", {**catalog.CATALOG, "noisy": Noisy})


def test_the_yardstick_s_ranks_are_the_simulator_s_at_the_part_s_seed(noisy):
    race = make_loaded(num_models=12)
    yardstick = Yardstick("uniform", [2, 5, 2], None, {}, Settings(num_runs=6, top_k=(1,)))
    measured = yardstick.ranks("noisy:target=0.5", Part((race,), seed=77))
    for place, num_each in enumerate((2, 5)):
        runs = simulate(Noisy(0.5), race.race, budget=12 * num_each, num_runs=6, seed=77)
        assert measured[0, place].tolist() == measure(runs, race.accuracy).rank.tolist()
    assert measured.shape == (1, 2, 6)


def test_the_reference_is_replayed_once_for_a_race_and_seed(noisy, monkeypatch):
    played = []

    def spy(contests, settings):
        played.extend((contest.specification, contest.loaded.tensor, settings.seed) for contest in contests)
        return run_contests(contests, settings)

    monkeypatch.setattr("gembench.tuning.ratios.run_contests", spy)
    races = make_loaded("a", 12), make_loaded("b", 12)
    yardstick = Yardstick("uniform", [3], None, {}, Settings(num_runs=4, top_k=(1,)))
    for seed in (1, 1, 2):
        for race in races:
            assert yardstick.log_ratio("uniform", race, seed) == 0
    assert yardstick.ranks("uniform", Part(races, seed=2)).shape == (2, 1, 4)
    assert sorted(played) == sorted(("uniform", race.tensor, seed) for race in races for seed in (1, 2))
