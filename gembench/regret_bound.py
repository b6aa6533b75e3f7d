"""How much more accurate the best model can be than the recommended one: a bound that holds at any stopping time.

Fix one of the most accurate models, "the best": which one is unknown, but it does not depend on the answers. The
recommended model does. Three statements, each of which fails at some time with the share of the error that is its own:

1. the best model's accuracy is within its interval: one interval, whose upper end is used;
2. each of the M models' accuracies is within its interval: the lower end of the recommended model's is used;
3. each of the M - 1 differences between the best and another model is within its interval, from queries that both
   answered: the upper end of the difference to the recommended model is used.

If all three hold, the best model exceeds the recommended one by no more than the least of 1 and 2 together, and of 3.
As nobody knows which model is the best, the bound is the largest that any model in its place would give: it costs no
further error. Only the recommended model has to be paid for M times, for the answers chose it.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gembench.confidence import as_log_limit, as_tallies, may_reach, most_right
from gembench.paired_difference import as_kinds, may_differ_by

_ROUNDING = 1e-9
"""Of a margin in queries: 0.29 of 100 is 28.999999999999996."""


class PairedCounts(NamedTuple):
    """The recommended model against each on the queries that both answered, all [M] int.

    Only where all models meet one query order: the common queries are then its first. The recommended model's own
    entries do not matter.

    Attributes:
        num_common: queries that both answered.
        num_only_other: how many of them only the other model answered right.
        num_only_recommended: how many of them only the recommended model answered right.
    """

    num_common: ArrayLike
    num_only_other: ArrayLike
    num_only_recommended: ArrayLike


def regret_bound(
    recommended: int,
    num_asked: ArrayLike,
    num_correct: ArrayLike,
    num_queries: int,
    *,
    confidence: float,
    paired: PairedCounts | None = None,
) -> float:
    """A bound on the best model's accuracy minus the recommended one's, in [0, 1].

    With probability `confidence` it holds at all times of a search together, whatever is recommended at each.

    Args:
        recommended: index of the recommended model.
        num_asked: [M] int, answers of each model: any number of the first queries of its random order.
        num_correct: [M] int, how many of them were right.
        num_queries: Q.
        confidence: in (0, 1).
        paired: the recommended model against each, where all models meet one query order.

    Raises:
        ValueError: the confidence is not in (0, 1), or counts contradict each other.
    """
    rivals = _rivals_of(recommended, num_asked, num_correct, num_queries, confidence, paired)
    low, high = 0, num_queries
    while low < high:
        middle = (low + high + 1) // 2
        ahead = rivals.may_be_ahead_by(middle)
        if ahead.any():
            low, rivals = middle, rivals.take(np.flatnonzero(ahead))  # The others are not ahead by more either.
        else:
            high = middle - 1
    return low / num_queries


def is_regret_within(
    margin: float,
    recommended: int,
    num_asked: ArrayLike,
    num_correct: ArrayLike,
    num_queries: int,
    *,
    confidence: float,
    paired: PairedCounts | None = None,
) -> bool:
    """Whether `regret_bound` is at most `margin`, at a fraction of its price: for asking after every answer.

    Args and raises: as `regret_bound`; `margin` is an accuracy in [0, 1].
    """
    rivals = _rivals_of(recommended, num_asked, num_correct, num_queries, confidence, paired)
    if not len(rivals.asked):
        return True
    too_much = math.floor(margin * num_queries + _ROUNDING) + 1
    # Mostly it is too early to stop, and the rival with the fewest answers shows it.
    least_asked = rivals.take(np.argmin(rivals.asked, keepdims=True))
    return not (least_asked.may_be_ahead_by(too_much).any() or rivals.may_be_ahead_by(too_much).any())


@dataclass(frozen=True, eq=False)
class _Rivals:
    """All models but the recommended one, and what is known of them.

    Attributes:
        num_queries: Q.
        recommended_low: the least right answers that the recommended model can have.
        asked: [M - 1].
        correct: [M - 1].
        log_limit: of the interval of the best model's accuracy.
        seen: [3, M - 1], common queries that only the rival answered right, only the recommended model, and both alike.
        difference_log_limit: of the intervals of the differences; `None` without common queries, as is `seen`.
    """

    num_queries: int
    recommended_low: int
    asked: NDArray[np.int64]
    correct: NDArray[np.int64]
    log_limit: float
    seen: NDArray[np.int64] | None = None
    difference_log_limit: float | None = None

    def take(self, indices: NDArray[np.int64]) -> "_Rivals":
        """Some of the rivals."""
        seen = None if self.seen is None else self.seen[:, indices]
        return replace(self, asked=self.asked[indices], correct=self.correct[indices], seen=seen)

    def may_be_ahead_by(self, difference: int) -> NDArray[np.bool_]:
        """Which rivals, [M - 1], no interval excludes from having so many more right answers than the recommended."""
        total = self.recommended_low + difference
        is_ahead = may_reach(total, self.asked, self.correct, self.num_queries, self.log_limit)
        if self.seen is not None and self.difference_log_limit is not None:
            still = np.flatnonzero(is_ahead)
            is_ahead[still] = may_differ_by(
                difference, self.seen[:, still], self.num_queries, self.difference_log_limit
            )
        return is_ahead


def _rivals_of(
    recommended: int,
    num_asked: ArrayLike,
    num_correct: ArrayLike,
    num_queries: int,
    confidence: float,
    paired: PairedCounts | None,
) -> _Rivals:
    asked, correct = as_tallies(num_asked, num_correct, num_queries)
    num_models, error = len(asked), 1 - confidence
    others = np.delete(np.arange(num_models), recommended)
    share = error / 2 if paired is None else error / 4  # Of the statements 1 and 2 each.
    own = np.array([recommended])
    most_wrong = most_right(asked[own], asked[own] - correct[own], num_queries, as_log_limit(share / num_models))
    rivals = _Rivals(num_queries, num_queries - int(most_wrong[0]), asked[others], correct[others], as_log_limit(share))
    if paired is None or num_models == 1:
        return rivals
    common, only_other, only_recommended = (np.asarray(each, dtype=np.int64)[others] for each in paired)
    if (common > np.minimum(rivals.asked, asked[recommended])).any():
        raise ValueError("a model has more queries in common with the recommended one than one of them answered.")
    seen = as_kinds(common, only_other, only_recommended, num_queries)
    return replace(rivals, seen=seen, difference_log_limit=as_log_limit(error / 2 / len(others)))
