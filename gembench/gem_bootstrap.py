"""How surely models are hidden gems, had other queries of the same kind been asked: a bootstrap over queries.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 6: the units that were drawn at random
are drawn again with replacement. Here these are the queries, whole columns of the tensor, so that models that err
together go on doing so. The models and their downloads stay what they are.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gembench.errors import UsageError
from gembench.gems import checked_downloads, is_at_top, num_top

_CELLS_AT_ONCE = 1 << 23
_EXACT_FLOAT32 = 1 << 24


def gem_counts(
    correct: NDArray[np.uint8], downloads: ArrayLike, *, num_resamples: int, seed: int = 0
) -> NDArray[np.int64]:
    """In how many resamples of the queries each model is a hidden gem, as `gems.hidden_gems` has it: [M] int64.

    A share of B resamples has a standard error of at most 1 / (2 sqrt(B)), 0.5% at 10,000.

    Args:
        correct: [M, Q] of 0 and 1, the answers of all models to all queries.
        downloads: [M], whole numbers; NaN where unknown.
        num_resamples: B, how often Q queries are drawn from the Q with replacement.
        seed: of the draws; the same seed gives the same counts.

    Raises:
        UsageError: a model's downloads are unknown, or the lengths differ.
    """
    num_models, num_queries = correct.shape
    is_popular = is_at_top(checked_downloads(downloads, num_models))
    if num_resamples < 1:
        raise UsageError(f"a bootstrap needs a resample at least, got {num_resamples}.")
    rng = np.random.default_rng(seed)
    at_once = max(1, min(num_resamples, _CELLS_AT_ONCE // (num_queries + num_models)))
    num_found = np.zeros(num_models, dtype=np.int64)
    lowest = num_models - num_top(num_models)
    for first in range(0, num_resamples, at_once):
        weights = _draw(rng, min(at_once, num_resamples - first), num_queries)
        num_right = _right_answers(weights, correct)
        is_gem = ~is_popular & (num_right > num_right[:, is_popular].max(axis=1, keepdims=True))
        is_gem &= num_right >= np.partition(num_right, lowest, axis=1)[:, lowest, None]
        num_found += is_gem.sum(axis=0)
    return num_found


def _draw(rng: np.random.Generator, num_resamples: int, num_queries: int) -> NDArray[np.int64]:
    """How often each resample holds each query: [B, Q], every row adding up to Q."""
    drawn = rng.integers(num_queries, size=(num_resamples, num_queries))
    drawn += np.arange(num_resamples)[:, None] * num_queries
    counts = np.bincount(drawn.ravel(), minlength=num_resamples * num_queries)
    return counts.reshape(num_resamples, num_queries)


def _right_answers(weights: NDArray[np.int64], correct: NDArray[np.uint8]) -> NDArray[np.floating]:
    """[B, M] right answers, exact: whole numbers of at most Q in floats, which are what is multiplied fast."""
    num_queries = correct.shape[1]
    dtype = np.float32 if num_queries <= _EXACT_FLOAT32 else np.float64
    by_query = weights.astype(dtype)
    num_right = np.empty((len(weights), len(correct)), dtype=dtype)
    rows_at_once = max(1, _CELLS_AT_ONCE // num_queries)
    for first in range(0, len(correct), rows_at_once):
        rows = slice(first, first + rows_at_once)
        num_right[:, rows] = by_query @ correct[rows].T.astype(dtype)
    return num_right
