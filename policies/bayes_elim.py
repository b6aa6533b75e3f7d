"""Bayesian elimination: sequential halving by posterior mean.

The rounds are those of sequential halving; the half with the highest posterior mean, given all that a model has
answered so far, stays on. Every model starts from the same Beta prior, and all survivors have answered equally many
queries, so the posterior means rank as the counts of right answers do, whatever the prior is.

Source: Atsidakou, Katariya, Sanghavi and Kveton, "Bayesian Fixed-Budget Best-Arm Identification", arXiv 2211.08572,
algorithm 1.
"""

from dataclasses import dataclass
from typing import ClassVar

from jax import Array

from gembench.elimination import Elimination, Round, equal_rounds
from gembench.lanes import take
from gembench.policy import Problem, Sampling, Tally


@dataclass(frozen=True)
class BayesElim(Elimination):
    """Bayesian elimination of Bernoulli models under one common Beta prior."""

    sampling: ClassVar[Sampling] = "independent"

    def rounds(self, problem: Problem) -> tuple[Round, ...]:
        """Equal budgets."""
        return equal_rounds(problem)

    def counted(self, num_correct: Array, tally: Tally, models: Array) -> Array:
        """Everything that the models have answered."""
        del num_correct
        return take(tally.correct, models)
