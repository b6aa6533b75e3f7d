"""The table that the twins play on keeps its own rules."""

import numpy as np
import pytest
from scipy.stats import chisquare

from references.replay import Replay
from references.ties import best_of, ranked, scores

CORRECT = np.array([[1, 1, 0, 0, 0], [1, 0, 0, 1, 1], [1, 1, 1, 1, 1]], dtype=bool)


def all_answers(sampling, seed):
    replay = Replay(CORRECT, sampling, np.random.default_rng(seed), budget=15)
    return np.array([[replay.answer(model) for _ in range(5)] for model in range(3)])


@pytest.mark.parametrize("sampling", ["shared", "independent"])
def test_a_model_gives_each_answer_once(sampling):
    answers = all_answers(sampling, seed=0)
    np.testing.assert_array_equal(answers.sum(axis=1), CORRECT.sum(axis=1))


def test_shared_sampling_gives_all_models_the_same_queries():
    columns = sorted(map(tuple, CORRECT.T))
    assert all(sorted(map(tuple, all_answers("shared", seed).T)) == columns for seed in range(20))


def test_independent_sampling_does_not():
    columns = sorted(map(tuple, CORRECT.T))
    assert any(sorted(map(tuple, all_answers("independent", seed).T)) != columns for seed in range(20))


def test_an_exhausted_model_refuses():
    replay = Replay(CORRECT, "shared", np.random.default_rng(0), budget=15)
    for _ in range(5):
        replay.answer(1)
    assert replay.unexhausted() == [0, 2]
    with pytest.raises(RuntimeError, match="model 1 has answered all 5 queries"):
        replay.answer(1)


def test_a_spent_budget_refuses():
    replay = Replay(CORRECT, "shared", np.random.default_rng(0), budget=2)
    replay.answer(0)
    replay.answer(1)
    with pytest.raises(RuntimeError, match="budget of 2 pulls is spent"):
        replay.answer(2)


def test_loads_count_every_change_of_model_and_the_first():
    replay = Replay(CORRECT, "shared", np.random.default_rng(0), budget=15)
    assert replay.num_loads() == 0
    for model in [2, 2, 0, 1, 1, 0]:
        replay.answer(model)
    assert replay.num_loads() == 4
    assert replay.pulls == [2, 2, 2]


def test_ties_are_broken_uniformly():
    """At p < 1e-6 each of three tests cries wolf once in a million, were the seed not fixed."""
    rng = np.random.default_rng(1)
    num_draws = 3_000
    best = [best_of([4, 5, 6, 7], [1.0, 2.0, 2.0, 2.0], rng) for _ in range(num_draws)]
    assert chisquare([best.count(model) for model in (5, 6, 7)]).pvalue > 1e-6
    assert 4 not in best

    last = [ranked([4, 5, 6], [0, 0, 9], rng) for _ in range(num_draws)]
    assert {order[0] for order in last} == {6}
    assert chisquare([[order[1] for order in last].count(model) for model in (4, 5)]).pvalue > 1e-6

    firsts = [int(np.argmax(scores([(1, 0.5), (0, 0.9), (1, 0.5)], rng))) for _ in range(num_draws)]
    assert 1 not in firsts
    assert chisquare([firsts.count(model) for model in (0, 2)]).pvalue > 1e-6
