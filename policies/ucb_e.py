r"""UCB-E: the optimistic policy for fixed-budget best-arm identification.

Each pull goes to the model with the highest $\hat\mu_m + \sqrt{a / n_m}$; the highest mean is recommended.

Source: Audibert, Bubeck and Munos, "Best Arm Identification in Multi-Armed Bandits", COLT 2010, figure 1.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from gembench.block_maximum import BlockMaximum, build, draw_best, replace_one
from gembench.errors import PolicySettingError
from gembench.lanes import take
from gembench.policy import Ask, Problem, Sampling, Stage, Step, Tally, every_model_then_one_pull, mean_accuracy


@dataclass(frozen=True)
class UCBE:
    """UCB-E.

    Only the model that has just answered changes its score, so the scores are kept, in blocks.

    Attributes:
        exploration: a of the source, which suggests 25 (B - M) / (36 H_1) for a hardness H_1 that no search knows
            beforehand. The default makes the width two standard errors of the least certain mean.

    Raises:
        PolicySettingError: `exploration` is not positive and finite.
    """

    exploration: float = 1.0

    sampling: ClassVar[Sampling] = "independent"

    def __post_init__(self) -> None:
        if not 0 < self.exploration < math.inf:
            raise PolicySettingError(f"exploration must be positive and finite, got {self.exploration}.")

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """Every model once, then one pull at a time."""
        return every_model_then_one_pull(problem)

    def start(self, problem: Problem) -> BlockMaximum:
        """No score yet."""
        return build(jnp.zeros(problem.num_models, jnp.float32))

    def ask(self, rng_key: Array, step: Step, tally: Tally, memory: BlockMaximum) -> Ask:
        """The most promising model."""
        del tally
        if step.stage == 0:
            everyone = jnp.arange(step.problem.num_models, dtype=jnp.int32)
            return Ask(everyone, jnp.ones_like(everyone))
        return Ask(draw_best(rng_key, memory)[None], jnp.ones(1, jnp.int32))

    def learn(self, step: Step, asked: Ask, num_correct: Array, tally: Tally, memory: BlockMaximum) -> BlockMaximum:
        """New scores for the models that answered; an exhausted model promises nothing more."""
        del num_correct
        pulls, correct = (take(count, asked.models).astype(jnp.float32) for count in tally)
        scores = correct / pulls + jnp.sqrt(self.exploration / pulls)
        scores = jnp.where(pulls < step.problem.num_queries, scores, -jnp.inf)
        if step.stage == 0:
            return build(scores)
        return replace_one(memory, asked.models[0], scores[0])

    def recommend(self, rng_key: Array, problem: Problem, tally: Tally, memory: BlockMaximum) -> Array:
        """The means."""
        del rng_key, problem, memory
        return mean_accuracy(tally)

    def withdraw(self, is_out: Array, memory: BlockMaximum) -> BlockMaximum:
        """They promise nothing more."""
        scores = memory.scores.reshape(-1)[: is_out.size]
        return build(jnp.where(is_out, -jnp.inf, scores))
