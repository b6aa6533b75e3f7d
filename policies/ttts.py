"""Top-two Thompson sampling: half of the pulls go to the likely best model, the others to its strongest challenger.

The leader is the model whose posterior sample is highest. With probability `leader_probability` it is asked; otherwise
the posterior is sampled anew until another model comes out highest, and that one is asked. The highest posterior mean
is recommended.

Source: Russo, "Simple Bayesian Algorithms for Best Arm Identification", COLT 2016, section 3.3 (beta there).
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from gembench.errors import PolicySettingError
from gembench.lanes import take
from gembench.policy import Ask, Problem, Sampling, Stage, Step, Tally
from gembench.posterior import exclude, posterior_mean, prior, sample, update
from gembench.ranking import best_of_distinct

_MAX_SAMPLES_PER_PULL = 1000
_MAX_REPEATS = 2**31 - 1


class Duel(NamedTuple):
    """The belief (see `posterior`), and the leader (int32) for whom a challenger is being sought; -1 for none."""

    belief: Array
    leader: Array


@dataclass(frozen=True)
class TTTS:
    """Top-two Thompson sampling under a uniform prior.

    One ask draws one joint sample, and an ask that finds no challenger gives out no query. So a run that needs many
    samples to find one does not hold up the runs beside it. The law is the source's.

    Attributes:
        leader_probability: how often the leader itself is asked.

    Raises:
        PolicySettingError: `leader_probability` is outside [0, 1).
    """

    leader_probability: float = 0.5

    sampling: ClassVar[Sampling] = "independent"

    def __post_init__(self) -> None:
        if not 0 <= self.leader_probability < 1:
            raise PolicySettingError(
                f"leader_probability must be at least 0 and under 1, got {self.leader_probability}."
            )

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """One sample at a time, ended by the budget; the bound on samples stops a race that one model has won."""
        return (Stage(1, 1, min(problem.budget * _MAX_SAMPLES_PER_PULL, _MAX_REPEATS), until_spent=True),)

    def start(self, problem: Problem) -> Duel:
        """The prior, and no leader."""
        return Duel(prior(problem.num_models), jnp.int32(-1))

    def ask(self, rng_key: Array, step: Step, tally: Tally, memory: Duel) -> Ask:
        """The model sampled highest: as leader by the coin, as challenger if it is not the leader."""
        del tally
        coin_key, sample_key, tie_key = jax.random.split(rng_key, 3)
        highest = best_of_distinct(tie_key, sample(sample_key, memory.belief))
        as_leader = (memory.leader < 0) & (jax.random.uniform(coin_key) < self.leader_probability)
        # A leader whom only exhausted models could challenge answers itself.
        is_alone = (memory.belief[0] > -jnp.inf).sum(dtype=jnp.int32) <= 1
        as_challenger = (memory.leader >= 0) & ((highest != memory.leader) | is_alone)
        is_asked = (as_leader | as_challenger) & (step.pulls_left > 0)
        return Ask(highest[None], is_asked.astype(jnp.int32)[None])

    def learn(self, step: Step, asked: Ask, num_correct: Array, tally: Tally, memory: Duel) -> Duel:
        """The posterior of the model that answered; without an answer, the search for a challenger goes on."""
        del num_correct
        models = asked.models
        belief = update(
            memory.belief, models, take(tally.pulls, models), take(tally.correct, models), step.problem.num_queries
        )
        sought = jnp.where(memory.leader < 0, models[0], memory.leader)
        return Duel(belief, jnp.where(asked.num_queries[0] > 0, jnp.int32(-1), sought))

    def recommend(self, rng_key: Array, problem: Problem, tally: Tally, memory: Duel) -> Array:
        """The posterior means."""
        del rng_key, problem, memory
        return posterior_mean(tally.pulls, tally.correct)

    def withdraw(self, is_out: Array, memory: Duel) -> Duel:
        """They are sampled no more, and a leader among them leads no more."""
        leads_no_more = (memory.leader >= 0) & take(is_out, jnp.maximum(memory.leader, 0))
        return Duel(exclude(memory.belief, is_out), jnp.where(leads_no_more, jnp.int32(-1), memory.leader))
