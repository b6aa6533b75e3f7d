"""The logistic factor model against a general optimizer, and against itself by another way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from gembench.logistic_factors import (
    Cells,
    Factors,
    Population,
    fit_factors,
    fit_factors_to_cells,
    fit_models,
    population_of,
    random_factors,
)

NUM_MODELS, NUM_QUERIES, NUM_FACTORS = 7, 30, 3


@pytest.fixture
def planted():
    """Answers [M, Q], a third of them unseen, the loadings that they came from, and an odd population."""
    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(NUM_QUERIES, NUM_FACTORS))
    factors = rng.normal(size=(NUM_MODELS, NUM_FACTORS))
    answers = (rng.random((NUM_MODELS, NUM_QUERIES)) < expit(factors @ loadings.T)).astype(np.int8)
    answers[rng.random(answers.shape) < 1 / 3] = -1
    answers[4] = -1
    root = rng.normal(size=(NUM_FACTORS, NUM_FACTORS))
    return answers, loadings, np.array([0.3, -0.2, 0.1]), root @ root.T + np.eye(NUM_FACTORS)


def cells_of(answers, num_gaps=0):
    """All that is seen, in random order, and some cells that count for nothing."""
    rng = np.random.default_rng(1)
    model, query = np.nonzero(answers >= 0)
    shuffled = rng.permutation(model.size)
    model, query = model[shuffled], query[shuffled]
    gaps = np.zeros(num_gaps, np.int64)
    return Cells(
        jnp.asarray(np.concatenate([gaps, model]), jnp.int32),
        jnp.asarray(np.concatenate([gaps, query]), jnp.int32),
        jnp.asarray(np.concatenate([gaps + 1, answers[model, query] == 1]), jnp.float32),
        jnp.asarray(np.concatenate([gaps, np.ones(model.size)]), jnp.float32),
    )


def log_posterior(row, answers, loadings, mean, precision):
    sign = np.where(answers == 1, 1, -1)
    likelihood = np.where(answers >= 0, log_expit(sign * (loadings @ row)), 0).sum()
    return likelihood - (row - mean) @ precision @ (row - mean) / 2


def fitted(planted, num_steps):
    answers, loadings, mean, precision = planted
    population = Population(jnp.asarray(mean, jnp.float32), jnp.asarray(precision, jnp.float32))
    start = jnp.full((NUM_MODELS, NUM_FACTORS), 2.0)
    return np.asarray(
        fit_models(cells_of(answers, num_gaps=5), jnp.asarray(loadings, jnp.float32), population, start, num_steps)
    )


def test_many_steps_come_to_the_posterior_mode_that_a_general_optimizer_finds(planted):
    answers, *rest = planted
    rows = fitted(planted, 200)
    for model in range(NUM_MODELS):
        best = minimize(lambda row, model=model: -log_posterior(row, answers[model], *rest), np.zeros(NUM_FACTORS))
        np.testing.assert_allclose(rows[model], best.x, atol=2e-4)


def test_a_model_that_has_answered_nothing_has_the_mean_of_the_population(planted):
    np.testing.assert_allclose(fitted(planted, 1)[4], planted[2], atol=1e-6)


def test_every_step_raises_the_posterior_density(planted):
    answers, *rest = planted
    densities = [
        [log_posterior(row, answers[model], *rest) for model, row in enumerate(fitted(planted, num_steps))]
        for num_steps in range(6)
    ]
    assert (np.diff(densities, axis=0) > -1e-5).all()
    assert (np.diff(densities, axis=0)[0] > 0.1).all()


def test_cell_by_cell_or_as_a_matrix_the_same_factors_are_fitted(planted):
    answers = planted[0]
    start = random_factors(jax.random.key(0), NUM_MODELS, NUM_QUERIES, NUM_FACTORS)
    whole = fit_factors(jnp.asarray(answers), start, 4)
    by_cell = fit_factors_to_cells(cells_of(answers, num_gaps=5), start, 4)
    for one, other in zip(whole, by_cell, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)


def test_a_turn_is_two_steps_for_the_models_and_two_for_the_queries(planted):
    """By hand in float64, from the definition: u + (V'V / 4 + I)^-1 (V'(x - p) - u)."""
    answers = planted[0]
    start = random_factors(jax.random.key(0), NUM_MODELS, NUM_QUERIES, NUM_FACTORS)

    def steps(answers, loadings, rows):
        for _ in range(2):
            for row, answered in enumerate(answers >= 0):
                met, right = loadings[answered], answers[row, answered]
                slope = met.T @ (right - expit(met @ rows[row])) - rows[row]
                rows[row] += np.linalg.solve(met.T @ met / 4 + np.eye(NUM_FACTORS), slope)
        return rows

    models = steps(answers, np.asarray(start.queries, np.float64), np.zeros((NUM_MODELS, NUM_FACTORS)))
    queries = steps(answers.T, models, np.asarray(start.queries, np.float64).copy())
    turned = fit_factors(jnp.asarray(answers), start, 1)
    np.testing.assert_allclose(turned.models, models, atol=1e-4)
    np.testing.assert_allclose(turned.queries, queries, atol=1e-4)


def test_a_population_is_the_mean_and_the_covariance_of_its_rows_made_a_little_wider():
    rows = np.random.default_rng(0).normal(size=(50, 3)) @ np.diag([1.0, 2.0, 0.0]) + [0, 1, 5]
    population = population_of(jnp.asarray(rows, jnp.float32))
    np.testing.assert_allclose(population.mean, rows.mean(axis=0), rtol=1e-4)
    wider = np.cov(rows.T, bias=True) + np.eye(3) * 0.5 / 50
    np.testing.assert_allclose(np.linalg.inv(population.precision), wider, rtol=2e-3, atol=1e-4)


def test_a_history_tells_what_a_new_model_will_answer():
    """Of two kinds of models each has half of the queries right; five answers tell the kind, and so all others."""
    rng = np.random.default_rng(2)
    is_of_first_half = np.arange(40) < 20
    kinds = np.array([is_of_first_half, ~is_of_first_half], np.int8)
    history = jnp.asarray(kinds[rng.integers(2, size=30)])
    factors = fit_factors(history, random_factors(jax.random.key(0), 30, 40, 2), 10)
    population = population_of(factors.models)
    cells = Cells(jnp.zeros(5, jnp.int32), jnp.arange(5, dtype=jnp.int32), jnp.ones(5), jnp.ones(5))
    row = fit_models(cells, factors.queries, population, population.mean[None], 30)
    predicted = np.asarray(Factors(row, factors.queries).queries @ row[0])
    assert ((predicted > 0) == is_of_first_half).all()
