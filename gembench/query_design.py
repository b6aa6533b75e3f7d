"""Which queries tell most of a model's mean over all of them, by the factor model of a history.

A design for estimating c . u, here the sum of all expected answers, is c-optimal when it leaves the least variance of
it (Elfving 1952); queries are added one by one, each the best after those before it.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

_SHAKE = 0.3
_LEAST_WEIGHT = 0.075


def c_optimal_queries(rng_key: Array, loadings: Array, noise: Array, num_queries: int) -> Array:
    """The queries [n] int32 of a greedy design, best first.

    Args:
        rng_key: every gain is multiplied by a log-normal number, so that another key gives another good design.
        loadings: [Q, F] float32, of factors that are N(0, I).
        noise: [Q] float32, variances.
        num_queries: n.
    """
    total = loadings.sum(axis=0)

    def add(carry: tuple[Array, Array], key: Array) -> tuple[tuple[Array, Array], Array]:
        covariance, is_taken = carry
        towards = loadings @ covariance
        variance = noise + (towards * loadings).sum(axis=1)
        gain = (towards @ total) ** 2 / variance
        gain = jnp.where(is_taken, -1, gain * jnp.exp(_SHAKE * jax.random.normal(key, gain.shape)))
        best = jnp.argmax(gain).astype(jnp.int32)
        direction = towards[best]
        covariance = covariance - jnp.outer(direction, direction) / variance[best]
        return (covariance, is_taken.at[best].set(True)), best

    before = jnp.eye(loadings.shape[1]), jnp.zeros(len(loadings), bool)
    return lax.scan(add, before, jax.random.split(rng_key, num_queries))[1]


def query_weights(mean: Array) -> Array:
    """How likely queries come next once a design is used up, [Q]: those that split models even are more telling."""
    mean = jnp.clip(mean, 0, 1)
    return jnp.sqrt(mean * (1 - mean)) + _LEAST_WEIGHT


def weighted_order(rng_key: Array, weights: Array, first: Array) -> Array:
    """All queries [Q] int32: those of `first` [n], then the others, drawn without replacement by their weights.

    Args:
        rng_key: for the draws.
        weights: [Q] float32, positive, by query.
        first: [n] int32, distinct.
    """
    # Exponential clocks whose rates are the weights ring in that order (Efraimidis and Spirakis 2006).
    clock = jax.random.exponential(rng_key, weights.shape) / weights
    clock = clock.at[first].set(-jnp.arange(len(first), 0, -1, dtype=jnp.float32))
    return jnp.argsort(clock).astype(jnp.int32)
