"""The books of many runs: what was asked, answered and loaded. The simulator and a live search keep the same ones.

Shapes: R runs, M models, S models of an ask.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from gembench.errors import ContractError
from gembench.policy import Ask, Problem, Stage, Tally

_FAULTS = (
    "asked more queries of a model than its stage allows, or fewer than none",
    "named a model that does not exist",
    "named one model twice in an ask",
    "asked for more pulls than the budget holds",
)


class Ledger(NamedTuple):
    """The state of R runs between two asks.

    Attributes:
        tally: pulls and right answers, each [R, M] int32.
        spent: [R] int32, pulls paid for.
        loads: [R, M] int32, how often each model was loaded.
        loaded: [R] int32, the model loaded last; -1 before the first.
        faults: [R] int32, one bit for each rule of the contract that was broken.
    """

    tally: Tally
    spent: Array
    loads: Array
    loaded: Array
    faults: Array


def open_ledger(num_runs: int, num_models: int) -> Ledger:
    """The books before the first ask."""
    by_model = jnp.zeros((num_runs, num_models), jnp.int32)
    by_run = jnp.zeros(num_runs, jnp.int32)
    return Ledger(Tally(by_model, by_model), by_run, by_model, by_run - 1, by_run)


def grant(ledger: Ledger, asked: Ask, problem: Problem) -> tuple[Array, Array]:
    """What an ask is given: per named model its first unseen position, and the number of queries, each [R, S] int32.

    A model that has fewer unseen queries left than asked for answers those.
    """
    seen = jnp.take_along_axis(ledger.tally.pulls, asked.models, axis=1)
    return seen, jnp.clip(asked.num_queries, 0, problem.num_queries - seen)


def settle(
    ledger: Ledger, asked: Ask, granted: Array, num_correct: Array, problem: Problem, stage: Stage
) -> Ledger:
    """The books after the answers came: `granted` and `num_correct` are [R, S] int32."""
    run = jnp.arange(ledger.spent.size)[:, None]
    models = asked.models
    seen_before = ledger.tally.pulls[run, models]
    pulls = ledger.tally.pulls.at[run, models].add(granted)
    correct = ledger.tally.correct.at[run, models].add(num_correct)
    spent = ledger.spent + granted.sum(axis=1, dtype=jnp.int32)

    active = granted > 0
    is_load, loaded = _loads(models, active, ledger.loaded)
    loads = ledger.loads.at[run, models].add(is_load.astype(jnp.int32))

    broken = [
        (asked.num_queries < 0) | (asked.num_queries > stage.max_queries),
        active & ((models < 0) | (models >= problem.num_models)),
        # A model named twice has gained more than either of its entries was granted.
        active & (pulls[run, models] != seen_before + granted) if models.shape[1] > 1 else jnp.zeros_like(active),
        (spent > problem.budget)[:, None],
    ]
    faults = ledger.faults
    for bit, rule in enumerate(broken):
        faults = faults | (rule.any(axis=1).astype(jnp.int32) << bit)
    return Ledger(Tally(pulls, correct), spent, loads, loaded, faults)


def _loads(models: Array, active: Array, loaded: Array) -> tuple[Array, Array]:
    """Which entries of an ask load their model [R, S], and the model loaded last [R].

    The active models of an ask are distinct, so each but the first is a switch, and the first is one unless it is the
    model that was loaded already.
    """
    size = models.shape[1]
    entry = jnp.arange(size, dtype=jnp.int32)[None, :]
    first = jnp.where(active, entry, size).min(axis=1, keepdims=True)
    last = jnp.where(active, entry, -1).max(axis=1, keepdims=True)
    is_load = active & ((entry != first) | (models != loaded[:, None]))
    last_model = jnp.take_along_axis(models, jnp.maximum(last, 0), axis=1)[:, 0]
    return is_load, jnp.where(last[:, 0] < 0, loaded, last_model)


def raise_on_faults(faults: np.ndarray, policy_name: str) -> None:
    """Raise if a run broke the contract.

    Raises:
        ContractError: names the policy, the first such run and the broken rule.
    """
    if faults.any():
        run = int(np.flatnonzero(faults)[0])
        broken = [text for bit, text in enumerate(_FAULTS) if faults[run] >> bit & 1]
        raise ContractError(f"policy {policy_name} broke the contract in run {run}: it {' and '.join(broken)}.")


