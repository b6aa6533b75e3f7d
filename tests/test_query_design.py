"""Designs against the variance that they are to lessen, and draws against their law.

Tests of chance reject below p = 1e-6.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from gembench.query_design import c_optimal_queries, weighted_queries


def variance_left(loadings, noise, target, queries):
    """Of the target, once these queries are asked: by the inverse of the whole precision."""
    precision = np.eye(loadings.shape[1])
    for query in queries:
        precision += np.outer(loadings[query], loadings[query]) / noise[query]
    return target @ np.linalg.inv(precision) @ target


def design(loadings, noise, target, asked, num_queries, luck=None):
    """The greedy design after some queries were asked."""
    precision = np.eye(loadings.shape[1]) + (loadings[asked].T / noise[asked]) @ loadings[asked]
    is_taken = np.isin(np.arange(len(noise)), asked)
    luck = np.zeros(len(noise)) if luck is None else luck
    parts = (loadings, noise, target, np.linalg.inv(precision))
    arrays = [jnp.asarray(part, jnp.float32) for part in parts]
    return c_optimal_queries(*arrays, jnp.asarray(is_taken), jnp.asarray(luck, jnp.float32), num_queries).tolist()


@pytest.mark.parametrize("asked", [[], [3, 11, 25]])
def test_each_query_of_a_design_leaves_the_least_variance_after_those_before_it(asked):
    rng = np.random.default_rng(0)
    loadings, noise = rng.normal(0.2, 0.3, (30, 4)), rng.uniform(0.05, 0.3, 30)
    target = loadings.sum(axis=0)
    chosen = [*asked, *design(loadings, noise, target, asked, 8)]
    assert len(set(chosen)) == len(asked) + 8
    for place in range(len(asked), len(chosen)):
        others = [other for other in range(30) if other not in chosen[:place]]
        left = {other: variance_left(loadings, noise, target, [*chosen[:place], other]) for other in others}
        assert left[chosen[place]] <= min(left.values()) * (1 + 1e-4)


def test_luck_decides_between_queries_that_are_equally_good():
    loadings, noise, luck = np.full((5, 1), 0.3), np.full(5, 0.2), np.array([0.1, 0.5, 0.2, 0.9, 0.3])
    assert design(loadings, noise, np.ones(1), [], 3, luck) == [3, 1, 4]


def test_what_is_taken_is_not_drawn_and_nothing_twice():
    luck = jax.random.gumbel(jax.random.key(0), (20,))
    is_taken = jnp.arange(20) < 15
    assert sorted(weighted_queries(jnp.ones(20), is_taken, luck, 5).tolist()) == [15, 16, 17, 18, 19]


def test_queries_are_drawn_in_proportion_to_their_weights():
    weights = np.asarray([0.5, 0.1, 0.2, 0.1, 0.1] * 40)
    luck = jax.random.gumbel(jax.random.key(0), (4000, 200))
    nothing = jnp.zeros(200, bool)
    first = jax.vmap(lambda own: weighted_queries(jnp.asarray(weights, jnp.float32), nothing, own, 1)[0])(luck)
    counts = np.bincount(np.asarray(first) % 5, minlength=5)
    assert chisquare(counts, 4000 * weights[:5]).pvalue > 1e-6
