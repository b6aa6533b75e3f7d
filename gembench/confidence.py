r"""Intervals of accuracies that hold at any stopping time, for queries met in random order without replacement.

A model answers K of Q queries right. After t answers, k of them right, the ratio of prior to posterior probability of
the true K, $R_t(K) = \pi(K) / \pi(K \mid t, k)$, is a martingale that starts at 1, whatever the prior. By Ville's
inequality it reaches 1 / error at some t with probability at most `error`, so that the sets
$\{K : R_t(K) < 1 / error\}$ of *all* t contain the truth together with probability 1 - error. Hence the set at the last
t does, however that t came about: by a budget, by a policy that looks at every answer, even by one that looks at
other models' answers to the queries to come, as a policy may under shared sampling. Only the order must be random.

The prior is uniform over K = 0 ... Q. Symmetric beta-binomial priors with parameters up to 5 make intervals at most 7%
narrower at accuracies from 0.3 to 0.8, and wider ones at 0.95, by up to 40%.

Source: Waudby-Smith and Ramdas, "Confidence sequences for sampling without replacement", NeurIPS 2020, section 2.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

_UNIFORM = (1, 1)
_ROUNDING = 1e-8
"""A log ratio is a sum of terms up to some Q log Q, Q at most millions. What is excluded by less than this is kept."""


def accuracy_intervals(
    num_asked: ArrayLike, num_correct: ArrayLike, num_queries: int, *, error: float
) -> NDArray[np.float64]:
    """The interval of each model's accuracy over all queries, each valid by itself at any stopping time.

    Args:
        num_asked: [M] int, answers of each model: any number of the first queries of its random order.
        num_correct: [M] int, how many of them were right.
        num_queries: Q.
        error: how probable it may be, in (0, 1), that a model's interval ever misses.

    Returns:
        [M, 2] float64, the lowest and the highest accuracy. (0, 1) for a model without answers; both ends are the
        accuracy itself for one that answered everything.

    Raises:
        ValueError: the error is not in (0, 1), or counts contradict each other.
    """
    log_limit = as_log_limit(error)
    asked, correct = as_tallies(num_asked, num_correct, num_queries)
    tallies, of_model = np.unique(asked * (num_queries + 1) + correct, return_inverse=True)
    asked, correct = np.divmod(tallies, num_queries + 1)
    high = most_right(asked, correct, num_queries, log_limit)
    low = num_queries - most_right(asked, asked - correct, num_queries, log_limit)
    return np.asarray(np.stack([low, high], axis=1)[of_model] / num_queries)


def simultaneous_accuracy_intervals(
    num_asked: ArrayLike, num_correct: ArrayLike, num_queries: int, *, confidence: float
) -> NDArray[np.float64]:
    """The intervals of all M models' accuracies, which hold together with probability `confidence`.

    A recommended model is chosen by the very answers that its interval rests on, so that an interval valid by itself
    does not cover it: the best of many is best in part by luck. These intervals cover it, whatever chose it. They have
    an error of (1 - confidence) / M each, and so has the interval of one selected model by the corrections for
    selection of Benjamini and Yekutieli, "False discovery rate-adjusted multiple confidence intervals for selected
    parameters", JASA 2005, and of Xu, Wang and Ramdas, "Post-selection inference for e-value based confidence
    intervals", 2022, arXiv 2203.12572. Where no two models' intervals ever miss together, and the selection prefers
    one that misses, no larger error would do.

    Args and raises: as `accuracy_intervals`; `confidence` is in (0, 1).
    """
    return accuracy_intervals(num_asked, num_correct, num_queries, error=(1 - confidence) / max(1, np.size(num_asked)))


def as_log_limit(error: float) -> float:
    """The logarithm that the ratio of what is excluded exceeds.

    Raises:
        ValueError: the error is not in (0, 1).
    """
    if not 0 < error < 1:
        raise ValueError(f"a probability of error, 1 - confidence, lies between 0 and 1, got {error}.")
    return _ROUNDING - math.log(error)


def as_tallies(
    num_asked: ArrayLike, num_correct: ArrayLike, num_queries: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Answers and right answers, [M] int64 both.

    Raises:
        ValueError: the counts contradict each other.
    """
    asked = np.array(num_asked, dtype=np.int64, ndmin=1)
    correct = np.array(num_correct, dtype=np.int64, ndmin=1)
    if (correct < 0).any() or (correct > asked).any() or (asked > num_queries).any():
        raise ValueError(f"tallies need 0 <= right answers <= answers <= {num_queries} queries.")
    return asked, correct


