"""The highest of M scores of which few change at a time: only the block of a changed score is searched again."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from gembench.lanes import put, take
from gembench.ranking import best_model

_FEW_SCORES = 1024


class BlockMaximum(NamedTuple):
    """Scores in blocks of about sqrt(M). So few that a search of all is faster stay [M], with `blocks` 0.

    Attributes:
        scores: [blocks, width] float32, the models in order; the last block is filled up with -inf.
        best: [blocks] float32, the highest score of each block.
        num_best: [blocks] float32, how many models share it.
    """

    scores: Array
    best: Array
    num_best: Array


def build(scores: Array) -> BlockMaximum:
    """From all scores [M] float32."""
    if scores.size < _FEW_SCORES:
        nothing = jnp.zeros(0, jnp.float32)
        return BlockMaximum(scores, nothing, nothing)
    width = math.isqrt(scores.size - 1) + 1
    blocks = -(-scores.size // width)
    filled = jnp.pad(scores, (0, blocks * width - scores.size), constant_values=-jnp.inf).reshape(blocks, width)
    return _summarize(filled)


def replace_one(table: BlockMaximum, model: Array, score: Array) -> BlockMaximum:
    """With the score (float32) of one `model` (int32) changed."""
    if table.best.size == 0:
        return table._replace(scores=put(table.scores, model, score))
    width = table.scores.shape[1]
    block, place = model // width, model % width
    row = jnp.where(jnp.arange(width, dtype=jnp.int32) == place, score, take(table.scores, block))
    summary = _summarize(row[None, :])
    return BlockMaximum(*(put(old, block, new[0]) for old, new in zip(table, summary, strict=True)))


def draw_best(rng_key: Array, table: BlockMaximum) -> Array:
    """The model (int32) with the highest score, drawn at random among equals: a block by its share, then one in it."""
    if table.best.size == 0:
        return best_model(rng_key, table.scores)
    block_key, clock_key, model_key = jax.random.split(rng_key, 3)
    # Exponential clocks with rates num_best: the first to ring is a block in proportion to its number of best models.
    clock = jax.random.exponential(clock_key, table.best.shape) / table.num_best
    block = best_model(block_key, jnp.where(table.best == table.best.max(), -clock, -jnp.inf))
    return block * table.scores.shape[1] + best_model(model_key, take(table.scores, block))


def _summarize(scores: Array) -> BlockMaximum:
    best = scores.max(axis=1)
    return BlockMaximum(scores, best, (scores == best[:, None]).sum(axis=1, dtype=jnp.float32))
