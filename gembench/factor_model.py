"""A Gaussian factor model of answers: what a model answers to some queries tells what it would answer to others.

Answer x_j of a model to query j is mu_j + v_j . u + e_j, with the model's factors u ~ N(0, I) and e_j ~ N(0, s_j^2).
Mean, loadings and noise come from a history of other models. Weak and strong models err on different queries, so there
is a *plane* for each of some levels of accuracy, from the history near it, and one from all of it.

Shapes: H models of the history, Q queries, P planes, F factors.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

_LEVELS = np.linspace(0.1, 0.8, 8)
_WIDTH = 0.1
_LEAST_WEIGHT = 0.02
_LEAST_VARIANCE = 0.01
_INTERCEPT_SPREAD = 0.03
_MORE_MODELS = 5.0
_HALF_WORTH = 25.0
_ITERATIONS = 6
_MORE_COLUMNS = 8


class FactorModel(NamedTuple):
    """One factor model, of Q queries.

    Attributes:
        mean: [Q] float32.
        loadings: [Q, F] float32.
        noise: [Q] float32, variances.
    """

    mean: Array
    loadings: Array
    noise: Array


class Planes(NamedTuple):
    """Factor models, each near a level of accuracy.

    Attributes:
        level: [P] float32, the mean accuracy of the histories that a plane was made of; the last is of all.
        mean: [P, Q] float32.
        loadings: [P, Q, F] float32.
        noise: [P, Q] float32, variances.
        worth: [P] float32, from 0 to 1: how far what a plane says of queries that nobody was asked can be relied on,
            by how many histories it was made of.
    """

    level: Array
    mean: Array
    loadings: Array
    noise: Array
    worth: Array

    def one(self, plane: Array | int, queries: Array) -> FactorModel:
        """A plane, for some of the queries, [n] int32."""
        return FactorModel(self.mean[plane, queries], self.loadings[plane, queries], self.noise[plane, queries])


def fit_planes(history: Array, num_factors: int) -> Planes:
    """The planes of a `history` [H, Q] int8, -1 where unknown; `num_factors` besides the intercept."""
    is_known = history >= 0
    known = is_known.astype(jnp.float32)
    answers = jnp.where(is_known, history, 0).astype(jnp.float32)
    accuracy = answers.sum(axis=1) / jnp.maximum(known.sum(axis=1), 1)
    levels = jnp.asarray(_LEVELS, jnp.float32)
    near = jnp.exp(-0.5 * ((accuracy[None, :] - levels[:, None]) / _WIDTH) ** 2) + _LEAST_WEIGHT
    weights = jnp.concatenate([near, jnp.ones((1, len(history)))])
    planes: Planes = lax.map(lambda weight: _fit(answers, known, accuracy, weight, num_factors), weights)
    return planes


def _fit(answers: Array, known: Array, accuracy: Array, weight: Array, num_factors: int) -> Planes:
    weight = weight / weight.sum()
    level, num_effective = weight @ accuracy, 1 / (weight**2).sum()
    # As if some more models had answered, each query right as often as all queries are: a few tell little of a query.
    share = _MORE_MODELS / (_MORE_MODELS + num_effective)
    mean = level * share + (1 - share) * (weight @ answers) / jnp.maximum(weight @ known, 1e-6)
    centred = (answers - mean[None, :] * known) * jnp.sqrt(weight)[:, None]
    loadings = _principal(centred, num_factors)
    variance = jnp.maximum((centred**2).sum() - (loadings**2).sum(), 0) / centred.shape[1]
    loadings = _without_chance(loadings, variance + 1e-4, centred.shape[1] / num_effective)
    total = level * (1 - level) * share + (1 - share) * (centred**2).sum(axis=0) / jnp.maximum(weight @ known, 1e-6)
    noise = jnp.maximum(total - (loadings**2).sum(axis=1), 0) + _LEAST_VARIANCE
    scale = jnp.sqrt(noise)
    intercept = _INTERCEPT_SPREAD * scale / scale.mean()
    worth = num_effective / (num_effective + _HALF_WORTH)
    return Planes(level, mean, jnp.concatenate([loadings, intercept[:, None]], axis=1), noise, worth)


def _without_chance(loadings: Array, noise: Array, aspect: Array) -> Array:
    """Principal components [Q, F] as large as they probably are, once chance is taken off: those of no more are none.

    The optimal shrinkage of singular values for `noise`, the variance of an answer, and `aspect`, queries per history
    (Gavish and Donoho 2017, equation 7).
    """
    squares = (loadings**2).sum(axis=0)
    excess = squares / noise - aspect - 1
    is_real = (excess > 0) & (excess**2 > 4 * aspect)
    shrunk = jnp.sqrt(jnp.where(is_real, excess**2 - 4 * aspect, 0)) * noise / jnp.maximum(squares, 1e-12)
    return loadings * shrunk[None, :]


def _principal(rows: Array, num_factors: int) -> Array:
    """The first right singular vectors times singular values, [Q, F], by subspace iteration."""
    width = min(num_factors + _MORE_COLUMNS, *rows.shape)
    start = jax.random.normal(jax.random.key(0), (rows.shape[0], width))

    def iterate(_: Array, basis: Array) -> Array:
        return jnp.linalg.qr(rows @ (rows.T @ basis))[0]

    basis = lax.fori_loop(0, _ITERATIONS, iterate, jnp.linalg.qr(start)[0])
    small = basis.T @ rows
    _, rotation = jnp.linalg.eigh(small @ small.T)
    loadings = (rotation.T @ small).T[:, ::-1][:, :num_factors]
    return jnp.pad(loadings, ((0, 0), (0, num_factors - loadings.shape[1])))
