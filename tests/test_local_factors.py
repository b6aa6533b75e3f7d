"""The factor model of a race against NumPy, and what a race's answers make of it."""

import jax.numpy as jnp
import numpy as np

from gembench.factor_model import FactorModel
from gembench.local_factors import Asked, evidence_of_means, localize, posterior_covariance
from gembench.small_systems import inverse


def model_of(mean, loadings, noise):
    return FactorModel(*(jnp.asarray(part, jnp.float32) for part in (mean, loadings, noise)))


def asked_of(queries, mean, num_models):
    return Asked(
        jnp.asarray(queries, jnp.int32), jnp.asarray(mean, jnp.float32), jnp.full(len(queries), num_models, jnp.float32)
    )


def test_the_inverse_is_the_inverse():
    rng = np.random.default_rng(0)
    root = rng.normal(0, 1, (7, 12, 12))
    matrices = np.eye(12) + root @ root.swapaxes(1, 2) / 12
    np.testing.assert_allclose(inverse(jnp.asarray(matrices, jnp.float32)), np.linalg.inv(matrices), atol=1e-4)


def test_the_covariance_is_that_of_gaussian_conditioning():
    rng = np.random.default_rng(1)
    loadings, noise = rng.normal(0, 0.4, (9, 3)), rng.uniform(0.1, 0.3, 9)
    asked = [2, 7, 4]
    joint = loadings[asked] @ loadings[asked].T + np.diag(noise[asked])
    wanted = np.eye(3) - loadings[asked].T @ np.linalg.inv(joint) @ loadings[asked]
    found = posterior_covariance(model_of(np.full(9, 0.5), loadings, noise), jnp.asarray(asked))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_race_that_answers_as_the_history_does_leaves_the_means():
    mean = np.array([0.2, 0.5, 0.7, 0.4])
    model = model_of(mean, np.full((4, 1), 0.1), np.full(4, 0.2))
    np.testing.assert_allclose(localize(model, asked_of([0, 2], mean[[0, 2]], 8)).mean, mean, atol=1e-6)


def test_nothing_asked_changes_no_mean():
    mean = np.array([0.2, 0.5, 0.7])
    model = model_of(mean, np.full((3, 2), 0.1), np.full(3, 0.2))
    np.testing.assert_allclose(localize(model, asked_of([], [], 8)).mean, mean, atol=1e-6)


def test_answers_move_what_hangs_together_and_nothing_else():
    model = model_of(np.full(4, 0.5), [[0.3, 0], [0.3, 0], [-0.3, 0], [0, 0.3]], np.full(4, 0.2))
    moved = np.asarray(localize(model, asked_of([0], [1.0], 50)).mean)
    assert moved[0] > moved[1] > 0.55
    assert moved[2] < 0.45
    assert moved[3] == 0.5


def test_where_the_race_is_sure_a_query_tells_little():
    """Loadings go with the slope p (1 - p), which at 0.99 is a 25th of that at 0.5."""
    model = model_of(np.full(3, 0.5), np.full((3, 1), 0.2), np.full(3, 0.2))
    sure = localize(model, asked_of([0, 1], [1.0, 0.5], 10_000))
    assert float(sure.loadings[0, 0]) < 0.06 * float(sure.loadings[1, 0])
    assert float(sure.noise[0]) < 0.2 * float(sure.noise[1])


def test_means_and_noise_stay_chances_and_positive():
    rng = np.random.default_rng(2)
    model = model_of(rng.uniform(0, 1, 40), rng.normal(0, 2, (40, 5)), rng.uniform(0.01, 0.2, 40))
    moved = localize(model, asked_of(range(20), rng.integers(0, 2, 20), 3))
    assert ((np.asarray(moved.mean) > 0) & (np.asarray(moved.mean) < 1)).all()
    assert (np.asarray(moved.noise) > 0).all()


def test_means_that_foretell_what_a_race_finds_hard_are_evidence_and_others_are_evidence_against():
    rng = np.random.default_rng(4)
    mean = rng.uniform(0.1, 0.9, 30)
    came = np.clip(mean - 0.1 + rng.normal(0, 0.05, 30), 0, 1)
    model = model_of(mean, np.zeros((30, 1)), np.full(30, 0.2))
    # With variances 0.05 and 0.0025, and 0.02 added to each: 15 ln(0.07 / 0.0225) is 17.
    assert 12 < float(evidence_of_means(model, asked_of(range(30), came, 8))) < 22
    assert float(evidence_of_means(model, asked_of(range(30), rng.permutation(came), 8))) < -3
    assert float(evidence_of_means(model, asked_of([], [], 8))) == 0
