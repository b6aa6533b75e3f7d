"""Picking the best models of a run, every tie broken at random.

`jnp.argmax` and `jax.lax.top_k` take the first of equals, which favours the models that happen to be listed first.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from gembench.permutation import permute


def best_model(rng_key: Array, scores: Array) -> Array:
    """The position (int32) of the highest of `scores` [M], drawn at random among equals.

    Two maxima, which vectorize over models where an argmax does not.
    """
    (size,) = scores.shape
    lane_bits = np.uint32((1 << (size - 1).bit_length()) - 1)
    tickets = jax.random.bits(rng_key, (size,), jnp.uint32) & ~lane_bits
    tickets = tickets | jnp.arange(size, dtype=jnp.uint32)
    highest = jnp.where(scores == scores.max(), tickets, np.uint32(0)).max()
    return (highest & lane_bits).astype(jnp.int32)


def top_models(rng_key: Array, scores: Array, num_models: int) -> Array:
    """The positions [num_models] int32 of the highest of `scores` [M], best first, equals in random order.

    Integer scores must be under 2**24, where float32 still tells them apart.
    """
    # Shuffled lanes make the first of equals a random one.
    (size,) = scores.shape
    first, second = jax.random.bits(rng_key, (2,), jnp.uint32)
    shuffled = permute(first, second, jnp.arange(size, dtype=jnp.int32), size)
    return shuffled[lax.top_k(scores.astype(jnp.float32)[shuffled], num_models)[1]]


def best_first(rng_key: Array, scores: Array, num_models: int) -> Array:
    """The positions [num_models] int32 of the highest of `scores` [M], float32 or int32, best first.

    For a handful of models this is faster than a sort, and exact for any integers.
    """
    lowest = -jnp.inf if scores.dtype == jnp.float32 else jnp.iinfo(jnp.int32).min

    def take(remaining: Array, key: Array) -> tuple[Array, Array]:
        best = best_model(key, remaining)
        return remaining.at[best].set(lowest), best

    return lax.scan(take, scores, jax.random.split(rng_key, num_models))[1]
