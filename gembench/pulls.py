"""What a search asks of models, and what they reply."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NOT_ASKED, UNGRADED = -2, -1
"""What stands for an answer, beside 0 for wrong and 1 for right."""
ENOUGH_UNGRADED = 8
"""After so many answers, none of which could be graded, a model has failed."""


class Pulls(NamedTuple):
    """What a model, by its number, is to answer: `queries` [n] int32, in the model's order."""

    model: int
    queries: NDArray[np.int32]


@dataclass(frozen=True)
class Reply:
    """A model's answers.

    Attributes:
        correct: [n] int8, by query: 1 right, 0 wrong, `UNGRADED`, or `NOT_ASKED` where a model failed before.
        has_failed: whether the model can answer no more.
    """

    correct: NDArray[np.int8]
    has_failed: bool = False


Answer = Callable[[Sequence[Pulls]], Mapping[int, Reply]]
"""Puts queries to models; gives a reply for each of them. What was asked before is asked again at no cost."""


def is_never_graded(answers: NDArray[np.int8]) -> bool:
    """Whether a model with these answers, [Q] with `NOT_ASKED` among them, has failed for want of a grade."""
    asked = answers[answers != NOT_ASKED]
    return len(asked) >= ENOUGH_UNGRADED and bool((asked == UNGRADED).all())
