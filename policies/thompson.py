"""Thompson sampling: each pull goes to the model whose posterior sample is highest.

Made for the least cumulative regret, used here to search; the highest posterior mean is recommended.

Source: Thompson, "On the Likelihood that One Unknown Probability Exceeds Another in View of the Evidence of Two
Samples", Biometrika 25, 1933; for Bernoulli rewards Agrawal and Goyal, COLT 2012, algorithm 1.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from gembench.lanes import take
from gembench.policy import Ask, Problem, Sampling, Stage, Step, Tally
from gembench.posterior import exclude, posterior_mean, prior, sample, update
from gembench.ranking import best_of_distinct


@dataclass(frozen=True)
class Thompson:
    """Thompson sampling under a uniform prior."""

    sampling: ClassVar[Sampling] = "independent"

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """One pull at a time."""
        return (Stage(1, 1, problem.budget, until_spent=True),)

    def start(self, problem: Problem) -> Array:
        """The prior."""
        return prior(problem.num_models)

    def ask(self, rng_key: Array, step: Step, tally: Tally, memory: Array) -> Ask:
        """The model that one joint sample says is best."""
        del step, tally
        sample_key, tie_key = jax.random.split(rng_key)
        return Ask(best_of_distinct(tie_key, sample(sample_key, memory))[None], jnp.ones(1, jnp.int32))

    def learn(self, step: Step, asked: Ask, num_correct: Array, tally: Tally, memory: Array) -> Array:
        """The posterior of the model that answered."""
        del num_correct
        models = asked.models
        return update(memory, models, take(tally.pulls, models), take(tally.correct, models), step.problem.num_queries)

    def recommend(self, rng_key: Array, problem: Problem, tally: Tally, memory: Array) -> Array:
        """The posterior means."""
        del rng_key, problem, memory
        return posterior_mean(tally.pulls, tally.correct)

    def withdraw(self, is_out: Array, memory: Array) -> Array:
        """They are sampled no more."""
        return exclude(memory, is_out)
