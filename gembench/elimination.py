"""What the halving policies share: rounds in which all survivors answer equally many queries, then the worst leave."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from gembench.lanes import put, take
from gembench.policy import Ask, Memory, Problem, Stage, Step, Tally
from gembench.ranking import best_models


class Round(NamedTuple):
    """One round: how many models play it, and how many queries each of them answers."""

    num_models: int
    num_queries: int

    @property
    def stage(self) -> Stage:
        """All its models meet its queries at once."""
        return Stage(self.num_models, self.num_queries, in_step=True)


class Field(NamedTuple):
    """Who is where in the race, each [M] int32.

    Attributes:
        survivors: the models of the last round, in its first entries.
        standing: (Q + 1) * rounds played + right answers that count in the last of them. Within a round all models
            have answered equally many queries, so counts rank as means do, and they are exact.
    """

    survivors: Array
    standing: Array


@dataclass(frozen=True)
class Elimination:
    """Base of the halving policies: a subclass says which rounds there are, and may say which answers count."""

    @abstractmethod
    def rounds(self, problem: Problem) -> tuple[Round, ...]:
        """The rounds, in plain Python."""

    def counted(self, num_correct: Array, tally: Tally, models: Array) -> Array:
        """The right answers [S] int32 by which the models of a round are ranked: all that they have given."""
        del num_correct
        return take(tally.correct, models)

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """One stage a round."""
        return tuple(each.stage for each in self.rounds(problem))

    def start(self, problem: Problem) -> Memory:
        """Everybody races, nobody has scored."""
        everyone = jnp.arange(problem.num_models, dtype=jnp.int32)
        return Field(everyone, jnp.zeros_like(everyone))

    def ask(self, rng_key: Array, step: Step, tally: Tally, memory: Field) -> Ask:
        """The best of the last round, as many as this round takes."""
        del tally
        rounds = self.rounds(step.problem)
        this, survivors = rounds[step.stage], memory.survivors
        if step.stage > 0:
            survivors = survivors[: rounds[step.stage - 1].num_models]
        if this.num_models < survivors.size:
            max_points = sum(num_queries for _, num_queries in rounds[: step.stage])
            points = take(memory.standing, survivors) - (step.problem.num_queries + 1) * step.stage
            points = jnp.maximum(points, -1)  # of those who were withdrawn
            survivors = take(survivors, best_models(rng_key, points, this.num_models, max_points))
        return Ask(survivors, jnp.full(this.num_models, this.num_queries, jnp.int32))

    def learn(self, step: Step, asked: Ask, num_correct: Array, tally: Tally, memory: Field) -> Field:
        """The models of this round stand above all who left before."""
        models = asked.models
        standing = (step.problem.num_queries + 1) * (step.stage + 1) + self.counted(num_correct, tally, models)
        survivors = jnp.concatenate([models, memory.survivors[models.size :]])
        return Field(survivors, put(memory.standing, models, standing))

    def recommend(self, rng_key: Array, problem: Problem, tally: Tally, memory: Field) -> Array:
        """By rounds played, then by what counted in the last of them."""
        del rng_key, problem, tally
        return memory.standing

    def withdraw(self, is_out: Array, memory: Field) -> Field:
        """Below all who race or raced, so that the next best takes the place."""
        return memory._replace(standing=jnp.where(is_out, -1, memory.standing))


def halving_sizes(num_models: int) -> tuple[int, ...]:
    """Models in each round when half of them, rounded up, stay on: ceil(log2 M) rounds, the last of two."""
    sizes = [num_models]
    while sizes[-1] > 2:
        sizes.append(-(-sizes[-1] // 2))
    return tuple(sizes)


def rounds_of_shares(problem: Problem, sizes: Sequence[int], shares: Sequence[float]) -> tuple[Round, ...]:
    """The rounds of so many models each, which may spend these shares of what is left of the budget before them.

    Each model gets at least one query, if the budget pays for it, and no more than it has unseen. What a round leaves
    over goes to the next.
    """
    rounds = []
    pulls_left, unseen = problem.budget, problem.num_queries
    for num_models, share in zip(sizes, shares, strict=True):
        affordable = min(pulls_left // num_models, unseen)
        num_queries = min(max(1, int(share * pulls_left) // num_models), affordable)
        pulls_left -= num_queries * num_models
        unseen -= num_queries
        rounds.append(Round(num_models, num_queries))
    return tuple(rounds)


def equal_rounds(problem: Problem) -> tuple[Round, ...]:
    """The rounds of sequential halving: equal budgets, spent equally on the survivors.

    Each of the n rounds gives each of its |S| models floor(B / (n |S|)) queries, and no more than it has unseen.
    """
    sizes = halving_sizes(problem.num_models)
    rounds = []
    unseen = problem.num_queries
    for num_models in sizes:
        num_queries = min(problem.budget // (len(sizes) * num_models), unseen)
        unseen -= num_queries
        rounds.append(Round(num_models, num_queries))
    return tuple(rounds)
