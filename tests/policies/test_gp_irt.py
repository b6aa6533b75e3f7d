"""gp-IRT against a slow twin of the source's program, and its fits against SciPy's optimizer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from query_play import background_of, play, related_models
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from gembench.clustering import WHOLE
from gembench.errors import PolicySettingError
from gembench.item_response import Items, ability_step, fit_abilities, fit_items, log_odds
from gembench.policies.gp_irt import GPIRT, trust_in_anchors
from gembench.policy import Problem


def draw(num_models, num_queries, num_dimensions, seed):
    """Answers [M, Q] int8 by the theory, with the items and abilities they are drawn from."""
    rng = np.random.default_rng(seed)
    items = Items(rng.normal(0, 1, (num_queries, num_dimensions)), rng.normal(0, 1.5, num_queries))
    abilities = rng.normal(0, 1, (num_models, num_dimensions))
    answers = rng.random((num_models, num_queries)) < expit(abilities @ items.discrimination.T + items.ease)
    return answers.astype(np.int8), items, abilities


def as_float32(items):
    return Items(*map(jnp.float32, items))


def twin_ability(row, items):
    """The posterior mode of one model's ability, by BFGS from 0, as the source fits it, with a prior."""
    known = row >= 0
    sign = np.where(row[known] == 1, 1, -1)

    def loss(theta):
        return theta @ theta / 2 - log_expit(sign * (items.discrimination[known] @ theta + items.ease[known])).sum()

    return minimize(loss, np.zeros(items.discrimination.shape[1]), method="BFGS").x


@pytest.mark.parametrize("num_dimensions", [1, 3])
def test_abilities_are_the_posterior_modes(num_dimensions):
    answers, items, _ = draw(12, 25, num_dimensions, 0)
    answers[np.random.default_rng(1).random(answers.shape) < 0.2] = -1
    answers[0] = 1
    answers[1] = -1
    exact = as_float32(items)
    start = jnp.zeros((12, num_dimensions))
    found = fit_abilities(jnp.asarray(answers), exact, ability_step(exact), start, 200)
    expected = [twin_ability(row, items) for row in answers]
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_items_tell_how_the_answers_come_about():
    """600 models, one dimension: the log-odds of all answers, and so the accuracies, are found again."""
    answers, items, abilities = draw(600, 40, 1, 2)
    found = fit_items(jnp.asarray(answers), jax.random.normal(jax.random.key(0), (600, 1)), 40)
    again = fit_abilities(jnp.asarray(answers), found, ability_step(found), jnp.zeros((600, 1)), 100)
    truth = abilities @ items.discrimination.T + items.ease
    assert np.corrcoef(np.ravel(log_odds(again, found)), truth.ravel())[0, 1] > 0.95
    assert np.corrcoef(np.asarray(found.ease), items.ease)[0, 1] > 0.98
    flip = np.sign(np.corrcoef(np.asarray(found.discrimination)[:, 0], items.discrimination[:, 0])[0, 1])
    assert np.corrcoef(flip * np.asarray(found.discrimination)[:, 0], items.discrimination[:, 0])[0, 1] > 0.95


def test_each_turn_of_the_fit_raises_the_posterior_density():
    answers, _, _ = draw(60, 30, 2, 3)
    abilities = jax.random.normal(jax.random.key(0), (60, 2))
    sign = np.where(answers == 1, 1, -1)
    losses = []
    for num_turns in (0, 1, 3, 10, 30):
        items = fit_items(jnp.asarray(answers), abilities, num_turns)
        theta = np.asarray(fit_abilities(jnp.asarray(answers), items, ability_step(items), abilities, 300))
        slope, ease = map(np.asarray, items)
        likelihood = log_expit(sign * (theta @ slope.T + ease)).sum()
        losses.append((theta**2).sum() / 2 + (slope**2).sum() / 2 + 0.1 * (ease**2).sum() / 2 - likelihood)
    assert (np.diff(losses) < 0).all()


def test_lambda_is_the_twins():
    answers, items, _ = draw(30, 40, 2, 4)
    accuracy = answers.mean(axis=1)
    half = Items(items.discrimination[::2], items.ease[::2])
    theta = np.array([twin_ability(row[::2], half) for row in answers])
    error = np.abs(expit(theta @ items.discrimination.T + items.ease).mean(axis=1) - accuracy).mean()
    expected = error**2 / (error**2 + np.var(answers, axis=1).mean() / (4 * 7))
    found = trust_in_anchors(jnp.asarray(answers), as_float32(items), 7)
    np.testing.assert_allclose(found, expected, rtol=2e-2)


@pytest.mark.parametrize("seed", range(2))
def test_the_estimates_are_those_of_the_sources_program(seed):
    correct, history = related_models(8, 40, seed, num_histories=30)
    run = play(GPIRT(dimension=2, num_clusterings=1), correct, 8 * 7 + 3, history)
    theory = run.knowledge
    items = Items(*(np.asarray(each, np.float64) for each in theory.items))
    points, weights = (np.asarray(each)[0] for each in theory.tests.anchors)
    assert sorted(run.turns[0].queries[0].tolist()) == sorted(points.tolist())
    rest = np.setdiff1d(np.arange(40), points)
    trust = float(theory.trust)
    assert 0 < trust < 1
    expected = []
    for model in range(8):
        right = correct[model, points]
        theta = twin_ability(right, Items(items.discrimination[points], items.ease[points]))
        by_theory = expit(items.discrimination[rest] @ theta + items.ease[rest]).mean()
        p_irt = 7 / 40 * right.mean() + 33 / 40 * by_theory
        expected.append(trust * (weights / WHOLE * right).sum() + (1 - trust) * p_irt)
    np.testing.assert_allclose(run.scores / 2**17, expected, atol=2e-3)


def test_anchors_are_of_every_difficulty():
    """Rasch items in 3 groups far apart in ease, of 30, 20 and 10 queries: one anchor in each."""
    rng = np.random.default_rng(0)
    ease = np.array([-4.0, 0.0, 4.0]).repeat([30, 20, 10])
    history = (rng.random((200, 60)) < expit(rng.normal(0, 1, (200, 1)) + ease)).astype(np.int8)
    knowledge = GPIRT(dimension=1).study(Problem(5, 60, 15), background_of(history, 5))
    for points, weights in zip(*map(np.asarray, knowledge.tests.anchors), strict=True):
        assert sorted(ease[points].tolist()) == [-4, 0, 4]
        np.testing.assert_allclose(weights[np.argsort(ease[points])] / WHOLE, [1 / 2, 1 / 3, 1 / 6], atol=0.04)


def test_without_a_history_the_right_answers_to_the_first_of_the_shared_order_count():
    correct = related_models(6, 30, 0)[0]
    run = play(GPIRT(), correct, 6 * 7 + 2)
    assert run.turns[0].queries[0].tolist() == run.order[:7].tolist()
    number = correct[:, run.order[:7]].sum(axis=1)
    assert (np.diff(number[run.ranking]) <= 0).all()


@pytest.mark.parametrize("settings", [{"dimension": 0}, {"num_clusterings": 0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(PolicySettingError, match=next(iter(settings))):
        GPIRT(**settings)
