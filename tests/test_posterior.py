"""Posterior samples by quantile polynomials, held against the Beta distribution itself (SciPy's)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import betaln, expit, ndtri
from scipy.stats import beta, norm

from gembench.posterior import _normal, posterior_mean, prior, sample, update
from gembench.prng import make_key

NUM_QUERIES = 10_000


def beliefs(pulls, correct, num_queries=NUM_QUERIES):
    """The belief [6, S] about models with these tallies."""
    pulls, correct = jnp.asarray(pulls, jnp.int32), jnp.asarray(correct, jnp.int32)
    return update(prior(pulls.size), jnp.arange(pulls.size), pulls, correct, num_queries)


def draw(belief, num_draws, seed=0):
    """[num_draws, S] log-odds."""
    keys = jax.random.split(make_key(seed), num_draws)
    return np.asarray(jax.jit(jax.vmap(lambda key: sample(key, belief)))(keys))


def error_in_z(pulls, correct):
    """[S, 61] how far, in normal deviates, the polynomial's quantiles lie from the Beta's, for z in [-2, 4]."""
    z = np.linspace(-2, 4, 61)
    coefficients = np.asarray(beliefs(pulls, correct), np.float64)
    log_odds = np.polynomial.polynomial.polyval(z, coefficients)
    # From the side of the tail, where nothing cancels: P(accuracy > x) = P(Beta(b, a) < 1 - x).
    right, wrong = correct[:, None] + 1, (pulls - correct)[:, None] + 1
    return np.abs(-ndtri(beta.cdf(expit(-log_odds), wrong, right)) - z)


def test_quantiles_of_every_tally_up_to_200_answers_are_off_by_at_most_5_thousandths():
    pulls = np.repeat(np.arange(201), np.arange(1, 202))
    correct = np.arange(pulls.size) - pulls * (pulls + 1) // 2
    assert error_in_z(pulls, correct).max() < 0.005


@pytest.mark.parametrize(("fewest", "bound"), [(10, 0.02), (0, 0.11)])
def test_quantiles_of_larger_tallies_are_as_near_as_the_docstring_says(fewest, bound):
    pulls = np.repeat(np.array([201, 500, 1_000, 3_000, 9_000]), 60)
    few = np.tile(np.arange(30), 10) + fewest
    correct = np.where(np.arange(pulls.size) % 2 == 0, few, pulls - few)
    assert error_in_z(pulls, correct).max() < bound
    middling = (pulls * np.linspace(0.1, 0.9, pulls.size)).astype(int)
    assert error_in_z(pulls, middling).max() < bound


@pytest.mark.parametrize(("pulls", "correct"), [(1, 1), (1, 0), (5, 3), (12, 11)])
@pytest.mark.parametrize("num_models", [24, 300])
def test_a_model_is_sampled_highest_as_often_as_the_beta_function_says(pulls, correct, num_models):
    """Beside M - 1 models never asked it is highest with probability B(s + M, n - s + 1) / B(s + 1, n - s + 1).

    6 standard errors, one in 500 million, and a fiftieth of the value for what the polynomials leave.
    """
    probability = np.exp(betaln(correct + num_models, pulls - correct + 1) - betaln(correct + 1, pulls - correct + 1))
    tallies = np.zeros((2, num_models), int)
    tallies[:, 0] = pulls, correct
    num_draws = 100_000
    is_highest = draw(beliefs(*tallies), num_draws).argmax(axis=1) == 0
    error = np.sqrt(probability * (1 - probability) / num_draws)
    assert abs(is_highest.mean() - probability) < 6 * error + probability / 50


def test_normal_variates_have_the_quantiles_of_the_normal_law():
    """Each quantile within 5 standard errors and the thousandth that the docstring allows; one in a million."""
    num_draws = 4_000_000
    z = np.sort(np.asarray(jax.jit(_normal, static_argnums=1)(make_key(3), (num_draws,)), np.float64))
    below = np.concatenate(
        [np.array([1e-5, 1e-4, 1e-3]), np.linspace(0.01, 0.99, 99), 1 - np.array([1e-3, 1e-4, 1e-5])]
    )
    expected = ndtri(below)
    error = np.sqrt(below * (1 - below) / num_draws) / norm.pdf(expected)
    assert (np.abs(np.quantile(z, below) - expected) < 5 * error + 0.001).all()
    assert np.abs(z).max() < 6.4


def test_a_normal_variate_is_that_of_its_tail_probability_to_a_thousandth(monkeypatch):
    """The random words are replaced by odd and even ones of every magnitude."""
    spread = 2.0 ** np.linspace(0, 32, 200_000)
    words = np.concatenate([np.arange(3_000), spread[:-1], 2**32 - 1 - np.arange(3_000)]).astype(np.uint64)
    monkeypatch.setattr(jax.random, "bits", lambda rng_key, shape, dtype: jnp.asarray(words.astype(np.uint32)))
    z = np.asarray(_normal(make_key(0), words.shape), np.float64)
    side = np.where(words % 2 == 1, 1, -1)
    assert np.abs(z + side * ndtri((words // 2 * 2 + 1) / 2.0**33)).max() < 0.001


def test_an_exhausted_model_is_never_sampled_highest():
    assert (draw(beliefs([7, 3], [7, 0], num_queries=7), 1_000).argmax(axis=1) == 1).all()


def test_the_posterior_mean_is_the_rule_of_succession():
    mean = posterior_mean(jnp.array([0, 1, 8]), jnp.array([0, 1, 2]))
    np.testing.assert_allclose(mean, [1 / 2, 2 / 3, 3 / 10], rtol=1e-6)
