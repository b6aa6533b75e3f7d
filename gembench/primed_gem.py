"""Gem where a number is known of each model beforehand: the cold race, in which that number counts as far as it tells.

The rounds and their shared random queries are the cold policy's. Who stays is decided by `gembench.prior_belief`: by
the right answers alone where they do not hang together with the number, and where they do, by both.

Source: this project.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from jax import Array

from gembench.elimination import Round
from gembench.lanes import put, take
from gembench.policy import Problem, Sampling, Stage, Step
from gembench.prior_belief import Beliefs, beliefs_after, beliefs_before, believed_mean, normal_scores
from gembench.query_policy import Background, QueryAsk, Seen
from gembench.ranking import scores_by_rounds, top_scores
from gembench.shrinking import shrinking_rounds


class Standing(NamedTuple):
    """What a run remembers.

    Attributes:
        survivors: [M] int32, the models of the last round, in its first entries.
        rounds: [M] int32, rounds played; -1 for who is out.
        beliefs: what is believed of the models.
    """

    survivors: Array
    rounds: Array
    beliefs: Beliefs


@dataclass(frozen=True)
class PrimedGem:
    """Gem with a prior.

    Attributes:
        keep: as gem's.
        tilt: as gem's.
    """

    keep: float = 0.75
    tilt: float = 0.0

    sampling: ClassVar[Sampling] = "shared"

    def rounds(self, problem: Problem) -> tuple[Round, ...]:
        """Those of gem without a prior."""
        return shrinking_rounds(problem, self.keep, 1 + self.tilt)

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """One stage a round."""
        return tuple(each.stage for each in self.rounds(problem))

    def study(self, problem: Problem, background: Background) -> Array:
        """The prior's normal scores, [M]."""
        del problem
        return normal_scores(jnp.asarray(background.prior))

    def start(self, rng_key: Array, problem: Problem, seen: Seen) -> Standing:
        """Everybody races."""
        del rng_key
        everyone = jnp.arange(problem.num_models, dtype=jnp.int32)
        return Standing(everyone, jnp.zeros_like(everyone), beliefs_before(seen.knowledge))

    def ask(self, rng_key: Array, step: Step, seen: Seen, memory: Standing) -> QueryAsk:
        """The best of the last round, the next queries of the run's order."""
        rounds, survivors = self.rounds(step.problem), memory.survivors
        this = rounds[step.stage]
        if step.stage:
            survivors = survivors[: rounds[step.stage - 1].num_models]
            score = jnp.where(
                take(memory.rounds, survivors) < 0, -jnp.inf, take(believed_mean(memory.beliefs), survivors)
            )
            survivors = take(survivors, top_scores(rng_key, score, this.num_models))
        first = sum(each.num_queries for each in rounds[: step.stage])
        return QueryAsk(survivors, seen.order[None, first : first + this.num_queries])

    def learn(self, step: Step, asked: QueryAsk, answers: Array, seen: Seen, memory: Standing) -> Standing:
        """Count the answers."""
        del seen
        models = asked.models
        return Standing(
            jnp.concatenate([models, memory.survivors[models.size :]]),
            put(memory.rounds, models, jnp.full(models.size, step.stage, jnp.int32)),
            beliefs_after(memory.beliefs, models, answers == 1),
        )

    def recommend(self, rng_key: Array, problem: Problem, seen: Seen, memory: Standing) -> Array:
        """By rounds played, then by what is believed."""
        del rng_key, problem, seen
        return scores_by_rounds(memory.rounds, believed_mean(memory.beliefs))

    def withdraw(self, is_out: Array, memory: Standing) -> Standing:
        """Below all who race or raced, so that the next best takes the place."""
        return memory._replace(rounds=jnp.where(is_out, -1, memory.rounds))
