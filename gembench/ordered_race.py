"""The policy's side of a search, for a policy that takes queries as they come.

Shapes: Q queries, S models of an ask.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from gembench.ledger import Grant, Ledger
from gembench.policy import Ask, Memory, Policy, Stage
from gembench.pulls import Pulls
from gembench.searched_race import SearchedRace
from gembench.turn import Setting, absorb, ask_key, choose, ranking


class Turn(NamedTuple):
    """An ask and what it was given; `models` are numbers of the search, not of the race."""

    models: list[int]
    num_queries: list[int]
    asked: Ask
    grant: Grant


class OrderedRace(SearchedRace):
    """A race whose models meet the queries in an order.

    Args:
        setting: the policy on the problem that these models make.
        models: their numbers in the search, by their places in the race.
        rng_key: of the run.
        order: gives for a model's number all queries, [Q] int32, as it meets them.
    """

    def __init__(
        self, setting: Setting, models: Sequence[int], rng_key: Array, order: Callable[[int], NDArray[np.int32]]
    ) -> None:
        super().__init__(setting, models, rng_key)
        self._order = order
        self._policy = cast("Policy", setting.policy)
        self._memory: Memory = self._policy.start(setting.seen_problem)

    def choose(self, index: int, repeat: int) -> tuple[Turn, list[Pulls]]:
        """The policy's next ask, and what models are to answer."""
        ask, _ = _compiled(self.setting, index, self.plan[index])
        asked, granted = ask(
            self.rng_key, jnp.int32(self.num_asks), jnp.int32(repeat), self.budget, self.ledger, self._memory
        )
        models = self.numbers_of(asked.models)
        firsts, nums = (np.asarray(part).tolist() for part in granted)
        wanted = [
            Pulls(model, self._order(model)[first : first + num])
            for model, first, num in zip(models, firsts, nums, strict=True)
            if num
        ]
        return Turn(models, nums, asked, granted), wanted

    def absorb(self, index: int, repeat: int, turn: Turn, answers: Mapping[int, NDArray[np.int8]]) -> None:
        """Settle the books, and let the policy learn."""
        stage = self.plan[index]
        if self.is_out.any():
            # Where a model that is out stands in for one that is not there, the others may be out of step with it.
            stage = Stage(stage.num_models, stage.max_queries, stage.repeats, until_spent=stage.until_spent)
        _, learn = _compiled(self.setting, index, stage)
        num_correct = {model: int(of_model.sum()) for model, of_model in answers.items()}
        right = jnp.asarray([num_correct.get(model, 0) for model in turn.models], jnp.int32)
        self.ledger, self._memory = learn(
            jnp.int32(repeat), self.budget, turn.asked, turn.grant, right, self.ledger, self._memory
        )
        if self.is_out.any():
            self._memory = self._policy.withdraw(jnp.asarray(self.is_out), self._memory)
        self.check()
        places = np.asarray(turn.asked.models).tolist()
        self.asked += [(place, num) for place, num in zip(places, turn.num_queries, strict=True) if num]
        self.num_asks += 1

    def withdraw(self, models: set[int]) -> None:
        """Take models out."""
        super().withdraw(models)
        self._memory = self._policy.withdraw(jnp.asarray(self.is_out), self._memory)

    def best_first(self) -> NDArray[np.int32]:
        """The places of all models by the policy's ranking, [M]."""
        return np.asarray(_ranking(self.setting)(self.rng_key, self.ledger, self._memory))


@lru_cache(maxsize=1024)
def _compiled(setting: Setting, index: int, stage: Stage) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The rules of a stage's asks: what to ask, and what to learn."""

    def ask(
        rng_key: Array, num_asks: Array, repeat: Array, budget: Array, ledger: Ledger, memory: Memory
    ) -> tuple[Ask, Grant]:
        return choose(setting, index, repeat, budget, ask_key(rng_key, num_asks), ledger, memory)

    return jax.jit(ask), jax.jit(partial(absorb, setting, index, stage))


@lru_cache(maxsize=64)
def _ranking(setting: Setting) -> Callable[[Array, Ledger, Memory], Array]:
    return jax.jit(partial(ranking, setting, num_recommended=setting.problem.num_models))
