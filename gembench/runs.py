"""What the runs of one policy did: the simulator writes it, measures and reports read it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Runs:
    """The outcome of R randomized runs of one policy on one tensor.

    Attributes:
        recommended: [R, K] int32, the first K models of each run's ranking, best first, as rows of the tensor.
        pulls: [R] int64, pulls paid for.
        model_loads: [R] int64, how often a model other than the last one loaded was asked.
        cost_seconds: [R] float64, seconds of loading and answering.
        best_pulls: [R] int64, answers of each run's first recommended model.
        best_correct: [R] int64, how many of them were right.
        distinct_queries: [R] float64, queries that any model was asked: what a label for each of them costs. Where each
            model meets the queries in its own order, what is to be expected of so many pulls.
        decision_digests: one hex sha256 a run over its asks in order, where asked for.
    """

    recommended: NDArray[np.int32]
    pulls: NDArray[np.int64]
    model_loads: NDArray[np.int64]
    cost_seconds: NDArray[np.float64]
    best_pulls: NDArray[np.int64]
    best_correct: NDArray[np.int64]
    distinct_queries: NDArray[np.float64]
    decision_digests: tuple[str, ...] | None = None
