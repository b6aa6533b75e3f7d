"""The policy's side of a search: the books and the memory over those models that are in the race.

Shapes: M models in the race, Q queries.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from gembench.decisions import digest
from gembench.ledger import Ledger, open_ledger, raise_on_faults
from gembench.policy import Stage
from gembench.pulls import Pulls
from gembench.turn import Setting


class SearchedRace(ABC):
    """What races of either level of the contract share.

    Args:
        setting: the policy on the problem that these models make.
        models: their numbers in the search, by their places in the race.
        rng_key: of the run.

    Attributes:
        setting: as given.
        plan: the policy's.
        ledger: the books.
        num_asks: how many asks are settled.
        asked: the log of them, see `decisions`.
    """

    def __init__(self, setting: Setting, models: Sequence[int], rng_key: Array) -> None:
        self.setting = setting
        self.plan = setting.policy.plan(setting.problem)
        self.ledger: Ledger = open_ledger(setting.problem.num_models)
        self.num_asks = 0
        self.asked: list[tuple[int, int]] = []
        self.models = np.asarray(models, np.int32)
        self.rng_key = rng_key
        self.budget = jnp.int32(setting.problem.budget)
        self.is_out = np.zeros(len(models), bool)

    @abstractmethod
    def choose(self, index: int, repeat: int) -> tuple[Any, list[Pulls]]:
        """The policy's next ask, for `absorb`, and what models are to answer, by their numbers in the search."""

    @abstractmethod
    def absorb(self, index: int, repeat: int, turn: Any, answers: Mapping[int, NDArray[np.int8]]) -> None:
        """Settle the books, and let the policy learn; `answers` to what a model was to answer are all 0 or 1.

        Raises:
            ContractError: the ask broke the contract.
        """

    @abstractmethod
    def best_first(self) -> NDArray[np.int32]:
        """The places of all models by the policy's ranking, [M]."""

    def withdraw(self, models: set[int]) -> None:
        """Take models out: to the policy it looks as if they had answered everything, all of it wrong."""
        self.is_out |= np.isin(self.models, sorted(models))
        everything = jnp.asarray([self.setting.problem.num_queries, 0, 0], jnp.int32)
        by_model = jnp.where(jnp.asarray(self.is_out)[:, None], everything, self.ledger.by_model)
        self.ledger = self.ledger._replace(by_model=by_model.at[:, 2].set(self.ledger.loads))

    def goes_on(self, stage: Stage, repeat: int) -> bool:
        """Whether a stage has another ask, by the simulator's rule; and anybody has a query left to answer."""
        if self.is_out.any() and not (np.asarray(self.ledger.tally.pulls) < self.setting.problem.num_queries).any():
            return False
        if stage.repeats == 1 and not stage.until_spent:
            return repeat == 0
        return repeat < stage.repeats and int(self.ledger.spent) < self.setting.problem.budget

    def ranking(self) -> list[int]:
        """The models of the race, best first."""
        return [int(model) for model in self.models[self.best_first()]]

    def loads(self, num_models: int) -> NDArray[np.int64]:
        """Of all models of the search, [M]."""
        loads = np.zeros(num_models, np.int64)
        loads[self.models] = np.asarray(self.ledger.loads)
        return loads

    @property
    def decision_digest(self) -> str:
        """Of the asks so far, as the simulator's."""
        return digest(np.asarray(self.asked, np.int32).reshape(-1, 2), len(self.asked))

    def numbers_of(self, places: Array) -> list[int]:
        """The models at these places of the race, by their numbers in the search."""
        # A model that does not exist is the fault of the policy, which the books will note.
        numbers: list[int] = self.models[np.clip(np.asarray(places), 0, len(self.models) - 1)].tolist()
        return numbers

    def check(self) -> None:
        """Raise if the last ask broke the contract.

        Raises:
            ContractError: it did.
        """
        raise_on_faults(np.asarray(self.ledger.faults)[None], type(self.setting.policy).__name__)
