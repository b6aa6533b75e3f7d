import numpy as np
import pytest
import scipy.stats

from gembench.leaderboard.relative import log_means, ratio_intervals, relative_means

EXCESS = np.array([[8, 2, 20, 0.5], [8, 2, 20, 0.5], [4, 2, 25, 0.2], [16, 1, 20, 0.5]])
"""Mean rank less 1 of 4 policies in 4 cells; the first two are equals."""
NUMBERS = np.exp(np.log(1 + EXCESS).mean(axis=1))


def draw_ranks(rng, num_runs, spread=1.0):
    """[R, 4, 4]: skewed as ranks are, and related in all cells and policies by the luck of the run."""
    luck = rng.gamma(0.5, 2, (num_runs, 1, 1))
    return 1.0 + rng.poisson(EXCESS * luck * rng.gamma(1, 1, (num_runs, *EXCESS.shape)) ** spread)


def numbers_of(values, reference=0):
    cells = range(values.shape[2])
    return relative_means(log_means(values), reference, cells)


def test_a_relative_mean_is_the_geometric_mean_of_the_ratios_of_means():
    values = np.ones((2, 2, 2))
    values[:, 0] = [[2, 10], [4, 30]]  # the reference: means 3 and 20
    values[:, 1] = [[6, 1], [6, 9]]  # means 6 and 5: ratios 2 and 1/4
    assert numbers_of(values)[1].value == pytest.approx((2 / 4) ** 0.5)
    over_first = relative_means(log_means(values), 0, [0])
    assert over_first[1].value == pytest.approx(2)


def test_the_reference_is_exactly_one_and_so_are_both_its_ends():
    first = numbers_of(draw_ranks(np.random.default_rng(0), 30))[0]
    assert (first.value, first.interval) == (1.0, (1.0, 1.0))


def test_an_equal_of_the_reference_in_every_run_is_exactly_one():
    values = draw_ranks(np.random.default_rng(0), 30)
    values[:, 2] = values[:, 0]
    equal = numbers_of(values)[2]
    assert (equal.value, equal.interval) == (1.0, (1.0, 1.0))
    assert ratio_intervals(values)[2, 0].tolist() == [1.0, 1.0]


def test_the_scale_of_a_cell_changes_nothing():
    values = draw_ranks(np.random.default_rng(1), 40)
    values[:, 3] = 3 * values[:, 0]  # 3 times as bad in every run: no spread but that of rounding
    scaled = values * np.array([1, 7, 0.3, 1000])
    for before, after in zip(numbers_of(values), numbers_of(scaled), strict=True):
        assert after.value == pytest.approx(before.value, rel=1e-12)
        assert after.interval == pytest.approx(before.interval, rel=1e-12)
    assert ratio_intervals(scaled) == pytest.approx(ratio_intervals(values), rel=1e-9)


def test_a_factor_that_is_the_same_in_every_run_has_an_interval_of_no_width_and_widens_no_other():
    values = draw_ranks(np.random.default_rng(2), 40)[:, :2]
    tripled = np.concatenate([values, 3 * values[:, :1]], axis=1)
    intervals = ratio_intervals(tripled)
    assert intervals[2, 0] == pytest.approx([3, 3])
    assert intervals[1, 0] == pytest.approx(ratio_intervals(values)[1, 0], rel=1e-9)


def test_a_cell_where_everybody_finds_the_best_takes_the_same_root_of_all_numbers():
    values = draw_ranks(np.random.default_rng(3), 40)
    longer = np.concatenate([values, np.ones((40, 4, 1))], axis=2)
    for before, after in zip(numbers_of(values), numbers_of(longer), strict=True):
        assert np.log(after.value) == pytest.approx(np.log(before.value) * 4 / 5)
        assert np.log(after.interval) == pytest.approx(np.log(before.interval) * 4 / 5)
    before, after = (np.log(ratio_intervals(each)) for each in (values, longer))
    assert after == pytest.approx(before * 4 / 5)


def test_ranks_that_are_all_one_have_no_spread_and_are_no_error():
    values = np.ones((30, 2, 1))
    values[:15, 0] = 3
    number = numbers_of(values)[1]
    assert number.value == 0.5
    assert number.interval[0] < 0.5 < number.interval[1]
    everybody = numbers_of(np.ones((30, 2, 3)))
    assert [each.interval for each in everybody] == [(1.0, 1.0)] * 2
    assert (ratio_intervals(np.ones((30, 2, 3))) == 1).all()


