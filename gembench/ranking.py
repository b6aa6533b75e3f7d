"""Picking the best models of a run, every tie broken at random.

`jnp.argmax` and `jax.lax.top_k` take the first of equals, which favours the models that happen to be listed first, and
sorting is slower than the replay itself. These do with maxima and counts, which vectorize over models.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

_TOP_BIT = np.uint32(1 << 31)


def best_model(rng_key: Array, scores: Array) -> Array:
    """The position (int32) of the highest of `scores` [M], drawn at random among equals."""
    return draw_one(rng_key, scores == scores.max())


def draw_one(rng_key: Array, eligible: Array) -> Array:
    """One position (int32), drawn at random among those where `eligible` [M] holds."""
    tickets, lane_bits = _draw_tickets(rng_key, eligible)
    return (tickets.max() & lane_bits).astype(jnp.int32) - 1


def top_models(rng_key: Array, scores: Array, num_models: int, num_taken: Array | None = None) -> Array:
    """The positions [num_models] int32 of the highest of `scores` [M], in rising order of position.

    Equal scores at the edge are drawn at random. Where only the first `num_taken` (int32, traced, at least 1) are wanted, the entries
    after them hold M.
    """
    taken = jnp.int32(num_models) if num_taken is None else num_taken
    words = _sortable(scores)
    edge = _largest(words, taken)
    above, at_edge = words > edge, words == edge
    tickets, _ = _draw_tickets(rng_key, at_edge)
    last_ticket = _largest(tickets, taken - above.sum(dtype=jnp.int32))
    num_chosen = jnp.cumsum(above | (tickets >= last_ticket), dtype=jnp.int32)
    return jnp.searchsorted(num_chosen, jnp.arange(1, num_models + 1, dtype=jnp.int32)).astype(jnp.int32)


def best_first(rng_key: Array, scores: Array, num_models: int) -> Array:
    """The positions [num_models] int32 of the highest of `scores` [M], best first, equals in random order."""

    def take(words: Array, key: Array) -> tuple[Array, Array]:
        best = best_model(key, words)
        return words.at[best].set(np.uint32(0)), best

    return lax.scan(take, _sortable(scores), jax.random.split(rng_key, num_models))[1]


def _draw_tickets(rng_key: Array, eligible: Array) -> tuple[Array, np.uint32]:
    """Random words [M], distinct and positive where `eligible`, else 0; the low bits hold the position plus 1."""
    (size,) = eligible.shape
    lane_bits = np.uint32((1 << size.bit_length()) - 1)
    lane = jnp.arange(1, size + 1, dtype=jnp.uint32)
    tickets = (jax.random.bits(rng_key, (size,), jnp.uint32) & ~lane_bits) | lane
    return jnp.where(eligible, tickets, np.uint32(0)), lane_bits


def _sortable(scores: Array) -> Array:
    """Words (uint32) in the same order as the float32 or int32 `scores`."""
    if scores.dtype == jnp.int32:
        return lax.bitcast_convert_type(scores, jnp.uint32) ^ _TOP_BIT
    words = lax.bitcast_convert_type(jnp.where(scores == 0, jnp.float32(0), scores), jnp.uint32)  # -0.0 equals 0.0
    return jnp.where(words >> 31 == 1, ~words, words | _TOP_BIT)


def _largest(words: Array, count: Array) -> Array:
    """The `count`-th largest of `words` (uint32), bit by bit: the greatest word that `count` of them reach."""

    def settle_bit(number: Array, found: Array) -> Array:
        candidate = found | (_TOP_BIT >> number.astype(jnp.uint32))
        return jnp.where((words >= candidate).sum(dtype=jnp.int32) >= count, candidate, found)

    return lax.fori_loop(0, 32, settle_bit, jnp.uint32(0))
