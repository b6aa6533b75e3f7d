"""Coverage is checked by simulation. Seeds are fixed; the false-alarm rates are those that fresh seeds would have."""

import numpy as np
import pytest
import scipy.stats

from gembench.intervals import (
    MIN_RUNS_TO_COMPARE,
    mean_interval,
    probability_interval,
    resample_counts,
    simultaneous_intervals,
)


def test_every_resample_holds_as_many_runs_as_there_are():
    counts = resample_counts(30)
    assert (counts.sum(axis=1) == 30).all()
    assert (counts >= 0).all()


def test_a_mean_s_interval_agrees_with_scipy_s_percentile_bootstrap():
    values = np.random.default_rng(1).geometric(0.05, size=100)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    # An end from 2,000 resamples errs by some 0.06 standard errors of the mean; 5 of these are 0.3 standard errors.
    assert mean_interval(values) == pytest.approx(expected, abs=0.3 * values.std() / 10)


def test_a_mean_s_interval_covers_the_truth_nearly_as_often_as_it_says():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(1000):
        low, high = mean_interval(rng.geometric(0.05, size=100))
        covered += low <= 20 <= high
    # The percentile bootstrap of 100 draws of so skewed a law covers about 94%. Outside 90.5% to 97.5%: 1 in 100,000.
    assert 905 <= covered <= 975


def test_the_interval_of_a_probability_that_never_came_true_is_clopper_and_pearson_s_closed_form():
    low, high = probability_interval(0, 100)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 100))


@pytest.mark.parametrize("truth", [0.001, 0.03, 0.3, 0.5, 0.97])
def test_the_interval_of_a_probability_covers_at_least_as_often_as_it_says_by_exact_enumeration(truth):
    num_runs = 40
    covered = sum(
        scipy.stats.binom.pmf(num_found, num_runs, truth)
        for num_found in range(num_runs + 1)
        if (ends := probability_interval(num_found, num_runs)) and ends[0] <= truth <= ends[1]
    )
    assert covered >= 0.95


def test_a_single_run_has_no_interval():
    assert mean_interval([7.0]) is None
    assert probability_interval(1, 1) is None


def test_what_never_varied_has_the_very_value_at_both_ends():
    assert mean_interval([0.1] * 7) == (0.1, 0.1)


def exchangeable(rng, num_runs, num_policies, law):
    """Ranks of policies that are all equally good, [R, P], with noise that the policies of a run share."""
    shared = rng.lognormal(0, 1, (num_runs, 1))
    if law == "normal":
        return shared + rng.normal(size=(num_runs, num_policies))
    return shared + rng.lognormal(1, 1, (num_runs, num_policies))


def num_reports_with_a_false_difference(law, seed):
    rng = np.random.default_rng(seed)
    return sum((simultaneous_intervals(exchangeable(rng, 60, 6, law))[..., 0] > 0).any() for _ in range(500))


def test_equal_policies_are_called_different_in_one_report_of_twenty_and_no_less_often_than_that():
    # Binomial(500, 5%) passes 50 once in a million and stays under 8 once in 50,000. Without correction for the 15
    # pairs some 175 reports would name a difference.
    assert 8 <= num_reports_with_a_false_difference("normal", seed=4) <= 50


def test_equal_policies_of_skewed_ranks_are_not_called_different_more_often_than_that():
    assert num_reports_with_a_false_difference("skewed", seed=5) <= 50


def test_all_true_differences_lie_in_their_intervals_at_once_nineteen_times_in_twenty():
    rng = np.random.default_rng(6)
    means = np.array([0.0, 0.1, 1.0, 5.0])
    differences = means[:, None] - means[None, :]
    num_covered = 0
    for _ in range(500):
        intervals = simultaneous_intervals(means + exchangeable(rng, 60, 4, "normal"))
        num_covered += ((intervals[..., 0] <= differences) & (differences <= intervals[..., 1])).all()
    assert num_covered >= 450  # Binomial(500, 95%) stays under it once in a million


def test_pairing_by_run_reveals_a_difference_that_drowns_in_what_all_policies_share():
    rng = np.random.default_rng(7)
    hardness = rng.normal(0, 100, (50, 1))
    values = hardness + np.array([0.0, 3.0, 0.0]) + rng.normal(0, [1, 1, 30], (50, 3))
    low, high = simultaneous_intervals(values)[1, 0]
    assert 0 < low < 3 < high < 4


def test_the_interval_of_a_difference_turned_round_is_the_interval_turned_round():
    intervals = simultaneous_intervals(np.random.default_rng(8).normal(size=(30, 4)))
    np.testing.assert_array_equal(intervals[..., 0], -intervals[..., 1].T)


def test_two_policies_alone_have_nearly_student_s_interval():
    values = np.random.default_rng(9).normal(size=(200, 2))
    difference = values[:, 0] - values[:, 1]
    expected = scipy.stats.ttest_1samp(difference, 0).confidence_interval()
    # The 95% point of 2,000 resamples errs by some 2.4%; this allows five times that.
    width = expected.high - expected.low
    assert simultaneous_intervals(values)[0, 1] == pytest.approx(expected, abs=0.06 * width)


def test_too_few_runs_decide_nothing():
    values = np.stack([np.zeros(MIN_RUNS_TO_COMPARE - 1), np.full(MIN_RUNS_TO_COMPARE - 1, 9.0)], axis=1)
    assert simultaneous_intervals(values)[0, 1].tolist() == [-np.inf, np.inf]


def test_a_difference_that_is_the_same_in_every_run_is_certain_and_no_difference_is_not():
    values = np.tile([1.0, 1.0, 2.0], (MIN_RUNS_TO_COMPARE, 1))
    intervals = simultaneous_intervals(values)
    assert intervals[2, 0].tolist() == [1, 1]
    assert intervals[1, 0].tolist() == [0, 0]
