r"""Sequential halving: after each round the worse half leaves.

$\lceil\log_2 M\rceil$ rounds of equal budget; in each, every survivor answers equally many fresh queries, and the half
with the best score *in that round* stays on.

Source: Karnin, Koren and Somekh, "Almost Optimal Exploration in Multi-Armed Bandits", ICML 2013, algorithm 3.
"""

from dataclasses import dataclass
from typing import ClassVar

from jax import Array

from gembench.elimination import Elimination, Round, equal_rounds
from gembench.policy import Problem, Sampling, Tally


@dataclass(frozen=True)
class SequentialHalving(Elimination):
    """Sequential halving as published: fresh queries each round, and only that round's answers count."""

    sampling: ClassVar[Sampling] = "independent"

    def rounds(self, problem: Problem) -> tuple[Round, ...]:
        """Equal budgets."""
        return equal_rounds(problem)

    def counted(self, num_correct: Array, tally: Tally, models: Array) -> Array:
        """This round's answers: what was paid for earlier is forgotten."""
        del tally, models
        return num_correct
