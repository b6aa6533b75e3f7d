"""How good the recommendations were: rank, accuracy, simple regret and top-k recall of every run, ties fair.

The truth is each model's mean over all queries. A model's rank is 1 + the number of models strictly more accurate, so
that models that tie share the best rank of the tie, and whichever of them is recommended counts as found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gembench.runs import Runs


@dataclass(frozen=True)
class Measures:
    """What the R runs of one policy on one tensor achieved, run by run.

    Attributes:
        rank: [R] int64, rank of the recommended model; 1 is best.
        accuracy: [R] float64, its true accuracy, in [0, 1].
        simple_regret: [R] float64, the best model's accuracy minus its own.
        recall: for each k, [R] float64: the share of the first k recommendations that belong to the true top k. For
            k = 1 it is 1 where the best model, or one that ties with it, was found.
    """

    rank: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    simple_regret: NDArray[np.float64]
    recall: Mapping[int, NDArray[np.float64]]


def ranks_of(accuracy: NDArray[np.float64]) -> NDArray[np.int64]:
    """The rank of every model, [M] int64: 1 + how many are strictly more accurate."""
    ascending = np.sort(accuracy)
    return np.asarray(1 + len(accuracy) - np.searchsorted(ascending, accuracy, side="right"), dtype=np.int64)


def measure(runs: Runs, accuracy: NDArray[np.float64], top_k: Sequence[int] = (1,)) -> Measures:
    """Hold the recommendations of every run against the truth.

    Args:
        runs: the runs of one policy; at least the largest k models recommended in each, or all M.
        accuracy: [M] float64, the truth: each model's mean over all queries.
        top_k: the ks of the recall; a k above M means all M models.

    Raises:
        ValueError: a k is not positive, or the runs recommend fewer models than it needs.
    """
    num_models = len(accuracy)
    num_recommended = runs.recommended.shape[1]
    ranks = ranks_of(accuracy)[runs.recommended]
    recall = {}
    for k in top_k:
        within = min(k, num_models)
        if not 1 <= within <= num_recommended:
            raise ValueError(f"top-{k} recall needs 1 <= k and {within} recommended models, got {num_recommended}.")
        recall[k] = (ranks[:, :within] <= within).mean(axis=1, dtype=np.float64)
    chosen = accuracy[runs.recommended[:, 0]]
    return Measures(rank=ranks[:, 0], accuracy=chosen, simple_regret=accuracy.max() - chosen, recall=recall)
