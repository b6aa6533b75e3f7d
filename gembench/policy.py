"""The policy contract: what a search policy is given, and what it answers.

A policy is a frozen, hashable dataclass of hyper-parameters. One object serves the simulator and a live search
unchanged. `plan` is plain Python and runs once; `start`, `ask`, `learn` and `recommend` are pure, traced by JAX, and
written for one run: the engine batches them over runs. Every random choice, ties included, comes from the key.

Shapes: M models of the problem, S models of a stage.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Never, Protocol

import jax.numpy as jnp
from jax import Array

from gembench.errors import BudgetError, ContractError

Sampling = Literal["shared", "independent"]
Memory = Any
"""Whatever a policy keeps beyond the tally: any pytree of arrays of fixed shapes, `()` for nothing."""


@dataclass(frozen=True)
class Problem:
    """One fixed-budget search: static, known to every policy before its first ask.

    Attributes:
        num_models: M, the models in the race.
        num_queries: Q, the queries each model can answer.
        budget: B, the pulls that may be spent over all models.
        num_wanted: k, how many of the best models are asked for.
        seconds_per_load: seconds to load a model, where known.
        seconds_per_query: seconds to answer one query, where known.

    Raises:
        BudgetError: the problem is empty, or the budget cannot pay one pull of every model.
    """

    num_models: int
    num_queries: int
    budget: int
    num_wanted: int = 1
    seconds_per_load: float | None = None
    seconds_per_query: float | None = None

    def __post_init__(self) -> None:
        if self.num_models < 1 or self.num_queries < 1:
            raise BudgetError(f"a race needs models and queries, got {self.num_models} x {self.num_queries}.")
        if self.budget < self.num_models:
            raise BudgetError(
                f"a budget of {self.budget} pulls is under one pull for each of {self.num_models} models; "
                f"give at least 1 query per model."
            )


@dataclass(frozen=True)
class ProblemOfAnyBudget(Problem):
    """What a policy whose plan has a stage `until_spent` sees in place of its problem, but in `plan`.

    Attributes:
        policy_name: the policy, for the message.

    Raises:
        ContractError: the budget is read.
    """

    budget: int = field(init=False, repr=False, compare=False)  # Never set.
    policy_name: str = field(kw_only=True)

    def __post_init__(self) -> None:
        """The problem in whose place it stands has a budget that pays."""

    def __getattr__(self, name: str) -> Never:
        """Only what is not set comes here."""
        if name == "budget":
            raise ContractError(
                f"policy {self.policy_name} reads problem.budget outside plan, though its plan says until_spent, which "
                f"lets budgets share a program; read step.pulls_left or leave until_spent out."
            )
        raise AttributeError(name)


@dataclass(frozen=True)
class Stage:
    """One static block of a plan: `repeats` asks in a row, each of at most `num_models` models.

    Attributes:
        num_models: S, how many models an ask of this stage names.
        max_queries: the most queries that one ask gives to one model.
        repeats: how many asks the stage has.
        in_step: the promise that every ask gives each of its models exactly `max_queries`, and that they have all
            answered equally many before, as in a round of halving. Shared queries are then looked up once for all.
        until_spent: the promise that `repeats` is all of the plan that depends on the budget, which only ends the asks.
            The engine then makes one program for all budgets. No method but `plan` can read `problem.budget`: doing so
            is a `ContractError`. What is left of the budget is in `step.pulls_left`.
    """

    num_models: int
    max_queries: int
    repeats: int = 1
    in_step: bool = False
    until_spent: bool = False


def every_model_then_one_pull(problem: Problem) -> tuple[Stage, ...]:
    """The plan of the index policies: every model once, then the rest of the budget pull by pull."""
    every_model_once = Stage(problem.num_models, 1)
    num_left = problem.budget - problem.num_models
    return (every_model_once, Stage(1, 1, num_left, until_spent=True)) if num_left else (every_model_once,)


class Step(NamedTuple):
    """Where in its plan a run is.

    Attributes:
        problem: the problem, static.
        stage: the index of the stage in the plan, static.
        repeat: which ask of the stage this is, int32, traced.
        pulls_left: what is left of the budget, int32, traced.
    """

    problem: Problem
    stage: int
    repeat: Array
    pulls_left: Array


class Tally(NamedTuple):
    """All that a run has paid for so far: `pulls` [M] int32, and how many of them were `correct` [M] int32."""

    pulls: Array
    correct: Array


def mean_accuracy(tally: Tally) -> Array:
    """The share of right answers of every model so far, [M] float32; NaN for a model that was never asked."""
    return tally.correct.astype(jnp.float32) / tally.pulls.astype(jnp.float32)


class Ask(NamedTuple):
    """Who answers next: distinct `models` [S] int32, and how many more queries each, `num_queries` [S] int32.

    A model whose `num_queries` is 0 is not asked. A model that has fewer unseen queries left answers those.
    """

    models: Array
    num_queries: Array


class Policy(Protocol):
    """The contract. A policy never sees a cell that it has not paid for."""

    @property
    def sampling(self) -> Sampling:
        """Whether the policy's source lets all models meet the queries in one shared order, or each in its own.

        Most say it once for all of a class: `sampling: ClassVar[Sampling] = "shared"`.
        """
        ...

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """The static schedule: which shapes the asks have and how often. Plain Python, no arrays."""
        ...

    def start(self, problem: Problem) -> Memory:
        """The memory before the first ask."""
        ...

    def ask(self, rng_key: Array, step: Step, tally: Tally, memory: Memory) -> Ask:
        """Who answers next: arrays of the stage's `num_models`."""
        ...

    def learn(self, step: Step, asked: Ask, num_correct: Array, tally: Tally, memory: Memory) -> Memory:
        """The memory after an ask: `num_correct` [S] int32 right answers to it, `tally` already holding them."""
        ...

    def recommend(self, rng_key: Array, problem: Problem, tally: Tally, memory: Memory) -> Array:
        """Scores [M], float32 or int32: the ranking is by falling score, and equal scores are drawn at random."""
        ...

    def withdraw(self, is_out: Array, memory: Memory) -> Memory:
        """The memory once some models, `is_out` [M] bool, can answer no more: only in a live search do models fail.

        Their tally says that they have answered every query, all of it wrong. They are to be asked only where a stage
        has more room than there are other models, and are then given nothing. The ranking leaves them out by itself.
        """
        ...


class TallyOnly:
    """Base of the policies that keep nothing beyond the tally."""

    def start(self, problem: Problem) -> Memory:
        """Nothing to keep."""
        del problem
        return ()

    def learn(self, step: Step, asked: Ask, num_correct: Array, tally: Tally, memory: Memory) -> Memory:
        """Nothing to keep."""
        del step, asked, num_correct, tally
        return memory

    def withdraw(self, is_out: Array, memory: Memory) -> Memory:
        """The tally says it all."""
        del is_out
        return memory
