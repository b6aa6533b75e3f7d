"""CODA against a slow twin: fine integrals, and hypothetical answers one after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from query_play import background_of, play, related_models
from scipy.integrate import simpson
from scipy.stats import beta

from gembench.best_probability import entropy, log_best_probability
from gembench.errors import PolicySettingError
from gembench.policies.coda import CODA, information_gain, overall
from gembench.policy import Problem


def laws_of(mean, variance):
    strength = mean * (1 - mean) / variance - 1
    return beta((mean * strength)[:, None], ((1 - mean) * strength)[:, None])


def twin_best(mean, variance):
    """The probability of each to be the best, by Simpson's rule on a fine grid, of Beta laws of these moments."""
    grid = np.linspace(0, 1, 2_001)[1:-1]
    law = laws_of(mean, variance)
    below = law.cdf(grid[None])
    others = [np.delete(below, best, axis=0).prod(axis=0) for best in range(len(mean))]
    return simpson(law.pdf(grid[None]) * others, x=grid, axis=1)


def twin_moments(share, right, wrong):
    mean, variance = np.zeros(right.shape[1]), np.zeros(right.shape[1])
    for weight, alphas, betas in zip(share, right, wrong, strict=True):
        total = alphas + betas
        mean += weight * alphas / total
        variance += weight**2 * alphas * betas / (total**2 * (total + 1))
    return mean, variance


def twin_entropy(share, right, wrong):
    best = twin_best(*twin_moments(share, right, wrong))
    best = best[best > 0] / best.sum()
    return -(best * np.log(best)).sum()


def twin_gain(share, right, wrong, uniforms):
    """The source's loop: a hypothetical answer of every model, the belief after it, its entropy."""
    now = twin_entropy(share, right, wrong)
    gains = []
    for kind in range(len(share)):
        after = []
        for draw in [*uniforms, *(1 - uniforms)]:
            more_right, more_wrong = right.copy(), wrong.copy()
            for model in range(right.shape[1]):
                is_right = draw[model] < right[kind, model] / (right[kind, model] + wrong[kind, model])
                (more_right if is_right else more_wrong)[kind, model] += 1
            after.append(twin_entropy(share, more_right, more_wrong))
        gains.append(now - np.mean(after))
    return np.array(gains)


def beliefs(seed, num_kinds=3, num_models=5):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(num_kinds) * 9), *rng.uniform(1, 12, (2, num_kinds, num_models))


def test_the_probability_to_be_the_best_is_the_integral():
    rng = np.random.default_rng(0)
    for _ in range(5):
        mean = rng.uniform(0.2, 0.8, 6)
        variance = mean * (1 - mean) / rng.uniform(12, 120, 6)
        expected = twin_best(mean, variance)
        assert abs(expected.sum() - 1) < 1e-4
        for num_points in (64, 128):
            found = jax.nn.softmax(log_best_probability(jnp.float32(mean), jnp.float32(variance), num_points))
            np.testing.assert_allclose(found, expected, atol=0.002)


def test_hopeless_models_are_ranked_too():
    mean = jnp.float32([0.9, 0.3, 0.2, 0.1])
    log_best = np.asarray(log_best_probability(mean, jnp.full(4, 1e-4)))
    assert (np.diff(log_best) < 0).all()
    assert np.isfinite(log_best).all()


def test_the_entropy_of_equals_is_the_logarithm_of_their_number():
    assert abs(float(entropy(jnp.full(7, -3.0))) - np.log(7)) < 1e-6


