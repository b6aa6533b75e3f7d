"""A log of what a run asked, and its digest, by which a live search is compared with its simulation.

The digest is the sha256 over all asks in order, in little-endian int32: for each model that was given queries its
number and how many it was given; where the policy chooses queries, for each of them the model's number and its own
number plus one.
"""

import hashlib
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from gembench.policy import Ask, Problem, Stage


class Log(NamedTuple):
    """The asks of a run so far.

    Attributes:
        entries: [L, 2] int32: a model, and how many queries it was given, or which plus one.
        length: int32, how many entries are filled.
    """

    entries: Array
    length: Array


def open_log(plan: tuple[Stage, ...], problem: Problem) -> Log:
    """An empty log with room for every ask of the plan."""
    room = sum(_room(stage, problem) for stage in plan)
    return Log(jnp.zeros((room, 2), jnp.int32), jnp.int32(0))


def _room(stage: Stage, problem: Problem) -> int:
    # Asks of one model that were given nothing take no room, so the budget bounds them.
    return min(stage.repeats, problem.budget) + 1 if stage.num_models == 1 else stage.num_models * stage.repeats


def append(log: Log, given: Ask) -> Log:
    """The log after an ask; `given` holds the queries that each model was given."""
    entry = log.length + jnp.arange(given.models.size, dtype=jnp.int32)
    entries = log.entries.at[entry].set(jnp.stack([given.models, given.num_queries], axis=1), mode="drop")
    is_lone_refusal = (given.models.size == 1) & (given.num_queries[0] == 0)
    return Log(entries, log.length + jnp.where(is_lone_refusal, 0, given.models.size))


def open_cell_log(problem: Problem) -> Log:
    """An empty log with room for every query that a policy can choose within the budget."""
    return Log(jnp.zeros((problem.budget, 2), jnp.int32), jnp.int32(0))


def append_cells(log: Log, models: Array, queries: Array) -> Log:
    """The log after an ask of `queries` [S, n] int32, -1 for none, of `models` [S] int32."""
    cells = jnp.stack(jnp.broadcast_arrays(models[:, None], queries + 1), axis=2).reshape(-1, 2)
    is_asked = cells[:, 1] > 0
    entry = jnp.where(is_asked, log.length + jnp.cumsum(is_asked) - 1, len(log.entries))
    return Log(log.entries.at[entry].set(cells, mode="drop"), log.length + is_asked.sum(dtype=jnp.int32))


def digest(entries: NDArray[np.int32], length: int) -> str:
    """The hex digest of a log."""
    valid = entries[:length]
    return hashlib.sha256(valid[valid[:, 1] > 0].astype("<i4").tobytes()).hexdigest()
