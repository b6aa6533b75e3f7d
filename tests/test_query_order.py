"""The query order: a permutation per (seed, run, model), unrelated to those of its neighbours.

Every statistical test rejects below p = 1e-6.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from uniformity import assert_equally_often, assert_uniform_pair, assert_uniform_permutations

from gembench.query_order import model_order_key, order_key, query_at

NUM_ORDERS = 1_000_000


@jax.jit
def key_of(seed, run):
    return order_key(seed, run)


def words(seed):
    return jnp.asarray([seed & 0xFFFFFFFF, seed >> 32], jnp.uint32)


def queries(key, positions, num_queries):
    """[positions, ...] the queries at some positions of each order."""
    position = jnp.asarray(positions, jnp.int32).reshape(-1, *[1] * key.first.ndim)
    spread = jax.tree.map(lambda word: word[None], key)
    return np.asarray(jax.jit(query_at, static_argnums=2)(spread, position, num_queries))


def neighbours(of):
    """Two families of orders, member by member of neighbouring seeds, runs or models."""
    counter = jnp.arange(NUM_ORDERS, dtype=jnp.uint32)
    run_key = key_of(words(7), counter)
    one_key = key_of(words(7), jnp.uint32(3))
    if of == "runs":
        return run_key, key_of(words(7), counter + 1)
    if of == "runs 1024 apart":
        return run_key, key_of(words(7), counter + 1024)
    if of == "seeds":
        return run_key, key_of(words(8), counter)
    if of == "high words of the seed":
        return run_key, key_of(words(7 + (1 << 32)), counter)
    if of == "a run and a model's own":
        return run_key, model_order_key(run_key, jnp.uint32(0))
    if of == "models of one run":
        return model_order_key(one_key, counter), model_order_key(one_key, counter + 1)
    if of == "one model in all runs":
        return model_order_key(run_key, jnp.uint32(5)), model_order_key(run_key, jnp.uint32(6))
    raise AssertionError(of)


FAMILIES = [
    "runs",
    "runs 1024 apart",
    "seeds",
    "high words of the seed",
    "a run and a model's own",
    "models of one run",
    "one model in all runs",
]


@pytest.mark.parametrize("of", FAMILIES)
def test_neighbouring_orders_are_independent(of):
    """The query that comes first in the one against those that come first and second in the other."""
    here, there = neighbours(of)
    (first_here,) = queries(here, [0], 3_000) / 3_000
    first_there, second_there = queries(there, [0, 1], 3_000) / 3_000
    assert_uniform_pair(first_here, first_there)
    assert_uniform_pair(first_here, second_there)


@pytest.mark.parametrize("of", FAMILIES)
def test_neighbouring_orders_begin_with_the_same_query_once_in_q_times(of):
    here, there = neighbours(of)
    (difference,) = (queries(here, [0], 97) - queries(there, [0], 97)) % 97
    assert_equally_often(np.bincount(difference, minlength=97))


@pytest.mark.parametrize("num_queries", [5, 12])
def test_every_query_stands_everywhere_equally_often_over_runs_and_over_models(num_queries):
    run_key = key_of(words(1), jnp.arange(200_000, dtype=jnp.uint32))
    model_key = model_order_key(key_of(words(1), jnp.uint32(0)), jnp.arange(200_000, dtype=jnp.uint32))
    for key in (run_key, model_key):
        assert_uniform_permutations(queries(key, range(num_queries), num_queries).T)


def test_each_order_has_every_query_once():
    run_key = key_of(words(5), jnp.arange(20, dtype=jnp.uint32))
    model_key = model_order_key(jax.tree.map(lambda word: word[:, None], run_key), jnp.arange(6, dtype=jnp.int32)[None])
    order = queries(model_key, range(1_001), 1_001)
    expected = np.broadcast_to(np.arange(1_001)[:, None, None], order.shape)
    np.testing.assert_array_equal(np.sort(order, axis=0), expected)


def test_all_runs_and_models_have_keys_of_their_own():
    """Within a seed, no two of 2**20 runs, and within a run, no two of 2**20 models, share a key."""
    counter = jnp.arange(1 << 20, dtype=jnp.uint32)
    for key in (key_of(words(9), counter), model_order_key(key_of(words(9), jnp.uint32(4)), counter)):
        assert np.unique(np.asarray(key.first)).size == 1 << 20


def test_an_order_does_not_depend_on_what_it_is_computed_beside():
    together = queries(key_of(words(3), jnp.arange(50, dtype=jnp.uint32)), range(40), 40)
    alone = queries(key_of(words(3), jnp.uint32(17)), range(40), 40)
    np.testing.assert_array_equal(together[:, 17], alone)
