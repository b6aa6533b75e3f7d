"""What is a score, and what became of queries by their scores alone."""

import numpy as np
from numpy.typing import NDArray

from gembench.data.outcomes import Outcome

ROUNDING = 1e-9
"""So far beyond 0 and 1 may sums of floats end that are none of them."""


def is_score(value: object) -> bool:
    """Whether a value is a number in [0, 1], but for rounding."""
    return isinstance(value, int | float) and -ROUNDING <= value <= 1 + ROUNDING


def outcomes_of(score: NDArray[np.float64], without: Outcome = Outcome.UNGRADED) -> NDArray[np.uint8]:
    """[n] answered where there is a score, `without` where it is NaN."""
    return np.where(np.isnan(score), np.uint8(without), np.uint8(Outcome.ANSWERED))
