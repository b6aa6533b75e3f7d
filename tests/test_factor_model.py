"""The factor model against NumPy's singular values, and small systems against NumPy's solver."""

import jax.numpy as jnp
import numpy as np
import pytest

from gembench.factor_model import fit_planes
from gembench.small_systems import solve


def history_of(num_histories=200, num_queries=40, num_factors=2, seed=0):
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(0, 1, num_queries)
    score = rng.normal(0, 1.5, (num_histories, num_factors)) @ rng.normal(0, 1, (num_factors, num_queries)) + difficulty
    return (score + rng.logistic(0, 1, score.shape) > 0).astype(np.int8)


def shrunk_components(centred, num_factors):
    """The first components of rows [H, Q] over sqrt(H), by NumPy, their singular values y shrunk to
    sqrt((y^2 - b - 1)^2 - 4 b) / y, in units of the noise, where b = Q / H (Gavish and Donoho 2017, equation 7)."""
    num_rows, num_queries = centred.shape
    _, values, rows = np.linalg.svd(centred / np.sqrt(num_rows), full_matrices=False)
    noise = np.sqrt((values[num_factors:] ** 2).sum() / num_queries)
    ratio = num_queries / num_rows
    y = values[:num_factors] / noise
    inside = (y**2 - ratio - 1) ** 2 - 4 * ratio
    values = np.where(y > 1 + np.sqrt(ratio), noise * np.sqrt(np.maximum(inside, 0)) / y, 0)
    return (rows[:num_factors].T * values**2) @ rows[:num_factors]


def with_five_more(history):
    """Means, and centred rows, as if five more models had been right at each query as often as all are at all."""
    mean = (5 * history.mean() + history.sum(axis=0)) / (5 + len(history))
    return mean, history - mean


def test_the_plane_of_the_whole_history_is_its_means_and_shrunk_principal_components():
    history = history_of()
    planes = fit_planes(jnp.asarray(history), 3)
    mean, centred = with_five_more(history)
    np.testing.assert_allclose(planes.mean[-1], mean, atol=1e-5)
    np.testing.assert_allclose(planes.level[-1], history.mean(), atol=1e-5)
    found = np.asarray(planes.loadings[-1, :, :3])
    # The third component is no clear one, and iteration finds it less exactly.
    np.testing.assert_allclose(found @ found.T, shrunk_components(centred, 3), atol=5e-3)
    assert (found**2).sum() > 1


def test_noise_is_what_the_components_leave_of_the_variance():
    history = history_of()
    planes = fit_planes(jnp.asarray(history), 3)
    _, centred = with_five_more(history)
    level = history.mean()
    variance = (5 * level * (1 - level) + (centred**2).sum(axis=0)) / (5 + len(history))
    left = np.maximum(variance - (np.asarray(planes.loadings[-1, :, :3]) ** 2).sum(axis=1), 0)
    np.testing.assert_allclose(planes.noise[-1], left + 0.01, atol=1e-5)


def test_of_random_bits_no_component_is_left():
    history = np.random.default_rng(0).integers(0, 2, (300, 200)).astype(np.int8)
    planes = fit_planes(jnp.asarray(history), 8)
    # The largest singular value of noise lies at the edge, give or take a few parts in a hundred.
    assert float((planes.loadings[-1, :, :8] ** 2).sum()) < 0.02 * float(planes.noise[-1].sum())


def test_a_plane_near_a_level_is_of_the_models_near_it():
    rng = np.random.default_rng(1)
    accuracy = np.repeat([0.2, 0.8], 150)
    history = (rng.random((300, 50)) < accuracy[:, None]).astype(np.int8)
    planes = fit_planes(jnp.asarray(history), 2)
    # Nine models in ten of those that weigh in at the levels .2 and .8 are of that kind.
    assert abs(float(planes.level[1]) - 0.2) < 0.03
    assert abs(float(planes.level[7]) - 0.8) < 0.03


def test_what_is_not_known_is_left_out_of_the_means():
    history = history_of()
    holed = history.copy()
    holed[:100, 0] = -1
    planes = fit_planes(jnp.asarray(holed), 2)
    accuracy = np.where(holed < 0, np.nan, holed)
    wanted = (5 * np.nanmean(accuracy, axis=1).mean() + 200 * history[100:, 0].mean()) / 205
    np.testing.assert_allclose(planes.mean[-1, 0], wanted, atol=1e-4)


@pytest.mark.parametrize("num_histories", [1, 25, 100])
def test_the_plane_of_all_histories_is_worth_more_the_more_they_are(num_histories):
    # Half of the trust with 25 of them.
    assert fit_planes(jnp.asarray(history_of(num_histories)), 2).worth[-1] == pytest.approx(
        num_histories / (num_histories + 25)
    )


@pytest.mark.parametrize("num_histories", [1, 2, 5])
def test_a_history_of_a_few_models_gives_finite_planes(num_histories):
    for part in fit_planes(jnp.asarray(history_of(num_histories)), 24):
        assert np.isfinite(np.asarray(part)).all()


@pytest.mark.parametrize("size", [1, 2, 25])
def test_small_systems_are_solved_as_numpy_solves_them(size):
    rng = np.random.default_rng(size)
    root = rng.normal(0, 1, (7, size, size))
    matrix = np.eye(size) + root @ root.swapaxes(1, 2)
    vector = rng.normal(0, 1, (7, size))
    wanted = np.linalg.solve(matrix, vector[..., None])[..., 0]
    found = solve(jnp.asarray(matrix, jnp.float32), jnp.asarray(vector, jnp.float32))
    np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=2e-4)
