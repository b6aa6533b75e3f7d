"""Intervals of accuracies: exact against Bayes' rule, and true at every stopping time by exact probabilities."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from gembench.confidence import accuracy_intervals, simultaneous_accuracy_intervals


def all_tallies(num_queries):
    """Every (answers, right answers), [T] each."""
    return np.array([(asked, right) for asked in range(num_queries + 1) for right in range(asked + 1)]).T


def counts_of_all_tallies(num_queries, error):
    """The interval of every tally in right answers: {(asked, right): (low, high)}."""
    tallies = all_tallies(num_queries)
    ends = accuracy_intervals(*tallies, num_queries, error=error) * num_queries
    np.testing.assert_allclose(ends, ends.round(), rtol=0, atol=1e-9)
    return {tuple(tally): tuple(end) for tally, end in zip(tallies.T.tolist(), ends.round().astype(int), strict=True)}


def prior_over_posterior(total, asked, right, num_queries):
    """By Bayes' rule with a uniform prior, in fractions; infinite where the tally is impossible."""

    def likelihood(count):
        return comb(count, right) * comb(num_queries - count, asked - right)

    if not likelihood(total):
        return float("inf")
    evidence = Fraction(sum(likelihood(count) for count in range(num_queries + 1)), num_queries + 1)
    return evidence / likelihood(total)


@pytest.mark.parametrize("error", [0.5, 0.1, 0.001])
@pytest.mark.parametrize("num_queries", [1, 2, 7, 20])
def test_an_interval_spans_the_totals_that_bayes_rule_leaves_below_one_over_the_error(num_queries, error):
    for (asked, right), ends in counts_of_all_tallies(num_queries, error).items():
        ratios = [prior_over_posterior(total, asked, right, num_queries) for total in range(num_queries + 1)]
        kept = [total for total, ratio in enumerate(ratios) if ratio <= 1 / error]  # No float tells a tie from less.
        assert ends == (kept[0], kept[-1])
        assert kept == list(range(kept[0], kept[-1] + 1))


def chance_of_ever_missing(total, num_queries, intervals):
    """Exactly, over all orders: the mass of (asked, right) flows on by one query until an interval misses."""
    mass, missed = {0: Fraction(1)}, Fraction(0)
    for asked in range(num_queries + 1):
        held = {}
        for right, probability in mass.items():
            low, high = intervals[asked, right]
            if low <= total <= high:
                held[right] = probability
            else:
                missed += probability
        mass = {}
        for right, probability in held.items():
            left = num_queries - asked
            for gained, ways in ((1, total - right), (0, left - (total - right))):
                if left and ways:
                    mass[right + gained] = mass.get(right + gained, Fraction(0)) + probability * Fraction(ways, left)
    return missed


@pytest.mark.parametrize(("num_queries", "error"), [(12, 0.1), (12, 0.5), (30, 0.1), (30, 0.02)])
def test_whatever_the_truth_the_intervals_of_all_times_together_miss_it_no_more_often_than_stated(num_queries, error):
    intervals = counts_of_all_tallies(num_queries, error)
    missed = [chance_of_ever_missing(total, num_queries, intervals) for total in range(num_queries + 1)]
    assert max(missed) <= error
    assert max(missed) > error / 5  # They are no wider than they need to be by much.


def test_the_exact_chance_exposes_intervals_that_are_right_only_at_a_fixed_time():
    """Clopper and Pearson's, of the hypergeometric law: each time's misses at most at a tenth, all times' do not."""
    num_queries, error = 30, 0.1

    def tail(total, asked, rights):
        ways = sum(comb(total, right) * comb(num_queries - total, asked - right) for right in rights)
        return ways / comb(num_queries, asked)

    intervals = {}
    for asked, right in all_tallies(num_queries).T.tolist():
        kept = [
            total
            for total in range(num_queries + 1)
            if min(tail(total, asked, range(right + 1)), tail(total, asked, range(right, asked + 1))) > error / 2
        ]
        intervals[asked, right] = kept[0], kept[-1]
    assert max(chance_of_ever_missing(total, num_queries, intervals) for total in range(num_queries + 1)) > 2 * error


def test_without_answers_nothing_is_known_and_with_all_everything():
    intervals = accuracy_intervals([0, 9, 9, 9], [0, 0, 4, 9], 9, error=0.05)
    assert intervals.tolist() == [[0, 1], [0, 0], [4 / 9, 4 / 9], [1, 1]]


tallies = st.integers(1, 300).flatmap(
    lambda num_queries: st.integers(0, num_queries).flatmap(
        lambda asked: st.tuples(st.just(num_queries), st.just(asked), st.integers(0, asked))
    )
)
errors = st.floats(1e-9, 0.999)


@given(tallies, errors)
def test_an_interval_holds_what_was_seen_and_nothing_that_is_impossible(tally, error):
    num_queries, asked, right = tally
    ((low, high),) = accuracy_intervals([asked], [right], num_queries, error=error)
    assert right / num_queries <= low <= high <= (num_queries - asked + right) / num_queries
    if asked:
        assert low * num_queries <= np.ceil(right / asked * num_queries)
        assert high * num_queries >= np.floor(right / asked * num_queries)


