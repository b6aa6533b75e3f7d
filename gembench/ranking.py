"""Picking the best models of a run, every tie broken at random.

`jnp.argmax` and `jax.lax.top_k` take the first of equals, which favours the models that happen to be listed first.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from gembench.lanes import put, take
from gembench.permutation import permute

_LOWEST = -(2**31)


def best_model(rng_key: Array, scores: Array) -> Array:
    """The position (int32) of the highest of `scores` [M], drawn at random among equals.

    Two maxima of integers, which vectorize over models; an argmax, and a maximum of floats, do not.
    """
    (size,) = scores.shape
    words = _sortable(scores)
    lane_bits = np.uint32((1 << (size - 1).bit_length()) - 1)
    tickets = jax.random.bits(rng_key, (size,), jnp.uint32) & ~lane_bits
    tickets = tickets | jnp.arange(size, dtype=jnp.uint32)
    highest = jnp.where(words == words.max(), tickets, np.uint32(0)).max()
    return (highest & lane_bits).astype(jnp.int32)


def top_models(rng_key: Array, scores: Array, num_models: int) -> Array:
    """The positions [num_models] int32 of the highest of `scores` [M], best first, equals in random order.

    Integer scores must be under 2**24, where float32 still tells them apart.
    """
    # Shuffled lanes make the first of equals a random one.
    (size,) = scores.shape
    first, second = jax.random.bits(rng_key, (2,), jnp.uint32)
    shuffled = permute(first, second, np.arange(size, dtype=np.int32), size, num_rounds=4)
    return take(shuffled, lax.top_k(take(scores.astype(jnp.float32), shuffled), num_models)[1])


def best_first(rng_key: Array, scores: Array, num_models: int) -> Array:
    """The positions [num_models] int32 of the highest of `scores` [M], float32 or int32, best first.

    For a handful of models this is faster than a sort, and exact for any integers.
    """

    def take_best(words: Array, key: Array) -> tuple[Array, Array]:
        best = best_model(key, words)
        return put(words, best, jnp.int32(_LOWEST)), best

    return lax.scan(take_best, _sortable(scores), jax.random.split(rng_key, num_models))[1]


def _sortable(scores: Array) -> Array:
    """Integers (int32) in the order of the scores, float32 or int32."""
    if scores.dtype == jnp.int32:
        return scores
    words = lax.bitcast_convert_type(scores, jnp.int32)
    # Negative floats are ordered by falling magnitude.
    return words ^ ((words >> 31) & np.int32(0x7FFFFFFF))
