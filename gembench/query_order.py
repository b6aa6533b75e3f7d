"""The order in which a model meets the queries: a keyed permutation, computed at any position and never stored.

The order is a pure function of (seed, run, model, position), so that one run can be replayed alone and a live search
meets the very order of the simulation. Under shared sampling the model is left out: all models meet one order.

Construction: a generalized Feistel network over the digits (left, right) of a position in base (a, b), with
cycle-walking where a*b exceeds the number of queries (Black and Rogaway, "Ciphers with Arbitrary Finite Domains",
CT-RSA 2002, sections 3 and 5).
"""

import math
from functools import lru_cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from gembench.prng import hash_counter, mix

_NUM_ROUNDS = 8


class OrderKey(NamedTuple):
    """The key of one query order, or of many: two uint32 words of one shape."""

    first: Array
    second: Array


def order_key(seed: Array, run: Array) -> OrderKey:
    """The key of the shared query order of a run: `seed` uint32 [2] (low and high word), `run` uint32 [...]."""
    word = hash_counter(mix(seed[0]), mix(seed[1] + np.uint32(0x51ED270B)), run)
    return OrderKey(word, mix(word + np.uint32(0x2545F491)))


def model_order_key(key: OrderKey, model: Array) -> OrderKey:
    """The key of one model's own order in a run, for independent sampling."""
    word = hash_counter(key.first, key.second, model.astype(jnp.uint32))
    return OrderKey(word, mix(word + np.uint32(0x2545F491)))


@lru_cache
def _base(num_queries: int) -> tuple[int, int]:
    """(a, b) with a*b >= num_queries: the least excess first, since each excess element costs one more walk."""
    root = math.isqrt(num_queries - 1) + 1
    candidates = range(max(1, root // 2), root + 1)
    return min(((a, -(-num_queries // a)) for a in candidates), key=lambda base: (base[0] * base[1], -base[0]))


def _permute(key: OrderKey, position: Array, base: tuple[int, int]) -> Array:
    """One pass of the network over [0, a*b)."""
    radix = (np.uint32(base[0]), np.uint32(base[1]))
    left, right = position // radix[1], position % radix[1]
    for number in range(_NUM_ROUNDS):
        modulus = radix[number % 2]
        word = (right + key.first + np.uint32(number * 0x3C6EF372 & 0xFFFFFFFF)) * np.uint32(0x7FEB352D)
        word = ((word ^ (word >> 15)) + key.second) * np.uint32(0x846CA68B)
        # The high 16 bits, scaled to [0, modulus): no division in the loop.
        shifted = left + (((word >> 16) * modulus) >> 16)
        left, right = right, jnp.where(shifted >= modulus, shifted - modulus, shifted)
    return left * radix[1] + right


def query_at(key: OrderKey, position: Array, num_queries: int) -> Array:
    """The query that stands at each `position` (int32 in [0, Q)) of the order: int32, same shape.

    Exactly a permutation of [0, Q) under every key. Beyond Q the result is some valid query.
    """
    base = _base(num_queries)
    query = _permute(key, position.astype(jnp.uint32), base)
    # A walk leaves the excess elements after at most as many steps as there are of them.
    for _ in range(base[0] * base[1] - num_queries):
        query = jnp.where(query < num_queries, query, _permute(key, query, base))
    return jnp.minimum(query, np.uint32(num_queries - 1)).astype(jnp.int32)
