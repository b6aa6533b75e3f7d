"""What the optimistic policies share: each pull goes to the highest mean plus width."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from gembench.policy import Ask, Memory, Problem, Stage, Step, Tally, mean_accuracy
from gembench.ranking import best_model


class Outlook(NamedTuple):
    """The mean and the confidence width of every model, each [M] float32.

    Only the models that have just answered change, so both are kept instead of being made again at every pull.
    """

    mean: Array
    width: Array


@dataclass(frozen=True)
class Optimism:
    """Base of the optimistic policies: a subclass gives the width, and how it grows with the pulls made so far."""

    @abstractmethod
    def width(self, pulls: Array, mean: Array) -> Array:
        """The confidence width [S] float32 of models with these tallies."""

    def growth(self, num_pulls: Array) -> Array:
        """The factor (float32) on every width after `num_pulls` pulls of all models; 1 unless a policy says more."""
        return jnp.ones_like(num_pulls, jnp.float32)

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """Every model once, then one pull at a time."""
        every_model_once = Stage(problem.num_models, 1)
        one_pull = Stage(1, 1, problem.budget - problem.num_models)
        return (every_model_once, one_pull) if one_pull.repeats else (every_model_once,)

    def start(self, problem: Problem) -> Memory:
        """Nothing known."""
        return Outlook(*(jnp.zeros(problem.num_models, jnp.float32) for _ in Outlook._fields))

    def ask(self, rng_key: Array, step: Step, tally: Tally, memory: Outlook) -> Ask:
        """The most promising model."""
        del tally
        if step.stage == 0:
            everyone = jnp.arange(step.problem.num_models, dtype=jnp.int32)
            return Ask(everyone, jnp.ones_like(everyone))
        growth = self.growth(step.problem.budget - step.pulls_left)
        most_promising = best_model(rng_key, memory.mean + growth * memory.width)
        return Ask(most_promising[None], jnp.ones(1, jnp.int32))

    def learn(self, step: Step, asked: Ask, num_correct: Array, tally: Tally, memory: Outlook) -> Outlook:
        """New means and widths for the models that answered; an exhausted model promises nothing more."""
        del num_correct
        models = asked.models
        pulls = tally.pulls[models].astype(jnp.float32)
        mean = tally.correct[models].astype(jnp.float32) / pulls
        width = jnp.where(pulls < step.problem.num_queries, self.width(pulls, mean), -jnp.inf)
        return Outlook(memory.mean.at[models].set(mean), memory.width.at[models].set(width))

    def recommend(self, rng_key: Array, problem: Problem, tally: Tally, memory: Outlook) -> Array:
        """The means."""
        del rng_key, problem, memory
        return mean_accuracy(tally)
