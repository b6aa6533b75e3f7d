"""Intervals of the difference of two models' accuracies, from queries that both answered; valid at any stopping time.

Each query is of one of three kinds: only the first model answers it right, only the second does, or both do alike. The
queries that both answered are the first of one random order, so that the prior-posterior ratio of the three totals is a
martingale as in `gembench.confidence`, and the interval holds the differences of all totals that are not excluded. One
set of the totals together gives intervals up to a fifth narrower than two sets, of either kind at half the error.

The prior is Dirichlet-multinomial with parameters 1, 1 and 5: relatives of one base mostly answer alike.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gembench.confidence import as_log_limit, last_true, log_ratio

_PRIOR = (1, 1, 5)


def difference_interval(
    num_common: ArrayLike, num_only_first: ArrayLike, num_only_second: ArrayLike, num_queries: int, *, error: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The interval of accuracy(first) - accuracy(second) over all queries, valid by itself at any stopping time.

    Args:
        num_common: [...] int, queries that both answered: any number of the first queries of one random order, which
            both models met.
        num_only_first: [...] int, how many of them only the first model answered right.
        num_only_second: [...] int, how many of them only the second answered right.
        num_queries: Q.
        error: how probable it may be, in (0, 1), that the interval ever misses.

    Returns:
        The lowest and the highest difference, each [...] float64, in [-1, 1].

    Raises:
        ValueError: the error is not in (0, 1), or counts contradict each other.
    """
    log_limit = as_log_limit(error)
    seen = as_kinds(num_common, num_only_first, num_only_second, num_queries)
    high = largest_difference(seen, num_queries, log_limit)
    low = -largest_difference(seen[[1, 0, 2]], num_queries, log_limit)
    return low / num_queries, high / num_queries


def as_kinds(
    num_common: ArrayLike, num_only_first: ArrayLike, num_only_second: ArrayLike, num_queries: int
) -> NDArray[np.int64]:
    """Common queries by kind, [3, ...] int64: only the first right, only the second, alike.

    Raises:
        ValueError: the counts contradict each other.
    """
    counts = (np.asarray(each, dtype=np.int64) for each in (num_common, num_only_first, num_only_second))
    common, only_first, only_second = np.broadcast_arrays(*counts)
    seen = np.stack([only_first, only_second, common - only_first - only_second])
    if (seen < 0).any() or (common > num_queries).any():
        raise ValueError(f"pairs need answers that only one has right <= common queries <= {num_queries} queries.")
    return seen


def largest_difference(seen: NDArray[np.int64], num_queries: int, log_limit: float) -> NDArray[np.int64]:
    """The largest difference in each set, first minus second, in queries: [...]."""
    num_unseen = num_queries - seen.sum(axis=0)
    return last_true(
        lambda difference: may_differ_by(difference, seen, num_queries, log_limit),
        _likeliest_difference(seen, num_queries),
        seen[0] - seen[1] + num_unseen,
    )


def may_differ_by(
    difference: int | NDArray[np.int64], seen: NDArray[np.int64], num_queries: int, log_limit: float
) -> NDArray[np.bool_]:
    """Whether a set has totals of which the first exceeds the second by `difference` queries or more, [...].

    The likelihood of the totals is a product of one log-concave factor each. Under such a function (its logarithm is
    M-concave: Murota, "Discrete Convex Analysis", 2003) any totals can be led to the likeliest ones by moving single
    queries from one kind to another, never to less likely totals. Some such move lessens the difference by 1 or 2 as
    long as it is larger than that of the likeliest. So the likeliest totals with at least `difference` exceed it by 0
    or 1, or are the likeliest of all.
    """
    wanted = np.broadcast_to(np.asarray(difference, dtype=np.int64), seen.shape[1:])
    is_kept = [_least_log_ratio(wanted + excess, seen, num_queries) < log_limit for excess in (0, 1)]
    return np.asarray((wanted <= _likeliest_difference(seen, num_queries)) | is_kept[0] | is_kept[1])


def _least_log_ratio(difference: NDArray[np.int64], seen: NDArray[np.int64], num_queries: int) -> NDArray[np.float64]:
    """The log ratio of the likeliest totals of exactly this difference; infinite where there are none."""

    def totals(second: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.stack([second + difference, second, num_queries - difference - 2 * second])

    def is_likelier_than_one_less(second: NDArray[np.int64]) -> NDArray[np.bool_]:
        """The likelihood is a product of binomial coefficients, so that neighbours differ by a simple quotient."""
        now = totals(second).astype(np.float64)
        (first, second_total, alike), (first_left, second_left, alike_left) = now, now - seen
        gain = first * second_total * (alike_left + 2) * (alike_left + 1)
        return np.asarray(gain > first_left * second_left * (alike + 2) * (alike + 1))

    fewest = np.maximum(seen[1], seen[0] - difference)
    most = (num_queries - difference - seen[2]) // 2
    likeliest = totals(last_true(is_likelier_than_one_less, fewest, most))
    possible = np.where(fewest <= most, likeliest, seen)
    return np.where(fewest <= most, log_ratio(seen, possible, _PRIOR), np.inf)


def _likeliest_difference(seen: NDArray[np.int64], num_queries: int) -> NDArray[np.int64]:
    """The difference of the likeliest totals.

    They are the seats that D'Hondt's method gives to three parties with these votes, for it gives each seat where the
    likelihood gains most by it. No party gets less than its quota rounded down, which leaves at most two seats over.
    """
    totals = seen * num_queries // np.maximum(seen.sum(axis=0), 1)
    kinds = np.reshape(np.arange(3), (-1,) + (1,) * (seen.ndim - 1))
    for _ in range(2):
        gets_seat = kinds == np.argmax(seen / (totals + 1), axis=0)
        totals = totals + (gets_seat & (totals.sum(axis=0) < num_queries))
    return np.asarray(totals[0] - totals[1])
