"""Picking the best models of a run, every tie broken at random.

`jnp.argmax` and `jax.lax.top_k` take the first of equals, which favours the models that happen to be listed first.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from gembench.lanes import put, take
from gembench.prng import mix

_LOWEST = np.int32(-(2**31))
_FLOAT_BITS = 24
_ENOUGH_TICKET_BITS = 16
_MANY, _MOST = 64, 0.55


def best_model(rng_key: Array, scores: Array) -> Array:
    """The position (int32) of the highest of `scores` [M], float32 or int32, drawn at random among equals.

    Two maxima of integers, which vectorize over models; an argmax, and a maximum of floats, do not.
    """
    (size,) = scores.shape
    words = _sortable(scores)
    # A multiplication by a random odd number spreads the hashed positions: enough to draw among equals, at a third of
    # the price of full random words. The low bits hold the position, scrambled, so that equal tickets favour no end.
    mask, factor, scramble = jax.random.bits(rng_key, (3,), jnp.uint32)
    lane_bits = np.uint32((1 << (size - 1).bit_length()) - 1)
    lane = np.arange(size, dtype=np.uint32)
    tickets = (mix(lane) ^ mask) * (factor | np.uint32(1))
    tickets = (tickets & ~lane_bits) | (lane ^ (scramble & lane_bits))
    highest = jnp.where(words == words.max(), tickets, np.uint32(0)).max()
    winner: Array = ((highest ^ scramble) & lane_bits).astype(jnp.int32)
    return winner


def best_of_distinct(rng_key: Array, scores: Array) -> Array:
    """The position (int32) of the highest of `scores` [M], float32, of a continuous law, in which ties hardly occur.

    In one pass, where `best_model` takes two: the position stands in the last bits of the score, one for each power of
    two in M, so scores that differ by less than those are equals. Of two such neighbours either wins by a fair coin, as
    either was as likely to be ahead; of more, not all with the same chance.
    """
    (size,) = scores.shape
    lane_bits = np.int32((1 << (size - 1).bit_length()) - 1)
    scramble = lax.bitcast_convert_type(jax.random.bits(rng_key, (), jnp.uint32), jnp.int32) & lane_bits
    lane = np.arange(size, dtype=np.int32)
    highest = ((_ordered_words(scores) & ~lane_bits) | (lane ^ scramble)).max()
    winner: Array = (highest & lane_bits) ^ scramble
    return winner


def top_models(rng_key: Array, points: Array, num_models: int, max_points: int) -> Array:
    """The positions [num_models] int32 of those with most `points` [S] int32, best first, equals in random order.

    `max_points`, under 2**24 - 1, bounds the points from above; -1 bounds them from below.
    """
    tickets = jax.random.bits(rng_key, points.shape, jnp.uint32)
    ticket_bits = _FLOAT_BITS - (max_points + 1).bit_length()
    if ticket_bits >= _ENOUGH_TICKET_BITS:
        # Points and ticket side by side in one exact float32.
        fraction = (tickets >> (32 - ticket_bits)).astype(jnp.int32)
        return lax.top_k(((points << ticket_bits) | fraction).astype(jnp.float32), num_models)[1]
    shuffled = lax.top_k((tickets >> (32 - _FLOAT_BITS)).astype(jnp.float32), points.size)[1]
    return take(shuffled, lax.top_k(take(points, shuffled).astype(jnp.float32), num_models)[1])


def best_models(rng_key: Array, points: Array, num_models: int, max_points: int) -> Array:
    """As `top_models`, but in no order: the positions [num_models] int32 of those with most `points` [S] int32.

    A heap, as `top_k` is, costs more the more are kept. So of many models the least words that stay are found bit by
    bit, which takes one pass over the models for each.
    """
    num_bits = (max_points + 2).bit_length() + _ENOUGH_TICKET_BITS
    if num_models <= max(_MANY, _MOST * points.size) or num_bits > 32:
        return top_models(rng_key, points, num_models, max_points)
    tickets = jax.random.bits(rng_key, points.shape, jnp.uint32) >> (32 - _ENOUGH_TICKET_BITS)
    words = ((points + 1).astype(jnp.uint32) << _ENOUGH_TICKET_BITS) | tickets

    def set_bit(index: Array, least: Array) -> Array:
        higher = least | (jnp.uint32(1) << (num_bits - 1 - index).astype(jnp.uint32))
        return jnp.where((words >= higher).sum() >= num_models, higher, least)

    least = lax.fori_loop(0, num_bits, set_bit, jnp.uint32(0))
    is_above, is_equal = words > least, words == least
    # Equal words are rare; the first of them stay.
    stays = is_above | (is_equal & (jnp.cumsum(is_equal) <= num_models - is_above.sum()))
    place = jnp.where(stays, jnp.cumsum(stays) - 1, num_models)
    everyone = jnp.arange(points.size, dtype=jnp.int32)
    return jnp.zeros(num_models, jnp.int32).at[place].set(everyone, mode="drop")


def top_scores(rng_key: Array, scores: Array, num_models: int) -> Array:
    """The positions [num_models] int32 of the highest of any `scores` [S], best first, equals in random order."""
    shuffled = jax.random.permutation(rng_key, scores.size).astype(jnp.int32)
    return take(shuffled, lax.top_k(take(scores, shuffled), num_models)[1])


def scores_by_rounds(rounds: Array, scores: Array) -> Array:
    """Scores [M] int32 that stand by `rounds` played [M] int32, and among equals of these by any `scores` [M]."""
    return rounds * scores.size + jnp.argsort(jnp.argsort(scores))


def best_first(rng_key: Array, scores: Array, num_models: int) -> Array:
    """The positions [num_models] int32 of the highest of `scores` [M], float32 or int32, best first.

    Equals come in random order, and NaN, the mean of a model that was never asked, comes last. For a handful of models
    this is faster than a sort.
    """
    if scores.dtype != jnp.int32:
        scores = jnp.where(jnp.isnan(scores), -jnp.inf, scores)

    def take_best(words: Array, key: Array) -> tuple[Array, Array]:
        best = best_model(key, words)
        return put(words, best, jnp.asarray(_LOWEST)), best

    return lax.scan(take_best, _sortable(scores), jax.random.split(rng_key, num_models))[1]


def _sortable(scores: Array) -> Array:
    """Integers (int32) in the order of the scores."""
    if scores.dtype == jnp.int32:
        return scores
    return _ordered_words(jnp.where(scores == 0, jnp.float32(0), scores))  # -0.0 equals 0.0


def _ordered_words(scores: Array) -> Array:
    words = lax.bitcast_convert_type(scores, jnp.int32)
    # Negative floats are ordered by falling magnitude.
    return words ^ ((words >> 31) & np.int32(0x7FFFFFFF))
