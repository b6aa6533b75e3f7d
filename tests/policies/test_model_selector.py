"""Model Selector against a slow twin of its algorithm, and what it makes of a history."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from query_play import background_of, play, related_models

from gembench.errors import PolicySettingError
from gembench.policies.model_selector import ModelSelector, expected_entropy
from gembench.policy import Problem

GAMMA = 0.54 / 0.46


def twin_entropy(belief, predictions, gamma):
    """The source's loop: each of the labels in turn, all equally likely; `predictions` [M, Q]."""
    entropies = np.zeros(predictions.shape[1])
    for query in range(predictions.shape[1]):
        for label in (0, 1):
            posterior = belief * gamma ** (predictions[:, query] == label)
            posterior /= posterior.sum()
            entropies[query] -= (posterior * np.log(posterior)).sum() / 2
    return entropies


def test_the_expected_entropy_is_the_twins():
    rng = np.random.default_rng(0)
    belief, stand_in = rng.dirichlet(np.ones(9)), rng.integers(0, 4, 9)
    predictions = rng.integers(0, 2, (4, 25)).astype(np.float32)
    for gamma in (1.2, 9.0):
        entropies = expected_entropy(
            jnp.log(belief.astype(np.float32)), jnp.asarray(stand_in), jnp.asarray(predictions), float(np.log(gamma))
        )
        np.testing.assert_allclose(entropies, twin_entropy(belief, predictions[stand_in], gamma), atol=2e-6)


def test_two_equals_are_told_apart_by_a_query_on_which_they_differ():
    """After it the belief is (1 - eps, eps), whatever the label; a query on which they agree changes nothing."""
    evidence = float(np.log(0.9 / 0.1))
    predictions = jnp.asarray([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    entropies = expected_entropy(jnp.log(jnp.asarray([0.5, 0.5])), jnp.asarray([0, 1]), predictions, evidence)
    after = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    np.testing.assert_allclose(entropies, [np.log(2), after, np.log(2)], rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_every_choice_is_one_of_the_twins_best(seed):
    """The stand-ins are drawn with the policy's key from weights that the twin counts up anew."""
    correct, history = related_models(8, 30, seed, num_histories=12)
    run = play(ModelSelector(), correct, 8 * 9 + 3, history, seed=seed)
    assert len(run.turns) == 9
    stand_ins = np.asarray(run.knowledge)
    for turn in run.turns:
        labelled = (turn.before != -1).all(axis=0)
        assert not (turn.before[:, ~labelled] != -1).any()
        alike = (turn.before[:, None, labelled] == stand_ins[None][:, :, labelled]).sum(axis=2)
        draw_key, _ = jax.random.split(turn.rng_key)
        stand_in = jax.random.categorical(draw_key, jnp.log(GAMMA) * jnp.asarray(alike, jnp.float32))
        belief = GAMMA ** (turn.before == 1).sum(axis=1)
        entropies = twin_entropy(belief / belief.sum(), stand_ins[np.asarray(stand_in)], GAMMA)
        entropies[labelled] = np.inf
        assert entropies[turn.queries[0, 0]] <= entropies.min() + 1e-6


def test_models_are_ranked_by_the_belief():
    correct, history = related_models(8, 30, 1, num_histories=12)
    run = play(ModelSelector(), correct, 72, history)
    belief = GAMMA ** (run.answers == 1).sum(axis=1)
    assert (np.diff(belief[run.ranking]) <= 0).all()


def test_without_a_history_labels_follow_the_shared_order():
    run = play(ModelSelector(), related_models(5, 20, 0)[0], 5 * 7)
    assert [turn.queries[0, 0] for turn in run.turns] == run.order[:7].tolist()


def test_the_stand_ins_are_of_every_accuracy_and_gaps_are_filled_by_the_majority():
    history = np.triu(np.ones((10, 10), np.int8))[np.random.default_rng(0).permutation(10)]
    history[:, 0] = [1, 1, 1, 0, -1, 1, 1, 1, 1, -1]
    knowledge = ModelSelector(num_stand_ins=4).study(Problem(3, 10, 9), background_of(history, 3))
    assert knowledge.shape == (4, 10)
    assert set(np.unique(knowledge)) <= {0.0, 1.0}
    number = (history != 0).sum(axis=1)
    assert np.asarray(knowledge).sum(axis=1).tolist() == [min(number), *np.sort(number)[[3, 6]], max(number)]


@pytest.mark.parametrize("settings", [{"epsilon": 0.0}, {"epsilon": 0.5}, {"num_stand_ins": 0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(PolicySettingError, match=next(iter(settings))):
        ModelSelector(**settings)