def most_right(
    asked: NDArray[np.int64], correct: NDArray[np.int64], num_queries: int, log_limit: float
) -> NDArray[np.int64]:
    """The largest K of each set, [M]."""
    return last_true(
        lambda count: may_reach(count, asked, correct, num_queries, log_limit),
        _likeliest(asked, correct, num_queries),
        num_queries - asked + correct,
    )


def may_reach(
    count: int | NDArray[np.int64],
    asked: NDArray[np.int64],
    correct: NDArray[np.int64],
    num_queries: int,
    log_limit: float,
) -> NDArray[np.bool_]:
    """Whether a set has a K of `count` or more, [M].

    The ratio falls up to the likeliest K, where it is at most 1, and rises from there on: the set has no gap.
    """
    highest = num_queries - asked + correct
    total = np.clip(count, correct, highest)
    seen, totals = np.stack([correct, asked - correct]), np.stack([total, num_queries - total])
    is_kept = (count <= highest) & (log_ratio(seen, totals, _UNIFORM) < log_limit)
    return np.asarray(is_kept | (count <= _likeliest(asked, correct, num_queries)))


def log_ratio(seen: NDArray[np.int64], totals: NDArray[np.int64], prior: tuple[int, ...]) -> NDArray[np.float64]:
    """The logarithm of the prior-posterior ratio of a population of C kinds, some members of which were seen.

    With a Dirichlet-multinomial prior it is that of the Pólya urn's probability of what was seen over its probability
    given the totals, both for any one order of the draws.

    Args:
        seen: [C, ...], how many of each kind were drawn.
        totals: [C, ...], how many of each kind there are: at least as many.
        prior: the C parameters of the prior.
    """
    num_seen, num_all = seen.sum(axis=0), totals.sum(axis=0)
    weight = np.reshape(prior, (-1,) + (1,) * num_seen.ndim)
    factorial = _log_factorials(int(num_all.max(initial=0)) + sum(prior))
    urn = (factorial[seen + weight - 1] - factorial[weight - 1]).sum(axis=0)
    urn -= factorial[num_seen + sum(prior) - 1] - factorial[sum(prior) - 1]
    draws = (factorial[totals] - factorial[totals - seen]).sum(axis=0)
    draws -= factorial[num_all] - factorial[num_all - num_seen]
    return np.asarray(urn - draws)


def last_true(
    predicate: Callable[[NDArray[np.int64]], NDArray[np.bool_]], low: NDArray[np.int64], high: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The largest integers up to `high` at which the predicate holds: it holds at `low`, and once it fails, for good.

    Where `high` is below `low`, the answer means nothing.
    """
    while (low < high).any():
        middle = (low + high + 1) // 2
        holds = predicate(middle)
        low, high = np.where(holds, middle, low), np.where(holds, high, middle - 1)
    return low


def _likeliest(asked: NDArray[np.int64], correct: NDArray[np.int64], num_queries: int) -> NDArray[np.int64]:
    """The K under which the answers are likeliest: the mode of the hypergeometric likelihood."""
    return np.clip(correct * (num_queries + 1) // np.maximum(asked, 1), correct, num_queries - asked + correct)


@lru_cache(maxsize=16)
def _log_factorials(largest: int) -> NDArray[np.float64]:
    """Log of n! for n = 0 ... largest."""
    table = np.asarray(gammaln(np.arange(largest + 1) + 1.0))
    table.setflags(write=False)
    return table
