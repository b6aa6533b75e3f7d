"""The bootstrap of hidden gems, against every resample that there is and against a slow one of plain loops."""

import itertools

import numpy as np
import pytest

from gembench import gem_bootstrap
from gembench.errors import UsageError
from gembench.gem_bootstrap import gem_counts
from gembench.gems import hidden_gems


def exact_probabilities(correct, downloads):
    """Over all Q^Q equally probable resamples."""
    num_queries = correct.shape[1]
    resamples = list(itertools.product(range(num_queries), repeat=num_queries))
    return np.mean([hidden_gems(correct[:, list(drawn)].mean(axis=1), downloads) for drawn in resamples], axis=0)


@pytest.mark.parametrize("seed", range(3))
def test_the_shares_are_those_of_all_resamples_that_there_are(seed):
    """5 standard errors: for 5 models and 3 seeds, one false alarm in a hundred thousand."""
    rng = np.random.default_rng(seed)
    correct = (rng.random((5, 5)) < 0.6).astype(np.uint8)
    correct[seed] = 1, 1, 1, 0, 1
    downloads = np.where(np.arange(5) == (seed + 1) % 5, 1000, 3)
    exact = exact_probabilities(correct, downloads)
    num_resamples = 20_000
    found = gem_counts(correct, downloads, num_resamples=num_resamples) / num_resamples
    assert (np.abs(found - exact) <= 5 * np.sqrt(exact * (1 - exact) / num_resamples)).all()
    assert 0.02 < exact.max() < 0.98


def test_with_more_than_a_hundred_models_the_top_percent_is_counted_as_hidden_gems_does():
    """Against loops of other draws: 5 standard errors of the difference, over 250 models one in ten thousand."""
    rng = np.random.default_rng(7)
    correct = (rng.random((250, 80)) < rng.uniform(0.3, 0.6, (250, 1))).astype(np.uint8)
    downloads = rng.integers(0, 50, 250)
    slow = np.zeros(250)
    for _ in range(4000):
        slow += hidden_gems(correct[:, rng.integers(80, size=80)].mean(axis=1), downloads)
    found = gem_counts(correct, downloads, num_resamples=4000)
    assert slow.max() > 400
    pooled = (slow + found) / 8000
    assert (np.abs(slow - found) / 4000 <= 5 * np.sqrt(pooled * (1 - pooled) * 2 / 4000) + 1e-12).all()


def test_the_counts_do_not_depend_on_how_much_is_computed_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    correct = (rng.random((30, 40)) < 0.5).astype(np.uint8)
    downloads = rng.integers(0, 1000, 30)
    whole = gem_counts(correct, downloads, num_resamples=500, seed=3)
    assert whole.any()
    assert (gem_counts(correct, downloads, num_resamples=500, seed=4) != whole).any()
    for cells in (1, 100, 3000):
        monkeypatch.setattr(gem_bootstrap, "_CELLS_AT_ONCE", cells)
        assert gem_counts(correct, downloads, num_resamples=500, seed=3).tolist() == whole.tolist()


def test_models_that_err_together_are_drawn_together():
    """A model that is right wherever the popular one is, and once more, is behind in no resample."""
    popular = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], np.uint8)
    better = popular.copy()
    better[3] = 1
    found = gem_counts(np.stack([popular, better]), [100, 1], num_resamples=20_000)
    # It is ahead unless that one query is not drawn: (9/10)^10 is 0.3487. 5 standard errors: one in two million.
    assert found[0] == 0
    assert found[1] / 20_000 == pytest.approx(1 - 0.9**10, abs=5 * np.sqrt(0.3487 * 0.6513 / 20_000))


def test_unknown_downloads_and_no_resamples_are_refused():
    with pytest.raises(UsageError, match="the downloads of 1 of 2 models are unknown"):
        gem_counts(np.ones((2, 3), np.uint8), [1, np.nan], num_resamples=10)
    with pytest.raises(UsageError, match="a resample at least"):
        gem_counts(np.ones((2, 3), np.uint8), [1, 2], num_resamples=0)
