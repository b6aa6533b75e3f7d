"""Intervals of differences: against all totals one by one, and true at every stopping time by exact probabilities."""

from fractions import Fraction
from math import comb, factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gembench.confidence import accuracy_intervals
from gembench.paired_difference import _likeliest_difference, difference_interval


def all_counts(num_queries):
    """Every (common, only first, only second)."""
    return [
        (common, first, second)
        for common in range(num_queries + 1)
        for first in range(common + 1)
        for second in range(common - first + 1)
    ]


def all_totals(num_queries):
    """Every (only first, only second) of all queries."""
    return [(first, second) for first in range(num_queries + 1) for second in range(num_queries - first + 1)]


def intervals_of_all_counts(num_queries, error):
    """{(common, only first, only second): (low, high)} in queries."""
    counts = all_counts(num_queries)
    ends = np.stack(difference_interval(*np.array(counts).T, num_queries, error=error), axis=1) * num_queries
    np.testing.assert_allclose(ends, ends.round(), rtol=0, atol=1e-9)
    return dict(zip(counts, map(tuple, ends.round().astype(int).tolist()), strict=True))


def prior_weight(first, second, alike):
    """Of the Dirichlet-multinomial prior with parameters 1, 1 and 5: the ways to choose 4 of `alike` + 4."""
    del first, second
    return comb(alike + 4, 4)


@pytest.mark.parametrize("error", [0.9, 0.3, 0.01])
@pytest.mark.parametrize("num_queries", [1, 2, 5, 9])
def test_an_interval_spans_the_totals_that_bayes_rule_leaves_below_one_over_the_error(num_queries, error):
    totals = all_totals(num_queries)
    priors = [prior_weight(*total, num_queries - sum(total)) for total in totals]
    for (common, first, second), ends in intervals_of_all_counts(num_queries, error).items():
        likelihoods = [
            comb(x, first) * comb(y, second) * comb(num_queries - x - y, common - first - second) for x, y in totals
        ]
        evidence = Fraction(sum(p * each for p, each in zip(priors, likelihoods, strict=True)), sum(priors))
        kept = [
            x - y for (x, y), each in zip(totals, likelihoods, strict=True) if each and evidence / each <= 1 / error
        ]
        assert ends == (min(kept), max(kept))


def chance_of_ever_missing(total_first, total_second, num_queries, intervals):
    """Exactly, over all orders: the mass of the counts flows on by one query until an interval misses."""
    mass, missed = {(0, 0): Fraction(1)}, Fraction(0)
    for common in range(num_queries + 1):
        held = {}
        for (first, second), probability in mass.items():
            low, high = intervals[common, first, second]
            if low <= total_first - total_second <= high:
                held[first, second] = probability
            else:
                missed += probability
        mass = {}
        for (first, second), probability in held.items():
            left = (total_first - first, total_second - second)
            rest = num_queries - common - sum(left)
            for step, ways in (((1, 0), left[0]), ((0, 1), left[1]), ((0, 0), rest)):
                if ways:
                    key = first + step[0], second + step[1]
                    mass[key] = mass.get(key, Fraction(0)) + probability * Fraction(ways, num_queries - common)
    return missed


@pytest.mark.parametrize(("num_queries", "error"), [(10, 0.1), (10, 0.5)])
def test_whatever_the_truth_the_intervals_of_all_times_together_miss_it_no_more_often_than_stated(num_queries, error):
    intervals = intervals_of_all_counts(num_queries, error)
    missed = [chance_of_ever_missing(*total, num_queries, intervals) for total in all_totals(num_queries)]
    assert max(missed) <= error
    assert max(missed) > error / 10  # They do miss.


def test_without_common_queries_nothing_is_known_and_with_all_everything():
    assert difference_interval(0, 0, 0, 7, error=0.05) == (-1, 1)
    assert difference_interval(7, 3, 1, 7, error=0.05) == (2 / 7, 2 / 7)


def test_the_second_model_s_lead_over_the_first_mirrors_the_first_s():
    low, high = difference_interval(300, 40, 15, 1000, error=0.05)
    assert difference_interval(300, 15, 40, 1000, error=0.05) == (-high, -low)
    assert low < (40 - 15) / 300 < high