@given(tallies, errors, errors)
def test_a_smaller_error_never_makes_an_interval_narrower(tally, first, second):
    num_queries, asked, right = tally
    wide, narrow = (
        accuracy_intervals([asked], [right], num_queries, error=error)[0] for error in sorted((first, second))
    )
    assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]


@given(tallies, errors)
def test_wrong_answers_mirror_right_ones(tally, error):
    num_queries, asked, right = tally
    (low, high), (mirrored_low, mirrored_high) = accuracy_intervals(
        [asked, asked], [right, asked - right], num_queries, error=error
    )
    assert (low, high) == pytest.approx((1 - mirrored_high, 1 - mirrored_low), abs=1e-12)


@pytest.mark.parametrize("num_queries", [5, 40])
@pytest.mark.parametrize("error", [0.6, 0.01])
def test_one_more_right_answer_among_as_many_lowers_neither_end(num_queries, error):
    intervals = counts_of_all_tallies(num_queries, error)
    for (asked, right), ends in intervals.items():
        if right < asked:
            assert all(np.less_equal(ends, intervals[asked, right + 1]))


@pytest.mark.parametrize(("asked", "right"), [(10, 7), (1500, 1101), (11_000, 8_000), (11_999, 11_999)])
@pytest.mark.parametrize("error", [0.05, 0.05 / 2200])
def test_ends_are_exact_with_twelve_thousand_queries(asked, right, error):
    """In integers: a uniform prior makes every tally of t answers equally probable, 1 / (t + 1)."""
    num_queries = 12_000

    def is_kept(total):
        if not right <= total <= num_queries - asked + right:
            return False
        likelihood = comb(total, right) * comb(num_queries - total, asked - right)
        return comb(num_queries, asked) * Fraction(error) < (asked + 1) * likelihood

    low, high = (accuracy_intervals([asked], [right], num_queries, error=error)[0] * num_queries).round().astype(int)
    assert [is_kept(int(total)) for total in (low - 1, low, high, high + 1)] == [False, True, True, False]


def test_models_may_come_in_any_order_and_more_than_once():
    asked, right = np.array([50, 3, 50, 0, 3]), np.array([20, 3, 21, 0, 3])
    together = accuracy_intervals(asked, right, 80, error=0.05)
    alone = [accuracy_intervals([a], [r], 80, error=0.05)[0] for a, r in zip(asked, right, strict=True)]
    np.testing.assert_array_equal(together, alone)


def test_all_models_intervals_hold_together_wherever_a_clairvoyant_stops_each():
    """20 models on one shared order; each is stopped where its interval misses, if it ever does. Rejects below 1e-6."""
    rng = np.random.default_rng(0)
    num_models, num_queries, num_orders, confidence = 20, 60, 1000, 0.9
    correct = rng.random((num_models, num_queries)) < rng.uniform(0.2, 0.9, (num_models, 1))
    truth = correct.sum(axis=1)

    def missing_orders(intervals_of):
        asked, right = all_tallies(num_queries)
        ends = np.zeros((num_queries + 1, num_queries + 1, 2))
        ends[asked, right] = intervals_of(asked, right)
        misses = 0
        for _ in range(num_orders):
            rights = correct[:, rng.permutation(num_queries)].cumsum(axis=1)
            low, high = np.moveaxis(ends[np.arange(1, num_queries + 1), rights] * num_queries, 2, 0)
            misses += bool(((truth[:, None] < low - 0.5) | (truth[:, None] > high + 0.5)).any())
        return misses

    def simultaneous(asked, right):
        """Each tally's interval as one of 20 models'."""
        padding = np.zeros(num_models - 1, int)
        return [
            simultaneous_accuracy_intervals(
                np.append(padding, a), np.append(padding, r), num_queries, confidence=confidence
            )[-1]
            for a, r in zip(asked, right, strict=True)
        ]

    def p_value(misses):
        return binomtest(misses, num_orders, 1 - confidence, alternative="greater").pvalue

    assert p_value(missing_orders(simultaneous)) > 1e-6
    each_by_itself = missing_orders(lambda *tally: accuracy_intervals(*tally, num_queries, error=1 - confidence))
    assert p_value(each_by_itself) < 1e-6


@pytest.mark.parametrize("error", [0.0, 1.0, -0.1, float("nan")])
def test_an_error_that_is_no_probability_is_refused(error):
    with pytest.raises(ValueError, match=r"^a probability of error, 1 - confidence, lies between 0 and 1, got .*\.$"):
        accuracy_intervals([1], [1], 2, error=error)


@pytest.mark.parametrize(("asked", "right"), [(3, 4), (3, -1), (6, 2)])
def test_tallies_that_cannot_be_are_refused(asked, right):
    with pytest.raises(ValueError, match=r"^tallies need 0 <= right answers <= answers <= 5 queries\.$"):
        accuracy_intervals([1, asked], [1, right], 5, error=0.05)
