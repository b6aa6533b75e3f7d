"""What right answers count by a factor model, and whether that foresees new answers better than a plain count does.

Shapes: S models, t queries that all of them were asked.
"""

import jax.numpy as jnp
from jax import Array

from gembench.factor_model import Planes
from gembench.small_systems import solve


def answer_weights(planes: Planes, plane: Array, queries: Array) -> tuple[Array, Array]:
    """What a right answer to each of the asked `queries` [t] counts, [t], and what is added.

    The posterior mean of right answers to all Q queries is then the sum of the weights where the model is right, plus
    the constant.
    """
    loadings, mean, noise = planes.loadings[plane, queries], planes.mean[plane, queries], planes.noise[plane, queries]
    scaled = loadings / noise[:, None]
    precision = jnp.eye(loadings.shape[1]) + loadings.T @ scaled
    unasked = planes.loadings[plane].sum(axis=0) - loadings.sum(axis=0)
    says = scaled @ solve(precision, unasked)
    return 1 + says, planes.mean[plane].sum() - mean.sum() - (says * mean).sum()


def evidence_of_history(planes: Planes, plane: Array, queries: Array, right: Array, num_before: int) -> Array:
    """By how much the weighted tally of the answers before foresaw the new ones better than the plain one, as log odds.

    `right` [S, t] are the answers to `queries` [t], of which the first `num_before` came before. Both tallies foresee
    how far a model's new answers are above or below those of all; the likelihoods are Gaussian.
    """
    before, after = right[:, :num_before], right[:, num_before:]
    loadings, noise = planes.loadings[plane, queries], planes.noise[plane, queries]
    old, new = loadings[:num_before], loadings[num_before:]
    scaled = old / noise[:num_before, None]
    foreseen = before @ (scaled @ solve(jnp.eye(old.shape[1]) + old.T @ scaled, new.sum(axis=0)))
    mean = before.mean(axis=1)
    chance = jnp.clip(mean.mean() * (1 - mean.mean()), 0.02, 0.25) / num_before
    spread = jnp.maximum(mean.var() - chance, 1e-5)
    plain = after.shape[1] * spread / (spread + chance) * mean
    came = after.sum(axis=1)
    error_of_plain, error = _deviation(came - plain), _deviation(came - foreseen)
    return (error_of_plain - error) / (2 * jnp.maximum(came.var(), 0.05))


def _deviation(values: Array) -> Array:
    return ((values - values.mean()) ** 2).sum()
