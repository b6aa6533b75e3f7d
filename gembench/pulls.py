"""What a search asks of models, and what they reply."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NOT_ASKED, UNGRADED = -2, -1
"""What stands for an answer, beside 0 for wrong and 1 for right."""


class Pulls(NamedTuple):
    """What a model, by its number, is to answer: `queries` [n] int32, in the model's order."""

    model: int
    queries: NDArray[np.int32]


@dataclass(frozen=True)
class Reply:
    """A model's answers.

    Attributes:
        correct: [n] int8, by query: 1 right, 0 wrong, `UNGRADED`, or `NOT_ASKED` where a model failed before. A model
            none of whose answers, ever, could be graded has failed.
        has_failed: whether the model can answer no more.
    """

    correct: NDArray[np.int8]
    has_failed: bool = False


Answer = Callable[[Sequence[Pulls]], Mapping[int, Reply]]
"""Puts queries to models; gives a reply for each of them. What was asked before is asked again at no cost."""
