"""Designs against the variance that they are to lessen, and the order that follows them against its law.

Tests of chance reject below p = 1e-6.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import chisquare

from gembench import query_design
from gembench.query_design import c_optimal_queries, weighted_order


def variance_left(loadings, noise, queries):
    """Of the sum of all expected answers, once these queries are asked: by the inverse of the whole precision."""
    precision = np.eye(loadings.shape[1])
    for query in queries:
        precision += np.outer(loadings[query], loadings[query]) / noise[query]
    total = loadings.sum(axis=0)
    return total @ np.linalg.inv(precision) @ total


def test_each_query_of_a_design_leaves_the_least_variance_after_those_before_it(monkeypatch):
    monkeypatch.setattr(query_design, "_SHAKE", 0.0)
    rng = np.random.default_rng(0)
    loadings, noise = rng.normal(0.2, 0.3, (30, 4)), rng.uniform(0.05, 0.3, 30)
    design = c_optimal_queries(jax.random.key(0), jnp.asarray(loadings), jnp.asarray(noise), 8).tolist()
    assert len(set(design)) == 8
    for place, query in enumerate(design):
        others = [other for other in range(30) if other not in design[:place]]
        left = {other: variance_left(loadings, noise, [*design[:place], other]) for other in others}
        assert left[query] <= min(left.values()) * (1 + 1e-4)


def test_another_key_gives_another_design():
    rng = np.random.default_rng(0)
    loadings, noise = rng.normal(0.2, 0.05, (60, 2)), np.full(60, 0.2)
    designs = {tuple(c_optimal_queries(jax.random.key(seed), loadings, noise, 5).tolist()) for seed in range(8)}
    assert len(designs) > 4


def test_an_order_begins_with_the_design_and_has_every_query_once():
    found = weighted_order(jax.random.key(1), jnp.full(50, 0.3), jnp.asarray([7, 3, 40]))
    assert found[:3].tolist() == [7, 3, 40]
    assert sorted(found.tolist()) == list(range(50))


def test_after_the_design_queries_come_in_proportion_to_their_weights():
    weights = np.asarray([0.5, 0.1, 0.2, 0.1, 0.1] * 40)
    keys, nothing = jax.random.split(jax.random.key(0), 4000), jnp.zeros(0, jnp.int32)
    first = jax.vmap(lambda key: weighted_order(key, jnp.asarray(weights, jnp.float32), nothing)[0])(keys)
    counts = np.bincount(np.asarray(first) % 5, minlength=5)
    assert chisquare(counts, 4000 * weights[:5]).pvalue > 1e-6
