"""When a hot swap is to be checked by a fresh engine, and what follows if the two do not say the same.

A canary is a handful of requests that the swapped engine has answered, answered again by a fresh engine with the same
checkpoint. Nothing here asks anything: these are the decisions alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from gembench.evaluate.evaluator import Answer


def agree(left: Sequence[Answer], right: Sequence[Answer], tolerance: float) -> bool:
    """Whether two engines' answers to the same requests, in their order, are the same.

    Texts, lengths and greediness must be equal, and log-likelihoods no further apart than `tolerance` times the number
    of tokens that went in: each token's rounding counts.
    """
    return len(left) == len(right) and all(
        _agree_on_one(one, other, tolerance) for one, other in zip(left, right, strict=True)
    )


def _agree_on_one(one: Answer, other: Answer, tolerance: float) -> bool:
    if (one.text, one.is_greedy, one.is_too_long) != (other.text, other.is_greedy, other.is_too_long):
        return False
    if one.log_likelihood is None or other.log_likelihood is None:
        return one.log_likelihood is other.log_likelihood
    # NaN agrees with nothing, itself included.
    return one.prompt_tokens == other.prompt_tokens and math.isclose(
        one.log_likelihood, other.log_likelihood, rel_tol=0.0, abs_tol=tolerance * max(1, one.prompt_tokens)
    )


@dataclass
class _Architecture:
    """What is remembered of the swaps within one architecture.

    Attributes:
        num_swaps: how many there were.
        unchecked: the models swapped in since a fresh engine last agreed, in their order.
        is_trusted: whether swaps go on.
    """

    num_swaps: int = 0
    unchecked: list[str] = field(default_factory=list)
    is_trusted: bool = True


class Canary:
    """Which swaps are checked: the first of an architecture always, and every `every`-th.

    Args:
        every: how many swaps of one architecture come between two checks; 0 for the first alone.
    """

    def __init__(self, every: int) -> None:
        if every < 0:
            raise ValueError(f"every must be 0 or more, got {every}.")
        self._every = every
        self._architectures: dict[str, _Architecture] = {}

    def may_swap(self, architecture: str) -> bool:
        """Whether models of an architecture may still follow each other in one live engine."""
        return self._of(architecture).is_trusted

    def swapped(self, architecture: str, model: str) -> bool:
        """Note that a model was swapped in and has answered; True if a fresh engine must now answer again."""
        known = self._of(architecture)
        known.num_swaps += 1
        known.unchecked.append(model)
        return known.num_swaps == 1 or (self._every > 0 and known.num_swaps % self._every == 0)

    def unchecked(self, architecture: str) -> tuple[str, ...]:
        """The models swapped in since a fresh engine last agreed, in their order."""
        return tuple(self._of(architecture).unchecked)

    def agreed(self, architecture: str) -> None:
        """A fresh engine said the same: the rows so far stand."""
        self._of(architecture).unchecked.clear()

    def disagreed(self, architecture: str) -> tuple[str, ...]:
        """A fresh engine said something else: no more swaps. Returns the models whose rows are to be recorded again."""
        known = self._of(architecture)
        known.is_trusted = False
        again, known.unchecked = tuple(known.unchecked), []
        return again

    def _of(self, architecture: str) -> _Architecture:
        return self._architectures.setdefault(architecture, _Architecture())
