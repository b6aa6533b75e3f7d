"""What answers say for certain of accuracies over all queries, whichever queries were asked, and why.

A policy that chooses its queries takes those that tell models apart. They are no random sample, and no interval of
`gembench.confidence` holds for them. What is certain is that right answers stay right and wrong ones wrong. Shapes: M
models, Q queries.
"""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from gembench.pulls import NOT_ASKED


def were_drawn(answers: NDArray[np.int8], models: Iterable[int], order: Callable[[int], NDArray[np.int32]]) -> bool:
    """Whether each of some models answered the first queries of its random order, and no others.

    Then all that `gembench.confidence` says holds, though the policy could have chosen: there, the intervals of *all*
    first parts of an order hold together.

    Args:
        answers: [M, Q] as `Search.answers`.
        models: whose answers count.
        order: for a model's number, all queries, [Q] int32.
    """
    was_asked = answers != NOT_ASKED
    return all(was_asked[model, order(model)[: was_asked[model].sum()]].all() for model in models)


def possible_accuracies(answers: NDArray[np.int8]) -> NDArray[np.float64]:
    """The lowest and the highest accuracy over all queries that each model can have, [M, 2].

    An answer that is not known, or has no grade, may be right or wrong.
    """
    num_right, num_wrong = (answers == 1).sum(axis=1), (answers == 0).sum(axis=1)
    return np.asarray(np.stack([num_right, answers.shape[1] - num_wrong], axis=1) / answers.shape[1])


def possible_regret(answers: NDArray[np.int8]) -> float:
    """By how much the best of the models can be more accurate than the first, in [0, 1]."""
    low, high = possible_accuracies(answers).T
    return max(0.0, float(high[1:].max(initial=0.0) - low[0]))


def possible_lead(first: NDArray[np.int8], second: NDArray[np.int8]) -> tuple[float, float]:
    """The least and the most that a model with answers `first` [Q] can be more accurate than one with `second` [Q]."""
    (low, high), (low_second, high_second) = possible_accuracies(np.stack([first, second]))
    return float(low - high_second), float(high - low_second)