@pytest.mark.parametrize("error", [0.05, 0.05 / 435])
@pytest.mark.parametrize("num_different", [(60, 60), (12, 12), (120, 60), (150, 150)])
def test_it_is_narrower_than_bounding_both_kinds_apart(num_different, error):
    """The sum of two kinds' intervals at half the error each is another valid interval of their difference."""
    low, high = difference_interval(600, *num_different, 2000, error=error)
    apart = accuracy_intervals([600, 600], num_different, 2000, error=error / 2)
    assert high - low < np.diff(apart).sum()


@given(st.integers(1, 6), st.integers(1, 400), st.data())
def test_ends_are_those_of_the_likeliest_totals_of_each_difference(num_rows, num_queries, data):
    """Against every difference's best totals by looking at all of them, and with many counts at once as one by one."""
    counts = [
        (common, first, data.draw(st.integers(0, common - first)))
        for common in data.draw(st.lists(st.integers(0, num_queries), min_size=num_rows, max_size=num_rows))
        for first in [data.draw(st.integers(0, common))]
    ]
    error = data.draw(st.sampled_from([0.5, 0.05, 1e-5]))
    together = np.stack(difference_interval(*np.array(counts).T, num_queries, error=error), axis=1)
    for (common, first, second), ends in zip(counts, together, strict=True):
        kept = kept_differences(common, first, second, num_queries, error)
        assert (ends * num_queries).round().astype(int).tolist() == [kept.min(), kept.max()]


def kept_differences(common, first, second, num_queries, error):
    """The differences of all totals that are kept, by the table of log factorials."""
    log_factorial = np.concatenate([[0], np.log(np.arange(1, num_queries + 8)).cumsum()])
    x, y = np.meshgrid(np.arange(num_queries + 1), np.arange(num_queries + 1), indexing="ij")
    alike, seen_alike = num_queries - x - y, common - first - second
    possible = (x >= first) & (y >= second) & (alike >= seen_alike)
    x, y, alike = x[possible], y[possible], alike[possible]

    def log_ways(total, seen):
        return log_factorial[total] - log_factorial[seen] - log_factorial[total - seen]

    log_likelihood = log_ways(x, first) + log_ways(y, second) + log_ways(alike, seen_alike)
    log_likelihood -= log_ways(num_queries, common)
    log_evidence = np.log(prior_weight(first, second, seen_alike)) - log_ways(common + 6, 6)
    return (x - y)[log_evidence - log_likelihood <= 1e-8 - np.log(error)]


def test_a_difference_whose_neighbour_below_is_excluded_still_counts():
    """Near the likeliest totals a difference of one parity can be kept and the next of the other not."""
    low, high = difference_interval(5, 1, 4, 17, error=0.95)
    kept = kept_differences(5, 1, 4, 17, 0.95)
    assert set(range(-15, 10)) - set(kept) == {8}
    assert (low * 17, high * 17) == (-15, 9)


def test_d_hondt_s_seats_are_the_likeliest_totals():
    num_queries = 11
    for common, first, second in all_counts(num_queries):
        alike = common - first - second
        ways = {}
        for x, y in all_totals(num_queries):
            likelihood = comb(x, first) * comb(y, second) * comb(num_queries - x - y, alike)
            ways.setdefault(likelihood, set()).add(x - y)
        seats = _likeliest_difference(np.array([first, second, alike]), num_queries)
        assert int(seats) in ways[max(ways)]


def test_the_prior_s_weights_are_those_of_polya_s_urn():
    """1, 1 and 5 balls; each draw puts back two of its kind: of 3 draws, one of each kind in any of 6 orders."""
    of_one_each = Fraction(factorial(3) * 1 * 1 * 5, 7 * 8 * 9)
    assert Fraction(prior_weight(1, 1, 1), comb(3 + 6, 6)) == of_one_each


@pytest.mark.parametrize("counts", [(3, 2, 2), (3, -1, 2), (6, 2, 2)])
def test_counts_that_cannot_be_are_refused(counts):
    with pytest.raises(ValueError, match=r"^pairs need answers that only one has right <= common queries <= 5 queries"):
        difference_interval(*counts, 5, error=0.05)
