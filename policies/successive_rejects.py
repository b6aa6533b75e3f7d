r"""Successive rejects: one model leaves at the end of each of M - 1 rounds.

In round k every survivor is brought to $n_k = \lceil (B - M) / (\overline{\log}(M) (M + 1 - k)) \rceil$ queries with
$\overline{\log}(M) = 1/2 + \sum_{i=2}^M 1/i$; then the lowest mean leaves.

Source: Audibert, Bubeck and Munos, "Best Arm Identification in Multi-Armed Bandits", COLT 2010, figure 2.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from gembench.lanes import add, take
from gembench.policy import Ask, Problem, Sampling, Stage, Step, Tally
from gembench.ranking import top_models

_WIDTH_RATIO = 4


class Field(NamedTuple):
    """Who is where, each [M] int32: the models, those still in the race in front; how many rounds each has played."""

    candidates: Array
    num_rounds: Array


class Round(NamedTuple):
    """Rounds of the source that follow each other without a new query, as one: who is left, and what they answer."""

    num_models: int
    num_queries: int


@dataclass(frozen=True)
class SuccessiveRejects:
    """Successive rejects.

    Leaving one by one at the same tally is leaving together, so such rounds are one ask. Where the budget is one pull a
    model, for which the source asks nothing, every model is asked once.
    """

    sampling: ClassVar[Sampling] = "independent"

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """Rounds of similar width share a stage, which repeats: a stage each would take minutes to compile."""
        return tuple(
            Stage(block[0].num_models, max(turn.num_queries for turn in block), len(block))
            for block in _blocks(problem)
        )

    def start(self, problem: Problem) -> Field:
        """Everybody races, nobody has played a round."""
        everyone = jnp.arange(problem.num_models, dtype=jnp.int32)
        return Field(everyone, jnp.zeros_like(everyone))

    def ask(self, rng_key: Array, step: Step, tally: Tally, memory: Field) -> Ask:
        """The best of those who played the last round."""
        blocks = _blocks(step.problem)
        block = blocks[step.stage]
        size, num_queries = (jnp.asarray(column, jnp.int32)[step.repeat] for column in np.array(block).T)
        # Who is left at the start of the block stands in front.
        candidates = memory.candidates[: block[0].num_models]
        num_rounds = take(memory.num_rounds, candidates)
        max_points = sum(num_queries for turns in blocks[: step.stage + 1] for _, num_queries in turns)
        points = jnp.where(num_rounds == num_rounds.max(), take(tally.correct, candidates), -1)
        models = take(candidates, top_models(rng_key, points, candidates.size, max_points))
        is_left = jnp.arange(models.size, dtype=jnp.int32) < size
        return Ask(models, jnp.where(is_left, num_queries, 0))

    def learn(self, step: Step, asked: Ask, num_correct: Array, tally: Tally, memory: Field) -> Field:
        """One more round for the models that answered, who also come to the front."""
        del step, num_correct, tally
        candidates = jnp.concatenate([asked.models, memory.candidates[asked.models.size :]])
        has_played = (asked.num_queries > 0).astype(jnp.int32)
        return Field(candidates, add(memory.num_rounds, asked.models, has_played))

    def recommend(self, rng_key: Array, problem: Problem, tally: Tally, memory: Field) -> Array:
        """By rounds played, then by right answers: within a round all have answered equally many queries."""
        del rng_key
        return memory.num_rounds * (problem.num_queries + 1) + tally.correct

    def withdraw(self, is_out: Array, memory: Field) -> Field:
        """As if they had never played."""
        return memory._replace(num_rounds=jnp.where(is_out, -1, memory.num_rounds))


@lru_cache
def _blocks(problem: Problem) -> tuple[tuple[Round, ...], ...]:
    """The rounds, those of similar width together."""
    rounds = _rounds(problem)
    width = rounds[0].num_models
    grouped: Iterator[tuple[int, Iterator[Round]]] = itertools.groupby(
        rounds, lambda turn: int(math.log(width / turn.num_models, _WIDTH_RATIO))
    )
    return tuple(tuple(block) for _, block in grouped)


def _rounds(problem: Problem) -> tuple[Round, ...]:
    num_models = problem.num_models
    if num_models == 1:
        return (Round(1, min(problem.budget, problem.num_queries)),)
    log_bar = Fraction(1, 2) + sum((Fraction(1, i) for i in range(2, num_models + 1)), Fraction(0))
    rounds = []
    seen = 0
    for survivors in range(num_models, 1, -1):
        target = max(1, math.ceil((problem.budget - num_models) / (log_bar * survivors)))
        target = min(target, problem.num_queries)
        if target > seen:
            rounds.append(Round(survivors, target - seen))
            seen = target
    return tuple(rounds)
