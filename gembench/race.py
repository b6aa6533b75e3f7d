"""What a replay races over: the answers of M models to Q queries, all known, and what they cost."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Race:
    """A complete tensor in the simulator's terms.

    Attributes:
        correct: [M, Q] uint8, 1 where the model answers the query right, 0 where wrong. Nothing is missing.
        load_seconds: [M] float64, seconds to load each model.
        query_seconds: [M] float64, mean seconds each model takes to answer one query.
    """

    correct: NDArray[np.uint8]
    load_seconds: NDArray[np.float64]
    query_seconds: NDArray[np.float64]

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """The truth: [M] float64, each model's mean over all queries."""
        return np.asarray(self.correct.mean(axis=1, dtype=np.float64))
