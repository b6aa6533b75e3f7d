"""The second level of the policy contract: policies that choose queries, and may learn from other models beforehand.

Such a policy sees the answers themselves, not only how many were right, and says which queries come next. `study` runs
once for all runs of a race, before the first; all else is as at the first level (`gembench.policy`): pure, traced by
JAX, and written for one run.

Shapes: M models, Q queries, S models and n queries of a stage, H models of the history.
"""

from typing import Any, NamedTuple, Protocol, TypeGuard

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from gembench.lanes import take
from gembench.policy import Memory, Policy, Problem, Sampling, Stage, Step, Tally

Knowledge = Any
"""Whatever a policy makes of the background: any pytree of arrays, the same for all runs."""

UNSEEN = -1
"""Stands for an answer that is not known, beside 0 for wrong and 1 for right; and for no query."""


class Background(NamedTuple):
    """What is known before a race.

    Attributes:
        history: [H, Q] int8, what other models answered to the same queries: 1 right, 0 wrong, `UNSEEN`. H may be 0.
        prior: [M] float32, a number for each model of the race, such as its parent's accuracy; NaN where unknown.
    """

    history: Array | NDArray[np.int8]
    prior: Array | NDArray[np.float32]


def no_background(num_models: int, num_queries: int) -> Background:
    """Nothing is known."""
    return Background(np.zeros((0, num_queries), np.int8), np.full(num_models, np.nan, np.float32))


def has_prior(background: Background) -> bool:
    """Whether the prior of any model is known."""
    return not np.isnan(background.prior).all()


class Seen(NamedTuple):
    """What a run has to go by: all that it paid for, and what was known before.

    Attributes:
        tally: pulls and right answers of each model.
        answers: [M, Q] int8: 1 right, 0 wrong, `UNSEEN`.
        order: [Q] int32, the queries in the run's shared order, for whoever wants them at random.
        knowledge: what `study` made of the background.
    """

    tally: Tally
    answers: Array
    order: Array
    knowledge: Knowledge


class QueryAsk(NamedTuple):
    """Who answers what next.

    Attributes:
        models: [S] int32, distinct.
        queries: [S, n] int32, distinct for each model and unseen by it, `UNSEEN` for none; or [1, n], the same for all.
    """

    models: Array
    queries: Array


class QueryPolicy(Protocol):
    """The contract. A policy never sees a cell that it has not paid for."""

    @property
    def sampling(self) -> Sampling:
        """`shared`: the order that is offered to the policy is one for all models."""
        ...

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """The static schedule, as at the first level; a stage `in_step` asks all its models the same queries."""
        ...

    def study(self, problem: Problem, background: Background) -> Knowledge:
        """What is learnt before the race, once for all runs: it may take long."""
        ...

    def start(self, rng_key: Array, problem: Problem, seen: Seen) -> Memory:
        """The memory before the first ask."""
        ...

    def ask(self, rng_key: Array, step: Step, seen: Seen, memory: Memory) -> QueryAsk:
        """Who answers what next."""
        ...

    def learn(self, step: Step, asked: QueryAsk, answers: Array, seen: Seen, memory: Memory) -> Memory:
        """The memory after an ask: `answers` [S, n] int8, which `seen` already holds."""
        ...

    def recommend(self, rng_key: Array, problem: Problem, seen: Seen, memory: Memory) -> Array:
        """Scores [M], float32 or int32: the ranking is by falling score, and equal scores are drawn at random."""
        ...

    def withdraw(self, is_out: Array, memory: Memory) -> Memory:
        """The memory once some models, `is_out` [M] bool, can answer no more, as at the first level."""
        ...


AnyPolicy = Policy | QueryPolicy


def chooses_queries(policy: AnyPolicy) -> TypeGuard[QueryPolicy]:
    """Whether a policy is of the second level."""
    return hasattr(policy, "study")


def informed(policy: AnyPolicy, *, has_history: bool = False, has_prior: bool = False) -> AnyPolicy:
    """The policy that is raced where something is known beforehand.

    One of the first level may name others: `warm` for a history, and `primed` for a prior where there is no history.
    """
    raced: AnyPolicy = policy
    if has_history and hasattr(policy, "warm"):
        raced = policy.warm
    elif has_prior and hasattr(policy, "primed"):
        raced = policy.primed
    return raced


def first_unseen(order: Array, is_seen: Array, num_queries: int) -> Array:
    """The first queries of an order, [n] int32, of those that are not seen; `UNSEEN` where there are no more.

    Args:
        order: [Q] int32.
        is_seen: [Q] bool, by query.
        num_queries: n.
    """
    is_new = ~take(is_seen, order)
    place = jnp.where(is_new, jnp.cumsum(is_new) - 1, num_queries)
    return jnp.full(num_queries, UNSEEN, jnp.int32).at[place].set(order, mode="drop")
