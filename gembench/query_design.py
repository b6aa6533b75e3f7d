"""Which queries tell most of a model's mean over all of them, by a factor model.

A design for estimating c . u, here the sum of all expected answers, is c-optimal when it leaves the least variance of
it (Elfving 1952); queries are added one by one, each the best after those before it.

Shapes: C queries, F factors.
"""

import jax.numpy as jnp
from jax import Array, lax

from gembench.lanes import put, take

_TINY = 1e-30


def c_optimal_queries(
    loadings: Array,
    noise: Array,
    target: Array,
    covariance: Array,
    is_taken: Array,
    luck: Array,
    num_queries: int,
) -> Array:
    """The queries [n] int32 of a greedy design, best first.

    Args:
        loadings: [C, F] float32.
        noise: [C] float32, variances.
        target: [F] float32, c.
        covariance: [F, F] float32, of the factors before.
        is_taken: [C] bool, what cannot be asked.
        luck: [C] float32, added to the log of the variance that a query takes off: other luck, another good design.
        num_queries: n, at most as many as there are left.
    """
    towards = loadings @ covariance
    variance = noise + (towards * loadings).sum(axis=1)

    def add(carry: tuple[Array, Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array, Array], Array]:
        covariance, variance, shared, is_taken = carry
        gain = jnp.log(shared * shared + _TINY) - jnp.log(variance) + luck
        best = jnp.argmax(jnp.where(is_taken, -jnp.inf, gain)).astype(jnp.int32)
        own_variance, own_shared = take(variance, best), take(shared, best)
        direction = covariance @ take(loadings, best)
        with_best = loadings @ direction
        # What remains once the answer is known, by the formula of Sherman and Morrison.
        covariance = covariance - jnp.outer(direction, direction) / own_variance
        variance = variance - with_best**2 / own_variance
        shared = shared - with_best * own_shared / own_variance
        return (covariance, variance, shared, put(is_taken, best, jnp.array(True))), best

    before = covariance, variance, towards @ target, is_taken
    queries: Array = lax.scan(add, before, length=num_queries)[1]
    return queries


def weighted_queries(weights: Array, is_taken: Array, luck: Array, num_queries: int) -> Array:
    """Queries [n] int32 drawn without replacement, in proportion to `weights`.

    Args:
        weights: [C] float32, positive.
        is_taken: [C] bool, what cannot be asked.
        luck: [C] float32, of the standard Gumbel distribution.
        num_queries: n, at most as many as there are left.
    """
    # The largest sums of log weight and Gumbel noise are such a draw (Efraimidis and Spirakis 2006).
    return lax.top_k(jnp.where(is_taken, -jnp.inf, jnp.log(weights) + luck), num_queries)[1].astype(jnp.int32)
