"""The bound on regret: by hand from the intervals it rests on, and true wherever a search stops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from gembench.confidence import accuracy_intervals
from gembench.paired_difference import difference_interval
from gembench.regret_bound import PairedCounts, is_regret_within, regret_bound


def tallies_of(correct, num_asked):
    """Right answers of every model to the first queries of one order."""
    return np.array([row[:asked].sum() for row, asked in zip(correct, num_asked, strict=True)])


def paired_counts(correct, num_asked, recommended):
    """The recommended model against each on the common first queries of one order."""
    common = np.minimum(num_asked, num_asked[recommended])
    counts = []
    for row, number in zip(correct, common, strict=True):
        other, best = row[:number], correct[recommended][:number]
        counts.append((number, (other > best).sum(), (other < best).sum()))
    return PairedCounts(*np.array(counts).T)


def bound_by_hand(recommended, asked, right, num_queries, error, paired):
    """The largest, over rivals, of the least that the intervals leave it."""
    share = error / 2 if paired is None else error / 4
    upper = accuracy_intervals(asked, right, num_queries, error=share)[:, 1]
    lower = accuracy_intervals(asked, right, num_queries, error=share / len(asked))[recommended, 0]
    ahead = upper - lower
    if paired is not None and len(asked) > 1:
        ahead = np.minimum(ahead, difference_interval(*paired, num_queries, error=error / 2 / (len(asked) - 1))[1])
    ahead[recommended] = 0
    return max(0, ahead.max())


@st.composite
def searches(draw):
    num_models, num_queries = draw(st.integers(1, 6)), draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    hardness = rng.random(num_queries)
    correct = (0.7 * hardness + 0.3 * rng.random((num_models, num_queries)) < rng.random((num_models, 1))).astype(int)
    asked = rng.integers(0, num_queries, num_models, endpoint=True)
    return correct, asked, draw(st.integers(0, num_models - 1)), draw(st.booleans())


@given(searches(), st.sampled_from([0.3, 0.95, 0.999]))
def test_it_is_the_most_that_any_rival_s_intervals_leave_it(search, confidence):
    correct, asked, recommended, is_paired = search
    num_queries, right = correct.shape[1], tallies_of(correct, asked)
    paired = paired_counts(correct, asked, recommended) if is_paired else None
    evidence = recommended, asked, right, num_queries
    bound = regret_bound(*evidence, confidence=confidence, paired=paired)
    assert bound == pytest.approx(bound_by_hand(*evidence, 1 - confidence, paired), abs=1e-12)
    for margin in (0, bound, max(0, bound - 1 / num_queries), bound / 2, 0.01, 1):
        expected = bound <= margin + 1e-12
        assert is_regret_within(margin, *evidence, confidence=confidence, paired=paired) == expected


@pytest.mark.parametrize("is_paired", [False, True])
def test_with_every_answer_known_it_is_the_regret_itself(is_paired):
    correct = np.random.default_rng(0).integers(2, size=(5, 30))
    asked, right = np.full(5, 30), correct.sum(axis=1)
    for recommended in range(5):
        paired = paired_counts(correct, asked, recommended) if is_paired else None
        bound = regret_bound(recommended, asked, right, 30, confidence=0.95, paired=paired)
        assert bound == (right.max() - right[recommended]) / 30


@pytest.mark.parametrize("asked", [0, 3])
def test_a_single_model_is_the_best(asked):
    paired = PairedCounts([asked], [0], [0])
    assert regret_bound(0, [asked], [0], 9, confidence=0.95) == 0
    assert regret_bound(0, [asked], [0], 9, confidence=0.95, paired=paired) == 0
    assert is_regret_within(0, 0, [asked], [0], 9, confidence=0.95)


def test_a_model_that_was_never_asked_may_be_right_everywhere():
    assert regret_bound(0, [100, 0], [60, 0], 100, confidence=0.95) == 0.4
    assert not is_regret_within(0.39, 0, [100, 0], [60, 0], 100, confidence=0.95)
    assert is_regret_within(0.4, 0, [100, 0], [60, 0], 100, confidence=0.95)


def test_a_margin_of_a_whole_number_of_queries_is_that_many_whatever_the_float():
    """0.29 of 100 queries is 28.999999999999996 in floats."""
    assert regret_bound(0, [100, 100], [60, 89], 100, confidence=0.95) == 0.29
    assert is_regret_within(0.29, 0, [100, 100], [60, 89], 100, confidence=0.95)


def test_models_that_answer_alike_are_told_to_be_near_by_their_pairs():
    asked, right = [900, 900], [600, 598]
    alone = regret_bound(0, asked, right, 3000, confidence=0.95)
    paired = regret_bound(0, asked, right, 3000, confidence=0.95, paired=PairedCounts([900] * 2, [0, 3], [0, 5]))
    assert paired < alone / 4


def test_the_recommended_model_s_own_entries_do_not_matter():
    asked, right = [50, 40], [30, 28]
    bounds = {
        regret_bound(0, asked, right, 90, confidence=0.9, paired=PairedCounts([own, 40], [own, 6], [own, 7]))
        for own in (-1, 0, 50, 10**6)
    }
    assert len(bounds) == 1


def regret_of_greedy_search(correct, rng, margin, confidence):
    """Now the most accurate so far answers three more, now one at random, until the bound allows to stop."""
    num_models, num_queries = correct.shape
    asked = np.full(num_models, 1)
    while True:
        right = tallies_of(correct, asked)
        best = int(np.argmax(right / asked))
        paired = paired_counts(correct, asked, best)
        if is_regret_within(margin, best, asked, right, num_queries, confidence=confidence, paired=paired):
            return (correct.sum(axis=1).max() - correct[best].sum()) / num_queries
        not_done = np.flatnonzero(asked < num_queries)
        chosen = best if best in not_done and rng.random() < 0.5 else rng.choice(not_done)
        asked[chosen] = min(num_queries, asked[chosen] + 3)


def test_a_search_that_stops_as_soon_as_the_bound_allows_is_within_the_margin_as_often_as_stated():
    """At a confidence of 50%, so that misses are seen if there are too many. Rejects below 1e-6."""
    rng = np.random.default_rng(0)
    num_searches, margin, confidence = 80, 0.05, 0.5
    correct = (0.6 * rng.random(40) + 0.4 * rng.random((4, 40)) < np.array([[0.6], [0.5], [0.5], [0.4]])).astype(int)
    regrets = [
        regret_of_greedy_search(correct[:, rng.permutation(40)], rng, margin, confidence) for _ in range(num_searches)
    ]
    num_missed = sum(regret > margin + 1e-12 for regret in regrets)
    assert binomtest(num_missed, num_searches, 1 - confidence, alternative="greater").pvalue > 1e-6


@pytest.mark.parametrize("is_paired", [False, True])
def test_no_time_and_no_recommendation_breaks_the_bound_more_often_than_stated(is_paired):
    """A clairvoyant recommends any model at any time. A bound is broken where it allows less than the regret."""
    rng = np.random.default_rng(1)
    num_orders, num_queries, confidence = 60, 40, 0.5
    correct = (rng.random((4, num_queries)) < np.array([0.8, 0.6, 0.5, 0.2])[:, None]).astype(int)
    truth = correct.sum(axis=1)
    regrets = truth.max() - truth
    num_broken = 0
    for _ in range(num_orders):
        ordered = correct[:, rng.permutation(num_queries)]
        num_broken += any(
            is_regret_within(
                (regrets[model] - 1) / num_queries,
                model,
                np.full(4, asked),
                ordered[:, :asked].sum(axis=1),
                num_queries,
                confidence=confidence,
                paired=paired_counts(ordered, np.full(4, asked), model) if is_paired else None,
            )
            for asked in range(1, num_queries, 3)
            for model in np.flatnonzero(regrets)
        )
    assert binomtest(num_broken, num_orders, 1 - confidence, alternative="greater").pvalue > 1e-6


def test_more_queries_in_common_than_answers_are_refused():
    with pytest.raises(ValueError, match=r"^a model has more queries in common with the recommended one than "):
        regret_bound(0, [5, 3], [3, 3], 9, confidence=0.95, paired=PairedCounts([5, 4], [0, 0], [0, 0]))