def test_one_lucky_run_of_thirty_is_no_certain_difference():
    values = np.ones((30, 2, 1))
    values[0, 0] = 9
    low, high = ratio_intervals(values)[0, 1]
    assert low < 1 < high


def test_a_mean_of_zero_is_zero_times_the_reference():
    values = np.ones((30, 2, 2))
    values[:, 1] = 0
    number = numbers_of(values)[1]
    assert (number.value, number.interval) == (0.0, (0.0, 0.0))


def test_a_single_run_has_no_interval():
    assert numbers_of(np.full((1, 2, 1), 4.0))[1].interval is None


def test_intervals_of_numbers_miss_one_time_in_twenty_and_those_of_all_pairs_together_do():
    rng = np.random.default_rng(4)
    numbers, ratios = NUMBERS / NUMBERS[0], NUMBERS[:, None] / NUMBERS
    num_missed, num_failed = np.zeros(4), 0
    for _ in range(400):
        values = draw_ranks(rng, 200)
        logs = log_means(values)
        for policy, estimate in enumerate(relative_means(logs, 0, range(4))):
            num_missed[policy] += not estimate.interval[0] <= numbers[policy] <= estimate.interval[1]
        intervals = ratio_intervals(values)
        num_failed += not ((intervals[..., 0] <= ratios) & (ratios <= intervals[..., 1])).all()
    # The bootstrap of skewed ranks may miss 7% of the time: Binomial(400, 7%) passes 56 once in a million. Intervals
    # without correction for the six pairs would fail in some 70. Binomial(400, 5%) stays under 5 once in 90,000.
    assert num_missed[0] == 0
    assert (num_missed[1:] <= 56).all()
    assert (num_missed[1:] >= 5).all()
    assert 5 <= num_failed <= 56


def test_runs_that_share_their_luck_in_all_cells_are_not_taken_for_more_than_they_are():
    # One cell copied four times says no more than one: the interval must be that of a single cell.
    values = draw_ranks(np.random.default_rng(5), 60)[:, :, :1]
    copied = np.repeat(values, 4, axis=2)
    for once, often in zip(numbers_of(values), numbers_of(copied), strict=True):
        assert often.interval == pytest.approx(once.interval)
    assert ratio_intervals(copied) == pytest.approx(ratio_intervals(values))


def test_the_intervals_of_pairs_are_those_of_a_slow_bootstrap_of_the_ratios_themselves():
    rng = np.random.default_rng(7)
    values = 1 + rng.exponential([[3, 40], [9, 10], [20, 5]], (25, 3, 2)) ** 1.5
    first, second = np.array([0, 0, 1]), np.array([1, 2, 2])

    def log_ratios(of):
        numbers = np.log(of.mean(axis=0)).mean(axis=1)
        return numbers[first] - numbers[second]

    observed = log_ratios(values)
    influence = (values / values.mean(axis=0)).mean(axis=2)
    spread = (influence[:, first] - influence[:, second]).std(axis=0) / 25**0.5
    resamples = (values[rng.integers(25, size=25)] for _ in range(10_000))
    largest = [np.abs((log_ratios(each) - observed) / spread).max() for each in resamples]
    width = scipy.stats.t.isf(scipy.stats.norm.sf(np.quantile(largest, 0.95)), 24) * spread * (25 / 24) ** 0.5
    intervals = np.log(ratio_intervals(values))[first, second]
    assert intervals.mean(axis=1) == pytest.approx(observed)
    # The 95% point of 2,000 resamples errs by some 2.4%; this allows five times that.
    assert (intervals[:, 1] - intervals[:, 0]) / 2 == pytest.approx(width, rel=0.12)


def test_an_interval_is_as_wide_as_the_normal_law_says():
    # Ranks of 100 +- 10 in 2,500 runs against exactly 100: the log of the mean has a standard error of 0.002. A
    # quantile of 2,000 resamples errs by some 3% of it.
    rng = np.random.default_rng(6)
    values = np.full((2500, 2, 1), 100.0)
    values[:, 1, 0] = rng.normal(100, 10, 2500)
    low, high = numbers_of(values)[1].interval
    assert np.log(high / low) == pytest.approx(2 * 1.96 * 0.002, rel=0.15)
    low, high = ratio_intervals(values)[1, 0]
    assert np.log(high / low) == pytest.approx(2 * 1.96 * 0.002, rel=0.15)
