"""An exported policy that chooses queries, as `exported_policy` has those that take them as they come.

Its programs, but `study`, are given one run at a time too, and of the answers what that run has paid for.
"""

from dataclasses import dataclass

import jax
from jax import Array
from jax.export import Exported

from gembench.exported_policy import ExportedMemory, ExportedOf, call_in_turn
from gembench.policy import Problem, Stage, Step
from gembench.query_policy import Background, QueryAsk, Seen

ExportedKnowledge = tuple[Array, ...]
"""The leaves of what the policy made of the background."""


@dataclass(frozen=True)
class QueryPrograms:
    """What a policy came to for one problem, of M models and Q queries, and a history of H models.

    *Seen* are pulls [M], right answers [M], answers [M, Q] int8, the order [Q] and the knowledge; int32 where nothing
    else is said.

    Attributes:
        stages: the plan.
        study: (history [H, Q] int8, prior [M] float32) to the leaves of the knowledge.
        start: (key words [2] uint32, seen...) to the leaves of the memory.
        asks: for each stage, of S models and n queries, (repeat [], key words [2] uint32, pulls left [], seen...,
            memory...) to (models [S], queries [S, n], or [1, n] in step).
        learns: for each stage, (repeat [], pulls left [], models and queries as asked, answers [S, n] int8, seen...,
            memory...) to the memory.
        recommend: (key words [2] uint32, seen..., memory...) to (scores [M],).
        withdraw: (is out [M] bool, memory...) to the memory.
    """

    stages: tuple[Stage, ...]
    study: Exported
    start: Exported
    asks: tuple[Exported, ...]
    learns: tuple[Exported, ...]
    recommend: Exported
    withdraw: Exported


@dataclass(frozen=True)
class ExportedQueryPolicy(ExportedOf[QueryPrograms]):
    """A policy of the second level of the contract, for the problems and the one size of history of its export."""

    def study(self, problem: Problem, background: Background) -> ExportedKnowledge:
        """What is learnt before the race."""
        return tuple(self._of(problem).study.call(*background))

    def start(self, rng_key: Array, problem: Problem, seen: Seen) -> ExportedMemory:
        """The memory before the first ask."""
        return call_in_turn(self._of(problem).start, jax.random.key_data(rng_key), *_arrays(seen))

    def ask(self, rng_key: Array, step: Step, seen: Seen, memory: ExportedMemory) -> QueryAsk:
        """Who answers what next."""
        program, words = self._of(step.problem).asks[step.stage], jax.random.key_data(rng_key)
        models, queries = call_in_turn(program, step.repeat, words, step.pulls_left, *_arrays(seen), *memory)
        return QueryAsk(models, queries)

    def learn(self, step: Step, asked: QueryAsk, answers: Array, seen: Seen, memory: ExportedMemory) -> ExportedMemory:
        """The memory after an ask."""
        program = self._of(step.problem).learns[step.stage]
        return call_in_turn(program, step.repeat, step.pulls_left, *asked, answers, *_arrays(seen), *memory)

    def recommend(self, rng_key: Array, problem: Problem, seen: Seen, memory: ExportedMemory) -> Array:
        """The scores."""
        words = jax.random.key_data(rng_key)
        (scores,) = call_in_turn(self._of(problem).recommend, words, *_arrays(seen), *memory)
        return scores


def _arrays(seen: Seen) -> tuple[Array, ...]:
    return *seen.tally, seen.answers, seen.order, *seen.knowledge
