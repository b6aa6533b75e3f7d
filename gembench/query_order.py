"""The order in which a model meets the queries: a keyed permutation, computed at any position and never stored.

The order is a pure function of (seed, run, model, position), so that one run can be replayed alone and a live search
meets the very order of the simulation. Under shared sampling the model is left out: all models meet one order.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from gembench.permutation import permute
from gembench.prng import hash_counter, mix


class OrderKey(NamedTuple):
    """The key of one query order, or of many: two uint32 words of one shape."""

    first: Array
    second: Array


def order_key(seed: Array, run: Array) -> OrderKey:
    """The key of the shared query order of a run: `seed` uint32 [2] (low and high word), `run` uint32 [...]."""
    low, high = mix(seed[0]), mix(seed[1] + np.uint32(0x51ED270B))
    return OrderKey(hash_counter(low, high, run), hash_counter(high, ~low, run))


def model_order_key(key: OrderKey, model: Array) -> OrderKey:
    """The key of one model's own order in a run, for independent sampling."""
    number = model.astype(jnp.uint32)
    return OrderKey(hash_counter(key.first, key.second, number), hash_counter(key.second, ~key.first, number))


def query_at(key: OrderKey, position: Array, num_queries: int) -> Array:
    """The query that stands at each `position` (int32 in [0, Q)) of the order: int32, same shape."""
    return permute(key.first, key.second, position, num_queries)
