"""Uniform sampling: every model answers the same number of queries, and the highest mean is recommended.

The baseline of every study of best-arm identification.

Source: e.g. Bubeck, Munos and Stoltz, "Pure Exploration in Multi-armed Bandits Problems", ALT 2009, section 3.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from gembench.policy import Ask, Memory, Problem, Sampling, Stage, Step, Tally, TallyOnly, mean_accuracy


@dataclass(frozen=True)
class Uniform(TallyOnly):
    """B // M queries of every model, and one more of as many models, drawn at random, as pulls are left over."""

    sampling: ClassVar[Sampling] = "independent"

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """One block, and one for the remainder."""
        queries_per_model, remainder = divmod(problem.budget, problem.num_models)
        block = Stage(problem.num_models, queries_per_model, in_step=True)
        return (block, Stage(remainder, 1)) if remainder else (block,)

    def ask(self, rng_key: Array, step: Step, tally: Tally, memory: Memory) -> Ask:
        """Every model, then the lucky ones."""
        del memory
        stage = self.plan(step.problem)[step.stage]
        if step.stage == 0:
            models = jnp.arange(stage.num_models, dtype=jnp.int32)
        else:
            drawn = jax.random.permutation(rng_key, step.problem.num_models).astype(jnp.int32)
            # Whoever can answer no more, as those that failed in a live search, comes last.
            has_no_more = tally.pulls[drawn] == step.problem.num_queries
            models = drawn[jnp.argsort(has_no_more, stable=True)][: stage.num_models]
        return Ask(models, jnp.full(stage.num_models, stage.max_queries, jnp.int32))

    def recommend(self, rng_key: Array, problem: Problem, tally: Tally, memory: Memory) -> Array:
        """The means."""
        del rng_key, problem, memory
        return mean_accuracy(tally)
