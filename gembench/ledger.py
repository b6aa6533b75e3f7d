"""The books of a run: what was asked, answered and loaded. The simulator and a live search keep the same ones.

Written for one run; the simulator batches it over runs. Shapes: M models, S models of an ask.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from gembench.errors import ContractError
from gembench.lanes import add, take
from gembench.policy import Ask, Problem, Stage, Tally

_FAULTS = (
    "asked more queries of a model than its stage allows, or fewer than none",
    "named a model that does not exist",
    "named one model twice in an ask",
    "asked for more pulls than the budget holds",
    "asked models out of step in a stage that promised to keep them in step",
    "named a query that does not exist",
    "asked a model the same query twice",
)


_TOO_MANY, _NO_MODEL, _NAMED_TWICE, _OVERSPENT, _OUT_OF_STEP, _NO_QUERY, _TWICE = range(len(_FAULTS))


class Ledger(NamedTuple):
    """The state of a run between two asks.

    Attributes:
        by_model: [M, 3] int32: pulls, right answers and loads of each model. One array, so that an ask costs one write.
        spent: int32, pulls paid for.
        loaded: int32, the model loaded last; -1 before the first.
        faults: int32, one bit for each rule of the contract that was broken.
    """

    by_model: Array
    spent: Array
    loaded: Array
    faults: Array

    @property
    def tally(self) -> Tally:
        """What a policy may see."""
        return Tally(pulls=self.by_model[:, 0], correct=self.by_model[:, 1])

    @property
    def loads(self) -> Array:
        """How often each model was loaded, [M] int32."""
        return self.by_model[:, 2]


class Grant(NamedTuple):
    """What an ask is given, each [S] int32: for every model its first unseen position, and how many queries."""

    first: Array
    num_queries: Array


def open_ledger(num_models: int) -> Ledger:
    """The books before the first ask."""
    return Ledger(jnp.zeros((num_models, 3), jnp.int32), jnp.int32(0), jnp.int32(-1), jnp.int32(0))


def grant(ledger: Ledger, asked: Ask, problem: Problem) -> Grant:
    """A model that has fewer unseen queries left than asked for answers those."""
    seen = take(ledger.by_model, asked.models)[:, 0]
    return Grant(seen, jnp.clip(asked.num_queries, 0, problem.num_queries - seen))


def settle(ledger: Ledger, asked: Ask, granted: Grant, num_correct: Array, budget: Array, stage: Stage) -> Ledger:
    """The books after the answers came; `num_correct` [S] int32 of them are right. `budget` is int32, of the run."""
    rules = {
        _TOO_MANY: (asked.num_queries < 0) | (asked.num_queries > stage.max_queries),
        _OUT_OF_STEP: _is_out_of_step(granted, stage),
    }
    return _settle(ledger, asked.models, granted, num_correct, budget, rules)


def settle_choice(
    ledger: Ledger, models: Array, pulls: Array, num_correct: Array, budget: Array, is_no_query: Array, is_twice: Array
) -> Ledger:
    """The books after an ask of chosen queries.

    Args:
        ledger: the books before it.
        models: [S] int32.
        pulls: [S] int32, how many queries each was asked.
        num_correct: [S] int32, how many of them it answered right.
        budget: int32, of the run.
        is_no_query: [S] or [1] bool, whether one of them does not exist.
        is_twice: [S] bool, whether one of them came before.
    """
    granted = Grant(take(ledger.by_model, models)[:, 0], pulls)
    return _settle(ledger, models, granted, num_correct, budget, {_NO_QUERY: is_no_query, _TWICE: is_twice})


def _settle(
    ledger: Ledger, models: Array, granted: Grant, num_correct: Array, budget: Array, rules: dict[int, Array]
) -> Ledger:
    pulls = granted.num_queries
    # A worker answers first with the model that it has loaded already; every other model of the ask is a switch.
    is_load = (pulls > 0) & (models != ledger.loaded)
    by_model = add(ledger.by_model, models, jnp.stack([pulls, num_correct, is_load.astype(jnp.int32)], axis=1))
    spent = ledger.spent + pulls.sum(dtype=jnp.int32)
    rules |= {
        _NO_MODEL: (pulls > 0) & ((models < 0) | (models >= ledger.by_model.shape[0])),
        _NAMED_TWICE: _is_named_twice(by_model, models, granted),
        _OVERSPENT: spent > budget,
    }
    faults = sum((broken.astype(jnp.int32) << bit for bit, broken in rules.items()), jnp.int32(0))
    return Ledger(
        by_model=by_model,
        spent=spent,
        loaded=_last_loaded(models, is_load, ledger.loaded),
        faults=ledger.faults | jnp.bitwise_or.reduce(faults),
    )


def _is_named_twice(by_model: Array, models: Array, granted: Grant) -> Array:
    if models.size == 1:
        return jnp.zeros(1, bool)
    # Such a model has gained more than either of its entries was granted.
    return (granted.num_queries > 0) & (take(by_model, models)[:, 0] != granted.first + granted.num_queries)


def _is_out_of_step(granted: Grant, stage: Stage) -> Array:
    if not stage.in_step:
        return jnp.zeros(granted.first.shape, bool)
    return (granted.first != granted.first[0]) | (granted.num_queries != stage.max_queries)


def _last_loaded(models: Array, is_load: Array, loaded: Array) -> Array:
    last = jnp.where(is_load, jnp.arange(models.size, dtype=jnp.int32), -1).max()
    return jnp.where(last < 0, loaded, take(models, jnp.maximum(last, 0)))


def raise_on_faults(faults: NDArray[np.int32], policy_name: str) -> None:
    """Raise if one of these runs broke the contract: `faults` [R].

    Raises:
        ContractError: names the policy, the first such run and the broken rules.
    """
    if faults.any():
        run = int(np.flatnonzero(faults)[0])
        broken = [text for bit, text in enumerate(_FAULTS) if faults[run] >> bit & 1]
        raise ContractError(f"policy {policy_name} broke the contract in run {run}: it {' and '.join(broken)}.")
