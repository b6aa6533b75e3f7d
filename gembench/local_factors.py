"""The factor model of a history, moved to where the models of a race are.

Models of a race are much alike: they answer most queries as one. Where that is, the race's own answers tell, as the
factors of its mean model; a query that the mean model is sure of, right or wrong, tells the models apart little. So the
loadings are scaled as a logistic curve's slope is, and the noise is that of a coin with the mean model's chance. What
is left to learn of each model is how it differs from the mean one.

Shapes: C queries of a pool, t asked ones of them, F factors.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from gembench.factor_model import FactorModel
from gembench.lanes import take
from gembench.small_systems import inverse, solve

_CERTAINTY = 0.02
_STEEPEST = 1.5
_SHARE_OF_NOISE = 0.25
_LEAST_NOISE = 0.02
_SPREAD = 0.5
_NOISE_OF_MEAN = 0.3
_WORTH_OF_HISTORY = 2.0


class Asked(NamedTuple):
    """How a race answered.

    Attributes:
        queries: [t] int32, by their places in the pool.
        mean: [t] float32, the share of right answers.
        num_models: [t] float32, how many models gave them.
    """

    queries: Array
    mean: Array
    num_models: Array


def localize(model: FactorModel, asked: Asked) -> FactorModel:
    """The factor model of what sets a race's models apart, by how they answered some queries."""
    loadings, noise = take(model.loadings, asked.queries), take(model.noise, asked.queries)
    scaled = loadings / (_NOISE_OF_MEAN * noise)[:, None]
    precision = jnp.eye(loadings.shape[1]) + loadings.T @ scaled
    factors = solve(precision, (asked.mean - take(model.mean, asked.queries)) @ scaled)
    chance = jnp.clip(model.mean + model.loadings @ factors, _CERTAINTY, 1 - _CERTAINTY)
    seen = _WORTH_OF_HISTORY * take(chance, asked.queries) + asked.num_models * asked.mean
    seen = seen / (_WORTH_OF_HISTORY + asked.num_models)
    chance = jnp.clip(chance.at[asked.queries].set(seen), _CERTAINTY / 2, 1 - _CERTAINTY / 2)
    before = jnp.clip(model.mean, 0.03, 0.97)
    variance = chance * (1 - chance)
    slope = jnp.minimum(variance / (before * (1 - before)), _STEEPEST)
    moved = model.loadings * (_SPREAD * slope)[:, None]
    unexplained = jnp.maximum(variance - (moved**2).sum(axis=1), _SHARE_OF_NOISE * variance)
    return FactorModel(chance, moved, unexplained + _LEAST_NOISE)


def evidence_of_means(model: FactorModel, asked: Asked) -> Array:
    """How much better a model's means foretell which of the asked queries a race finds hard than if all were alike.

    As log odds of two Gaussian models that may each be wrong about how many the race gets right in all, and have a
    variance of their own.
    """
    if not asked.queries.size:
        return jnp.zeros(())
    unexplained = (asked.mean - take(model.mean, asked.queries)).var()
    ratio = (asked.mean.var() + _LEAST_NOISE) / (unexplained + _LEAST_NOISE)
    odds: Array = 0.5 * asked.queries.size * jnp.log(ratio)
    return odds


def posterior_covariance(model: FactorModel, queries: Array) -> Array:
    """Of the factors [F, F], once `queries` [t] were answered."""
    loadings = take(model.loadings, queries)
    scaled = loadings / take(model.noise, queries)[:, None]
    return inverse(jnp.eye(loadings.shape[1]) + loadings.T @ scaled)
