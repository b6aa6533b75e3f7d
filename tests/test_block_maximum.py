"""The table of blocks finds what a search of all scores would find, and is fair among equals.

Every statistical test rejects below p = 1e-6.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from uniformity import assert_equally_often

from gembench import block_maximum
from gembench.block_maximum import build, draw_best, replace_one
from gembench.prng import make_key

NUM_DRAWS = 50_000

replace_one_jit = jax.jit(replace_one)


@pytest.fixture(autouse=True, params=["blocks", "no blocks"])
def is_blocked(request, monkeypatch):
    """The tables are small, so that left to itself none would have blocks."""
    if request.param == "blocks":
        monkeypatch.setattr(block_maximum, "_FEW_SCORES", 0)
    return request.param == "blocks"


def test_only_few_scores_stay_without_blocks(monkeypatch):
    monkeypatch.undo()
    assert [build(jnp.zeros(size)).scores.shape for size in (1_023, 1_024)] == [(1_023,), (32, 32)]


@functools.partial(jax.jit, static_argnums=1)
def draws(table, num_draws=NUM_DRAWS):
    return jax.vmap(lambda key: draw_best(key, table))(jax.random.split(make_key(0), num_draws))


@pytest.mark.parametrize("size", [1, 7, 33])
def test_the_best_is_found_after_any_replacements(size):
    rng = np.random.default_rng(size)
    scores = rng.normal(size=size).astype(np.float32)
    table = build(jnp.asarray(scores))
    for _ in range(60):
        model = rng.integers(size)
        # The best often falls, as in a race where it has just answered.
        model = scores.argmax() if rng.random() < 0.5 else model
        scores[model] = rng.normal() if size == 1 or rng.random() < 0.9 else -np.inf
        table = replace_one_jit(table, jnp.int32(model), jnp.float32(scores[model]))
        if np.isfinite(scores.max()):
            assert np.asarray(draws(table, 4)).tolist() == [scores.argmax()] * 4


def test_a_replaced_table_is_the_one_built_anew():
    rng = np.random.default_rng(0)
    scores = rng.integers(3, size=50).astype(np.float32)
    table = build(jnp.asarray(scores))
    for model, score in zip(rng.integers(50, size=40), rng.integers(3, size=40), strict=True):
        scores[model] = score
        table = replace_one_jit(table, jnp.int32(model), jnp.float32(score))
    for kept, anew in zip(table, build(jnp.asarray(scores)), strict=True):
        np.testing.assert_array_equal(kept, anew)


@pytest.mark.parametrize("size", [2, 7, 33])
def test_equals_are_drawn_equally_often_however_they_share_the_blocks(size):
    """33 models: five blocks of six and one of three. A draw by block and then within would favour those three."""
    assert_equally_often(np.bincount(draws(build(jnp.ones(size, jnp.float32))), minlength=size))


def test_a_few_equals_in_uneven_blocks_are_drawn_equally_often():
    scores = np.zeros(33, np.float32)
    best = [0, 1, 2, 3, 4, 17, 31, 32]
    scores[best] = 2.5
    table = build(jnp.zeros(33, jnp.float32))
    for model in best:
        table = replace_one_jit(table, jnp.int32(model), jnp.float32(2.5))
    counts = np.bincount(draws(table), minlength=33)
    assert counts[best].sum() == NUM_DRAWS
    assert_equally_often(counts[best])


@pytest.mark.parametrize("seed", [1611272, 12714894])
def test_the_best_is_drawn_even_when_the_clock_of_its_block_is_drawn_as_zero(seed, is_blocked):
    """Keys, found by search, under which `jax.random.uniform` draws a zero for the block of the best model."""
    table = build(jnp.arange(9, dtype=jnp.float32))
    assert table.best.size == (3 if is_blocked else 0)
    clock_key = jax.random.split(make_key(seed), 3)[1]
    assert jax.random.uniform(clock_key, (3,))[2] == 0
    assert draw_best(make_key(seed), table) == 8
