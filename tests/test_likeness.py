"""How alike models answer, against all pairs looked at one by one."""

import itertools

import numpy as np
import pytest

from gembench import likeness
from gembench.likeness import correlation, identical_models, nearest_difference


def alike(num_models, num_queries, seed=0):
    """Models that err together: some queries are hard for all."""
    rng = np.random.default_rng(seed)
    ease = rng.random(num_queries) - 0.5 + rng.random((num_models, 1)) * 0.6
    return (rng.random((num_models, num_queries)) < ease).astype(np.uint8)


def mean_over_pairs(correct):
    return np.mean([np.corrcoef(one, other)[0, 1] for one, other in itertools.combinations(correct, 2)])


def variance_ratio_over_pairs(correct):
    """Of the difference of two means on one query: of the same query, over that of two drawn apart."""
    pairs = list(itertools.combinations(correct.astype(float), 2))
    shared = np.mean([np.var(one - other) for one, other in pairs])
    return shared / np.mean([np.var(one) + np.var(other) for one, other in pairs])


@pytest.mark.parametrize("cells_at_once", [1 << 22, 100, 1])
def test_the_mean_correlation_and_what_sharing_saves_are_those_of_all_pairs(monkeypatch, cells_at_once):
    monkeypatch.setattr(likeness, "_CELLS_AT_ONCE", cells_at_once)
    correct = alike(9, 60)
    found = correlation(correct)
    assert found.mean == pytest.approx(mean_over_pairs(correct), rel=1e-9)
    assert found.shared_variance == pytest.approx(variance_ratio_over_pairs(correct), rel=1e-9)
    assert found.mean > 0.1


def test_rows_that_never_vary_correlate_with_none_and_add_no_variance():
    correct = np.vstack([alike(6, 40, seed=1), np.ones((1, 40), np.uint8), np.zeros((2, 40), np.uint8)])
    found = correlation(correct)
    assert found.mean == pytest.approx(mean_over_pairs(correct[:6]), rel=1e-9)
    assert found.shared_variance == pytest.approx(variance_ratio_over_pairs(correct), rel=1e-9)


def test_for_models_of_equal_accuracy_sharing_saves_the_correlation():
    """Two rows of accuracy 1/2 that agree on three queries of four: phi is 1/2."""
    found = correlation(np.array([[1, 1, 0, 0] * 2, [1, 1, 0, 0, 1, 0, 1, 0]], np.uint8))
    assert found.mean == pytest.approx(0.5)
    assert found.shared_variance == pytest.approx(0.5)


def test_the_share_of_variance_is_what_a_simulation_of_both_samplings_finds():
    correct = alike(2, 300, seed=4)
    rng = np.random.default_rng(0)
    num_draws = 40_000
    queries, others = rng.integers(300, size=(2, num_draws))
    shared = np.var(correct[0, queries].astype(float) - correct[1, queries])
    independent = np.var(correct[0, queries].astype(float) - correct[1, others])
    # Each variance is known to about 1%; the ratio to 1.5%: 5 standard errors are 7%, one false alarm in a million.
    assert correlation(correct).shared_variance == pytest.approx(shared / independent, rel=0.07)


def test_copies_correlate_fully_and_opposites_inversely():
    row = alike(1, 50)[0]
    assert correlation(np.stack([row, row, row])) == pytest.approx((1.0, 0.0), abs=1e-9)
    assert correlation(np.stack([row, 1 - row])) == pytest.approx((-1.0, 2.0))


def test_where_nothing_varies_nothing_is_known():
    assert correlation(np.ones((3, 4), np.uint8)) == (None, None)
    assert correlation(np.array([[1, 0], [1, 1]], np.uint8)).mean is None


def test_models_that_answer_alike_are_grouped_in_the_order_of_the_first():
    rows = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1], [0, 1, 1], [0, 0, 1], [1, 0, 1]], np.uint8)
    assert identical_models(rows) == ((0, 2, 5), (1, 4))
    assert identical_models(rows[:2]) == ()


def test_the_nearest_difference_agrees_with_comparing_all_pairs():
    correct = (np.random.default_rng(0).random((9, 50)) < 0.6).astype(np.uint8)
    nearest = [
        min((row != other).mean() for place, other in enumerate(correct) if place != own)
        for own, row in enumerate(correct)
    ]
    assert nearest_difference(correct) == pytest.approx(np.median(nearest))
