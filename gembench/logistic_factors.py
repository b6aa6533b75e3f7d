r"""A logistic factor model of answers: the log-odds that a model answers a query right are $u \cdot v$.

The factors u of models and v of queries are fitted by turns. With one side fixed, each row of the other is a logistic
regression of its own. The curvature of the logistic likelihood is at most 1/4 everywhere, so one matrix a row serves
all its Newton-like steps, and every step raises the posterior density.

Source of the bound: Böhning and Lindsay, "Monotonicity of quadratic-approximation algorithms", Annals of the Institute
of Statistical Mathematics 40, 1988.

Shapes: M models, Q queries, K factors, C cells.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from gembench.lanes import take
from gembench.small_systems import solve

_STEPS_PER_TURN = 2


class Population(NamedTuple):
    """The Gaussian law from which factors come: `mean` [K] and `precision` [K, K]."""

    mean: Array
    precision: Array


class Factors(NamedTuple):
    """A factor model: `models` [M, K] and `queries` [Q, K]."""

    models: Array
    queries: Array


class Cells(NamedTuple):
    """A few answers of many: `model` [C] int32, `query` [C] int32, `right` [C] and `weight` [C] float32."""

    model: Array
    query: Array
    right: Array
    weight: Array


def standard_population(num_factors: int) -> Population:
    """Independent factors of mean 0 and variance 1."""
    return Population(jnp.zeros(num_factors), jnp.eye(num_factors))


def population_of(rows: Array) -> Population:
    """The law of `rows` [M, K], as far as they tell: half a pseudo-row a factor makes the covariance invertible."""
    num_rows, num_factors = rows.shape
    mean = rows.mean(axis=0)
    centred = rows - mean[None]
    scatter = centred.T @ centred + 0.5 * jnp.eye(num_factors)
    return Population(mean, jnp.linalg.inv(scatter / num_rows))


def random_factors(rng_key: Array, num_models: int, num_queries: int, num_factors: int) -> Factors:
    """Where a fit may begin: queries at random, models at 0."""
    return Factors(jnp.zeros((num_models, num_factors)), jax.random.normal(rng_key, (num_queries, num_factors)))


def fit_factors(answers: Array, start: Factors, num_turns: int) -> Factors:
    """Both sides of `answers` [M, Q] int8, 1 right, 0 wrong, -1 unseen; all factors have variance 1 beforehand."""
    population = standard_population(start.models.shape[1])

    def fit_rows(answers: Array, loadings: Array, rows: Array) -> Array:
        is_seen = (answers >= 0).astype(jnp.float32)
        right = (answers > 0).astype(jnp.float32)
        products = (loadings[:, :, None] * loadings[:, None, :]).reshape(len(loadings), -1)
        gram = (is_seen @ products).reshape(len(rows), *population.precision.shape)

        def slope(rows: Array) -> Array:
            return (is_seen * (right - jax.nn.sigmoid(rows @ loadings.T))) @ loadings

        return _climb(gram, slope, population, rows, _STEPS_PER_TURN)

    def turn(_: Array, factors: Factors) -> Factors:
        models = fit_rows(answers, factors.queries, factors.models)
        return Factors(models, fit_rows(answers.T, models, factors.queries))

    fitted: Factors = lax.fori_loop(0, num_turns, turn, start)
    return fitted


def fit_models(cells: Cells, loadings: Array, population: Population, start: Array, num_steps: int) -> Array:
    """The factors of models, [M, K] float32, given those of the queries: towards the posterior mode.

    Args:
        cells: what the models have answered.
        loadings: [Q, K], the factors of the queries.
        population: where the models' factors come from.
        start: [M, K], where to begin.
        num_steps: how many steps; each raises the posterior density.
    """
    met = take(loadings, cells.query)

    def sum_by_model(values: Array) -> Array:
        return jnp.zeros_like(start).at[cells.model].add(cells.weight[:, None] * values)

    # Column by column: all products of all cells at once would not fit the memory.
    gram = lax.map(lambda column: sum_by_model(column[:, None] * met), met.T).transpose(1, 0, 2)

    def slope(rows: Array) -> Array:
        predicted = jax.nn.sigmoid((take(rows, cells.model) * met).sum(axis=1))
        return sum_by_model((cells.right - predicted)[:, None] * met)

    return _climb(gram, slope, population, start, num_steps)


def fit_factors_to_cells(cells: Cells, start: Factors, num_turns: int) -> Factors:
    """Both sides of a few answers; all factors have variance 1 beforehand."""
    population = standard_population(start.models.shape[1])
    mirrored = cells._replace(model=cells.query, query=cells.model)

    def turn(_: Array, factors: Factors) -> Factors:
        models = fit_models(cells, factors.queries, population, factors.models, _STEPS_PER_TURN)
        return Factors(models, fit_models(mirrored, models, population, factors.queries, _STEPS_PER_TURN))

    fitted: Factors = lax.fori_loop(0, num_turns, turn, start)
    return fitted


def _climb(gram: Array, slope: Callable[[Array], Array], population: Population, start: Array, num_steps: int) -> Array:
    """Steps up the posterior of rows [M, K] from the sums [M, K, K] of their cells' v v' and the likelihood's slope."""
    curvature = gram / 4 + population.precision[None]

    def step(_: Array, rows: Array) -> Array:
        return rows + solve(curvature, slope(rows) - (rows - population.mean[None]) @ population.precision)

    fitted: Array = lax.fori_loop(0, num_steps, step, start)
    return fitted
