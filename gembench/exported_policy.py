"""A policy whose functions are programs that `jax.export` made of it elsewhere: no line of its own code runs here.

A program is given one run at a time. One for many runs at once would be faster where asks are many, and could use in
one run what it has seen in another: together, runs pay for far more than the budget. A replay of an exported policy
makes the decisions of the policy itself, bit by bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import jax
from jax import Array, lax
from jax.custom_batching import custom_vmap
from jax.export import Exported

from gembench.errors import ContractError
from gembench.policy import Ask, Problem, Sampling, Stage, Step, Tally

ExportedMemory = tuple[Array, ...]
"""The leaves of what the policy remembers."""


@dataclass(frozen=True)
class Programs:
    """What a policy came to for one problem, of M models.

    Attributes:
        stages: the plan.
        start: () to the leaves of the memory.
        asks: for each stage, of S models, (repeat [], key words [2] uint32, pulls left [], pulls [M], correct [M],
            memory...) to (models [S], number of queries [S]); int32 where nothing else is said.
        learns: for each stage, (repeat [], pulls left [], models [S], granted queries [S], right answers [S],
            pulls [M], correct [M], memory...) to the memory.
        recommend: (key words [2] uint32, pulls [M], correct [M], memory...) to (scores [M],).
        withdraw: (is out [M] bool, memory...) to the memory.
    """

    stages: tuple[Stage, ...]
    start: Exported
    asks: tuple[Exported, ...]
    learns: tuple[Exported, ...]
    recommend: Exported
    withdraw: Exported


class AnyPrograms(Protocol):
    """What the programs of a policy of either level share."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The plan."""
        ...

    @property
    def withdraw(self) -> Exported:
        """(is out [M] bool, memory...) to the memory."""
        ...


P = TypeVar("P", bound=AnyPrograms)


@dataclass(frozen=True)
class ExportedOf(Generic[P]):
    """What exported policies of either level share.

    Attributes:
        name: the class that it was.
        digest: sha256 of all its programs: two with the same one are the same policy.
        sampling: how query orders are drawn.
        programs: by problem.
    """

    name: str
    digest: str
    sampling: Sampling
    programs: Mapping[Problem, P] = field(repr=False, compare=False)

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """The plan that was exported.

        Raises:
            ContractError: the policy was not exported for this problem.
        """
        return self._of(problem).stages

    def withdraw(self, is_out: Array, memory: ExportedMemory) -> ExportedMemory:
        """The memory once some models can answer no more; of all problems with so many models it is the same."""
        for problem, programs in self.programs.items():
            if problem.num_models == is_out.size:
                return call_in_turn(programs.withdraw, is_out, *memory)
        raise ContractError(f"policy {self.name} was not exported for {is_out.size} models.")

    def _of(self, problem: Problem) -> P:
        if problem not in self.programs:
            raise ContractError(f"policy {self.name} was not exported for {problem}.")
        return self.programs[problem]


@dataclass(frozen=True)
class ExportedPolicy(ExportedOf[Programs]):
    """A policy of the contract, for the problems that it was exported for."""

    def start(self, problem: Problem) -> ExportedMemory:
        """The memory before the first ask."""
        return tuple(self._of(problem).start.call())

    def ask(self, rng_key: Array, step: Step, tally: Tally, memory: ExportedMemory) -> Ask:
        """Who answers next."""
        program, words = self._of(step.problem).asks[step.stage], jax.random.key_data(rng_key)
        models, num_queries = call_in_turn(program, step.repeat, words, step.pulls_left, *tally, *memory)
        return Ask(models, num_queries)

    def learn(self, step: Step, asked: Ask, num_correct: Array, tally: Tally, memory: ExportedMemory) -> ExportedMemory:
        """The memory after an ask."""
        program = self._of(step.problem).learns[step.stage]
        return call_in_turn(program, step.repeat, step.pulls_left, *asked, num_correct, *tally, *memory)

    def recommend(self, rng_key: Array, problem: Problem, tally: Tally, memory: ExportedMemory) -> Array:
        """The scores."""
        (scores,) = call_in_turn(self._of(problem).recommend, jax.random.key_data(rng_key), *tally, *memory)
        return scores


def call_in_turn(program: Exported, *arguments: Array) -> tuple[Array, ...]:
    """What a program gives one run; runs that are batched take their turns."""

    @custom_vmap
    def of_run(*arguments: Array) -> tuple[Array, ...]:
        return tuple(program.call(*arguments))

    def of_runs(size: int, is_batched: Sequence[bool], *arguments: Array) -> tuple[Any, tuple[bool, ...]]:
        del size
        own = tuple(array for array, is_own in zip(arguments, is_batched, strict=True) if is_own)

        def turn(own: tuple[Array, ...]) -> tuple[Array, ...]:
            of_this = iter(own)
            pairs = zip(arguments, is_batched, strict=True)
            return tuple(program.call(*(next(of_this) if is_own else array for array, is_own in pairs)))

        results = lax.map(turn, own)
        return results, tuple(True for _ in results)

    of_run.def_vmap(of_runs)
    results: tuple[Array, ...] = of_run(*arguments)
    return results
