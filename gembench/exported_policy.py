"""A policy whose functions are programs that `jax.export` made of it elsewhere: no line of its own code runs here.

A program works on R runs at once, while the contract is written for one: JAX's custom batching rules bring them
together. A replay of an exported policy makes the decisions of the policy itself, bit by bit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
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
        num_runs: R, of every program but `start`. For fewer runs it computes R and throws the rest away.
        stages: the plan.
        start: () to the leaves of the memory of one run.
        asks: for each stage, (repeat [], key words [R, 2] uint32, pulls left [R], pulls [R, M], correct [R, M],
            memory...) to (models [R, S], number of queries [R, S]); int32 where nothing else is said.
        learns: for each stage, (repeat [], pulls left [R], models [R, S], granted queries [R, S], right answers [R, S],
            pulls [R, M], correct [R, M], memory...) to the memory.
        recommend: (int32 [], key words [R, 2] uint32, pulls [R, M], correct [R, M], memory...) to (scores [R, M],).
        withdraw: (int32 [], is out [R, M] bool, memory...) to the memory.
    """

    num_runs: int
    stages: tuple[Stage, ...]
    start: Exported
    asks: tuple[Exported, ...]
    learns: tuple[Exported, ...]
    recommend: Exported
    withdraw: Exported


@dataclass(frozen=True)
class ExportedPolicy:
    """A policy of the contract, for the problems that it was exported for.

    Attributes:
        name: the class that it was.
        digest: sha256 of all its programs: two with the same one are the same policy.
        sampling: how query orders are drawn.
        programs: by problem.
    """

    name: str
    digest: str
    sampling: Sampling
    programs: Mapping[Problem, Programs] = field(repr=False, compare=False)

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """The plan that was exported.

        Raises:
            ContractError: the policy was not exported for this problem.
        """
        return self._of(problem).stages

    def start(self, problem: Problem) -> ExportedMemory:
        """The memory before the first ask."""
        return tuple(self._of(problem).start.call())

    def ask(self, rng_key: Array, step: Step, tally: Tally, memory: ExportedMemory) -> Ask:
        """Who answers next."""
        programs, words = self._of(step.problem), jax.random.key_data(rng_key)
        by_run = (words, step.pulls_left, *tally, *memory)
        models, num_queries = _call(programs.asks[step.stage], programs.num_runs, step.repeat, by_run)
        return Ask(models, num_queries)

    def learn(self, step: Step, asked: Ask, num_correct: Array, tally: Tally, memory: ExportedMemory) -> ExportedMemory:
        """The memory after an ask."""
        programs = self._of(step.problem)
        by_run = (step.pulls_left, *asked, num_correct, *tally, *memory)
        return _call(programs.learns[step.stage], programs.num_runs, step.repeat, by_run)

    def recommend(self, rng_key: Array, problem: Problem, tally: Tally, memory: ExportedMemory) -> Array:
        """The scores."""
        programs = self._of(problem)
        by_run = (jax.random.key_data(rng_key), *tally, *memory)
        (scores,) = _call(programs.recommend, programs.num_runs, jnp.int32(0), by_run)
        return scores

    def withdraw(self, is_out: Array, memory: ExportedMemory) -> ExportedMemory:
        """The memory once some models can answer no more; of all problems with so many models it is the same."""
        for problem, programs in self.programs.items():
            if problem.num_models == is_out.size:
                return _call(programs.withdraw, programs.num_runs, jnp.int32(0), (is_out, *memory))
        raise ContractError(f"policy {self.name} was not exported for {is_out.size} models.")

    def _of(self, problem: Problem) -> Programs:
        if problem not in self.programs:
            raise ContractError(f"policy {self.name} was not exported for {problem}.")
        return self.programs[problem]


def _call(program: Exported, num_runs: int, repeat: Array, by_run: Sequence[Array]) -> tuple[Array, ...]:
    """What the program gives one run; of several runs that are batched, it is called once for all."""

    @custom_vmap
    def of_run(repeat: Array, *by_run: Array) -> tuple[Array, ...]:
        return tuple(result[0] for result in call(1, repeat, [array[None] for array in by_run]))

    def of_runs(
        size: int, is_batched: Sequence[bool], repeat: Array, *by_run: Array
    ) -> tuple[tuple[Array, ...], tuple[bool, ...]]:
        if is_batched[0]:
            raise ContractError("runs of an exported policy go through their stages together.")
        batched = [
            array if is_one_each else jnp.broadcast_to(array, (size, *array.shape))
            for is_one_each, array in zip(is_batched[1:], by_run, strict=True)
        ]
        results = call(size, repeat, batched)
        return results, tuple(True for _ in results)

    of_run.def_vmap(of_runs)
    call: Callable[..., tuple[Array, ...]] = partial(_call_batched, program, num_runs)
    results: tuple[Array, ...] = of_run(repeat, *by_run)
    return results


def _call_batched(
    program: Exported, num_runs: int, size: int, repeat: Array, by_run: Sequence[Array]
) -> tuple[Array, ...]:
    if size > num_runs:
        raise ContractError(f"the policy was exported for {num_runs} runs at once, not for {size}.")

    def fill_up(array: Array) -> Array:
        return jnp.pad(array, [(0, num_runs - size)] + [(0, 0)] * (array.ndim - 1), mode="edge")

    results: Any = program.call(repeat, *(fill_up(array) if size < num_runs else array for array in by_run))
    return tuple(result[:size] for result in results)
