r"""How alike models answer: copies, rows and queries that tell nothing, and what sharing the queries is worth.

Two models that are asked the *same* N random queries differ in their shares of right answers by something whose
variance is $(v_1 + v_2 - 2 c) / N$, where $v$ are the variances of their 0/1 rows over the queries and $c$ is the
covariance; asked N queries each, drawn apart, it is $(v_1 + v_2) / N$. (Without replacement both shrink by the same
factor.) The ratio of the two, $1 - 2 c / (v_1 + v_2)$, is $1 - \rho$ for models of equal variance, $\rho$ being their
correlation, so that N shared queries tell as much as $N / (1 - \rho)$ independent ones.

M models, Q queries; all of `correct` [M, Q] is uint8, 0 or 1.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_MODELS_TO_PAIR = 4000
"""The nearest model of each is sought among all pairs; beyond this many models that takes too long for a summary."""
_CELLS_AT_ONCE = 1 << 22


class Correlation(NamedTuple):
    """How alike the models are, on average over pairs.

    Attributes:
        mean: the mean correlation (phi) over all pairs of models whose rows are not constant; None for fewer than two.
        shared_variance: variance of the difference of two models' accuracies on shared queries, over that on
            independent ones: the means of both over all pairs, divided. None where no row varies.
    """

    mean: float | None
    shared_variance: float | None


def correlation(correct: NDArray[np.uint8]) -> Correlation:
    r"""The mean correlation between models, without looking at pairs.

    With $z_{mq} = (x_{mq} - p_m) / s_m$, where $p_m$ and $s_m$ are mean and standard deviation (over Q) of row m, the
    correlations of the M' rows with $s_m > 0$ are $\rho_{ml} = \frac1Q \sum_q z_{mq} z_{lq}$, and so their mean over
    pairs is $(\frac1Q \sum_q (\sum_m z_{mq})^2 - M') / (M' (M' - 1))$: a variance of sums. That of the covariances is
    had alike from $x_{mq} - p_m$, and the variances themselves are $p_m (1 - p_m)$.
    """
    num_models, num_queries = correct.shape
    share = correct.sum(axis=1, dtype=np.int64) / num_queries
    variance = share * (1 - share)
    varies = variance > 0
    num_varying = int(varies.sum())
    per_deviation = np.zeros(num_models)
    np.divide(1, np.sqrt(variance), out=per_deviation, where=varies)
    weights = np.stack([per_deviation, np.ones(num_models)])
    sums = np.zeros((2, num_queries))
    rows_at_once = max(1, _CELLS_AT_ONCE // num_queries)
    for first in range(0, num_models, rows_at_once):
        rows = slice(first, first + rows_at_once)
        sums += weights[:, rows] @ correct[rows].astype(np.float64)
    sums -= (weights @ share)[:, None]
    of_deviates, of_answers = np.square(sums).mean(axis=1)
    mean = (of_deviates - num_varying) / (num_varying * (num_varying - 1)) if num_varying > 1 else None
    shared = None
    if num_varying and num_models > 1:
        total = variance.sum()
        mean_covariance = (of_answers - total) / (num_models * (num_models - 1))
        shared = max(0.0, float(1 - mean_covariance / (total / num_models)))
    return Correlation(None if mean is None else float(mean), shared)


def identical_models(correct: NDArray[np.uint8]) -> tuple[tuple[int, ...], ...]:
    """The groups of two or more models that answer every query alike, each by position, in the order of the first."""
    groups: dict[bytes, list[int]] = {}
    for model, row in enumerate(correct):
        groups.setdefault(np.packbits(row).tobytes(), []).append(model)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def nearest_difference(correct: NDArray[np.uint8]) -> float:
    """The median over models of the share of queries that a model and the one most like it answer differently.

    Args:
        correct: [M, Q] of 0 and 1, two models or more.
    """
    num_queries = correct.shape[1]
    answers = correct.astype(np.float32)  # counts up to 2**24 are exact
    num_right = answers.sum(axis=1)
    differing = num_right[:, None] + num_right[None, :] - 2 * (answers @ answers.T)
    np.fill_diagonal(differing, np.inf)
    return float(np.median(differing.min(axis=1)) / num_queries)
