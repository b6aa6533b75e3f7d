"""Asking everything: what any policy comes to when the budget pays for every cell."""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from gembench.policy import Ask, Memory, Problem, Sampling, Stage, Step, Tally, TallyOnly


@dataclass(frozen=True)
class EveryCell(TallyOnly):
    """Asks everything. The order does not matter then."""

    sampling: ClassVar[Sampling] = "shared"

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """Every query of one model after the other, so that each is loaded once."""
        return (Stage(problem.num_models, problem.num_queries, in_step=True),)

    def ask(self, rng_key: Array, step: Step, tally: Tally, memory: Memory) -> Ask:
        """Every model."""
        del rng_key, tally, memory
        everyone = jnp.arange(step.problem.num_models, dtype=jnp.int32)
        return Ask(everyone, jnp.full_like(everyone, step.problem.num_queries))

    def recommend(self, rng_key: Array, problem: Problem, tally: Tally, memory: Memory) -> Array:
        """The accuracies."""
        del rng_key, problem, memory
        return tally.correct