def test_the_accuracy_is_the_weighted_mean_of_the_kinds():
    share, right, wrong = beliefs(1)
    expected = twin_moments(share, right, wrong)
    found = overall(*map(jnp.float32, (share, right, wrong)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_information_gain_is_the_twins(seed):
    share, right, wrong = beliefs(seed)
    uniforms = np.random.default_rng(seed).random((2, 5))
    found = information_gain(*map(jnp.float32, (share, right, wrong, uniforms)))
    np.testing.assert_allclose(found, twin_gain(share, right, wrong, uniforms), atol=0.003)


def test_most_is_learnt_from_the_kind_of_which_least_is_known():
    share = jnp.float32([0.5, 0.5])
    right = jnp.float32([[200.0] * 4, [2.0, 3.0, 2.0, 3.0]])
    uniforms = jax.random.uniform(jax.random.key(0), (10, 4))
    gain = information_gain(share, right, right, uniforms)
    assert float(gain[1]) > 10 * abs(float(gain[0]))


@pytest.mark.parametrize("seed", range(2))
def test_every_choice_is_of_a_kind_that_tells_most_to_the_twin(seed):
    correct, history = related_models(6, 24, seed, num_histories=10)
    policy = CODA(num_kinds=3, num_contenders=6)
    run = play(policy, correct, 6 * 5 + 2, history, seed=seed)
    share, consensus = (np.asarray(each, np.float64) for each in run.knowledge[1:])
    kind_of = np.asarray(run.knowledge.kind_of)
    prior = 2 * np.tile(consensus[:, None], 6), 2 * np.tile(1 - consensus[:, None], 6)
    for turn in run.turns:
        right, wrong = (
            base + np.array([(turn.before[:, kind_of == kind] == answer).sum(axis=1) for kind in range(3)])
            for base, answer in zip(prior, (1, 0), strict=True)
        )
        mean, _ = twin_moments(share, right, wrong)
        contenders = np.argsort(-np.float32(mean), kind="stable")
        uniforms = np.asarray(jax.random.uniform(jax.random.split(turn.rng_key)[0], (2, 6)))
        gain = twin_gain(share, right[:, contenders], wrong[:, contenders], uniforms)
        query = turn.queries[0, 0]
        assert gain[kind_of[query]] >= gain.max() - 0.006
        is_new = (turn.before == -1).all(axis=0) & (kind_of == kind_of[query])
        assert query == next(each for each in run.order if is_new[each])


def test_the_ranking_is_by_the_probability_to_be_the_best():
    correct, history = related_models(6, 24, 4, num_histories=10)
    run = play(CODA(num_kinds=3), correct, 6 * 8, history)
    share, consensus = (np.asarray(each, np.float64) for each in run.knowledge[1:])
    kind_of = np.asarray(run.knowledge.kind_of)
    right, wrong = (
        2 * base[:, None] + np.array([(run.answers[:, kind_of == kind] == answer).sum(axis=1) for kind in range(3)])
        for base, answer in ((consensus, 1), (1 - consensus, 0))
    )
    np.testing.assert_allclose(jax.nn.softmax(run.scores), twin_best(*twin_moments(share, right, wrong)), atol=0.002)


def test_kinds_are_of_equal_size_from_the_hardest_to_the_easiest():
    history = (np.arange(12)[None] > np.arange(10)[:, None]).astype(np.int8)[
        :, np.random.default_rng(0).permutation(12)
    ]
    kinds = CODA(num_kinds=4).study(Problem(3, 12, 9), background_of(history, 3))
    num_right = history.sum(axis=0)
    assert np.bincount(kinds.kind_of).tolist() == [3, 3, 3, 3]
    hardest = np.asarray(kinds.kind_of) == 0
    assert num_right[hardest].max() <= num_right[~hardest].min()
    np.testing.assert_allclose(kinds.share, 0.25)
    np.testing.assert_allclose(kinds.consensus[0], ((num_right[hardest] + 1) / 12).mean(), rtol=1e-5)


def test_without_a_history_labels_follow_the_shared_order():
    run = play(CODA(), related_models(5, 20, 0)[0], 5 * 7)
    assert [turn.queries[0, 0] for turn in run.turns] == run.order[:7].tolist()


@pytest.mark.parametrize(
    "settings",
    [{"num_kinds": 0}, {"prior_strength": 0.0}, {"num_outcomes": 3}, {"num_outcomes": 0}, {"num_contenders": 1}],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(PolicySettingError, match=next(iter(settings))):
        CODA(**settings)
