"""What the UCB policies share: each pull goes to the highest mean plus width, and all widths grow with time."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from gembench.errors import PolicySettingError
from gembench.lanes import put, take
from gembench.policy import Ask, Memory, Problem, Stage, Step, Tally, every_model_then_one_pull, mean_accuracy
from gembench.ranking import best_model


class Outlook(NamedTuple):
    """What a pull changes in one place, kept instead of being made again at every pull.

    Attributes:
        mean: the mean of every model, [M] float32.
        width: its confidence width but for the square root of ln t, [M] float32.
        time: t, the pulls so far, int32.
    """

    mean: Array
    width: Array
    time: Array


@dataclass(frozen=True)
class Optimism:
    """Base of the UCB policies: a subclass gives the width.

    Attributes:
        exploration: c, the factor on ln t; its default is the subclass's.

    Raises:
        PolicySettingError: `exploration` is not positive and finite.
    """

    exploration: float

    def __post_init__(self) -> None:
        if not 0 < self.exploration < math.inf:
            raise PolicySettingError(f"exploration must be positive and finite, got {self.exploration}.")

    @abstractmethod
    def width(self, pulls: Array, mean: Array) -> Array:
        """The confidence width [S] float32 of models with these tallies, but for the square root of ln t."""

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """Every model once, then one pull at a time."""
        return every_model_then_one_pull(problem)

    def start(self, problem: Problem) -> Memory:
        """Nothing known."""
        nothing = jnp.zeros(problem.num_models, jnp.float32)
        return Outlook(nothing, nothing, jnp.int32(0))

    def ask(self, rng_key: Array, step: Step, tally: Tally, memory: Outlook) -> Ask:
        """The most promising model."""
        del tally
        if step.stage == 0:
            everyone = jnp.arange(step.problem.num_models, dtype=jnp.int32)
            return Ask(everyone, jnp.ones_like(everyone))
        growth = jnp.sqrt(jnp.log(memory.time.astype(jnp.float32)))
        most_promising = best_model(rng_key, memory.mean + growth * memory.width)
        return Ask(most_promising[None], jnp.ones(1, jnp.int32))

    def learn(self, step: Step, asked: Ask, num_correct: Array, tally: Tally, memory: Outlook) -> Outlook:
        """New means and widths for the models that answered; an exhausted model promises nothing more."""
        del num_correct
        models = asked.models
        pulls = take(tally.pulls, models).astype(jnp.float32)
        mean = take(tally.correct, models).astype(jnp.float32) / pulls
        width = jnp.where(pulls < step.problem.num_queries, self.width(pulls, mean), -jnp.inf)
        time = memory.time + asked.num_queries.sum(dtype=jnp.int32)
        return Outlook(put(memory.mean, models, mean), put(memory.width, models, width), time)

    def recommend(self, rng_key: Array, problem: Problem, tally: Tally, memory: Outlook) -> Array:
        """The means."""
        del rng_key, problem, memory
        return mean_accuracy(tally)

    def withdraw(self, is_out: Array, memory: Outlook) -> Outlook:
        """They promise nothing more."""
        return memory._replace(width=jnp.where(is_out, -jnp.inf, memory.width))
