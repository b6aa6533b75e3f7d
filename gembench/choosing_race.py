"""The policy's side of a search, for a policy that chooses queries.

Shapes: M models in the race, Q queries, S models and n queries of an ask.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from gembench.policy import Memory
from gembench.pulls import Pulls
from gembench.query_policy import UNSEEN, Background, Knowledge, QueryAsk, QueryPolicy
from gembench.query_turn import (
    Books,
    absorb_answers,
    choose_queries,
    open_answers,
    query_ranking,
    seen_in,
    start_memory,
    studied,
)
from gembench.searched_race import SearchedRace
from gembench.turn import Setting, ask_key


class Turn(NamedTuple):
    """An ask; and of whom it is what: [S] numbers of the search, and [S, n] queries, `UNSEEN` for none."""

    asked: QueryAsk
    models: list[int]
    queries: NDArray[np.int32]


class ChoosingRace(SearchedRace):
    """A race whose policy says which queries come next.

    Args:
        setting: the policy on the problem that these models make.
        models: their numbers in the search, by their places in the race.
        rng_key: of the run.
        order: [Q] int32, the run's shared order, which the policy is offered.
        background: what is known before the race.
    """

    def __init__(
        self,
        setting: Setting,
        models: Sequence[int],
        rng_key: Array,
        order: NDArray[np.int32],
        background: Background,
    ) -> None:
        super().__init__(setting, models, rng_key)
        self._policy = cast("QueryPolicy", setting.policy)
        self._order = jnp.asarray(order)
        self._knowledge = studied(setting, background)
        self._answers = open_answers(setting.problem.num_models, setting.problem.num_queries)
        start = jax.jit(partial(start_memory, setting))
        self._memory: Memory = start(self._knowledge, rng_key, self._order, self._books)

    def choose(self, index: int, repeat: int) -> tuple[Turn, list[Pulls]]:
        """The policy's next ask, and what models are to answer; nothing of those that are out."""
        ask, _ = _compiled(self.setting, index)
        asked = ask(
            self.rng_key, jnp.int32(self.num_asks), jnp.int32(repeat), self.budget, self._books, self._order,
            self._knowledge, self._memory,
        )  # fmt: skip
        models = self.numbers_of(asked.models)
        queries = np.broadcast_to(np.asarray(asked.queries), (len(models), asked.queries.shape[1])).copy()
        queries[np.isin(models, self.models[self.is_out])] = UNSEEN
        # A query that does not exist is the fault of the policy, which the books will note.
        is_there = (queries >= 0) & (queries < self.setting.problem.num_queries)
        wanted = [Pulls(model, row[is_row]) for model, row, is_row in zip(models, queries, is_there, strict=True)]
        return Turn(asked, models, np.where(is_there, queries, UNSEEN)), [each for each in wanted if len(each.queries)]

    def absorb(self, index: int, repeat: int, turn: Turn, answers: Mapping[int, NDArray[np.int8]]) -> None:
        """Settle the books, and let the policy learn."""
        given = np.full(turn.queries.shape, UNSEEN, np.int8)
        for row, model in enumerate(turn.models):
            if model in answers:
                given[row, turn.queries[row] != UNSEEN] = answers[model]
        _, learn = _compiled(self.setting, index)
        books, self._memory = learn(
            jnp.int32(repeat), self.budget, turn.asked, jnp.asarray(given), self._books, self._order, self._knowledge,
            self._memory,
        )  # fmt: skip
        self.ledger, self._answers = books
        if self.is_out.any():
            self._memory = self._policy.withdraw(jnp.asarray(self.is_out), self._memory)
        self.check()
        places = np.asarray(turn.asked.models).tolist()
        self.asked += [
            (place, query + 1)
            for place, row in zip(places, turn.queries.tolist(), strict=True)
            for query in row
            if query != UNSEEN
        ]
        self.num_asks += 1

    def withdraw(self, models: set[int]) -> None:
        """Take models out."""
        super().withdraw(models)
        is_out = jnp.asarray(self.is_out)
        self._answers = jnp.where(is_out[:, None], jnp.int8(0), self._answers)
        self._memory = self._policy.withdraw(is_out, self._memory)

    def best_first(self) -> NDArray[np.int32]:
        """The places of all models by the policy's ranking, [M]."""
        seen = seen_in(self._books, self._order, self._knowledge)
        return np.asarray(_ranking(self.setting)(self.rng_key, seen, self._memory))

    @property
    def _books(self) -> Books:
        return Books(self.ledger, self._answers)


@lru_cache(maxsize=1024)
def _compiled(setting: Setting, index: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The rules of a stage's asks: what to ask, and what to learn."""

    def ask(
        rng_key: Array,
        num_asks: Array,
        repeat: Array,
        budget: Array,
        books: Books,
        order: Array,
        knowledge: Knowledge,
        memory: Memory,
    ) -> QueryAsk:
        seen = seen_in(books, order, knowledge)
        return choose_queries(setting, index, repeat, budget, ask_key(rng_key, num_asks), books, seen, memory)

    return jax.jit(ask), jax.jit(partial(absorb_answers, setting, index))


@lru_cache(maxsize=64)
def _ranking(setting: Setting) -> Callable[..., Array]:
    return jax.jit(partial(query_ranking, setting, num_recommended=setting.problem.num_models))
