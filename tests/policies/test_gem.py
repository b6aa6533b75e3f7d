"""Gem: its rounds by hand, its weights against Gaussian conditioning, its runs against a plain engine.

The races are drawn from a two-factor model with fixed seeds; the claims of quality hold with room to spare.
"""

import functools
import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from query_play import background_of, play

from gembench.errors import PolicySettingError
from gembench.factor_model import FactorModel
from gembench.measures import measure
from gembench.policies.gem import Gem, WarmGem
from gembench.policy import Problem
from gembench.race import Race
from gembench.simulate import simulate
from gembench.weighted_tally import answer_weights


def two_factor_answers(num_models, num_queries, seed, spread=1.0):
    """Answers of models whose skills are two, where most queries need the first and some the second."""
    rng = np.random.default_rng(seed)
    loads = np.stack([rng.uniform(0.5, 2, num_queries), rng.choice([0.0, 2.0], num_queries, p=[0.7, 0.3])])
    score = rng.normal(0, spread, (num_models, 2)) @ loads + rng.normal(0, 1.5, num_queries)
    return (rng.random(score.shape) < 1 / (1 + np.exp(-score))).astype(np.int8)


@functools.cache
def race_with_history():
    """A hundred models, and three hundred others of their kind, on 600 queries."""
    rng = np.random.default_rng(0)
    loads = np.stack([rng.uniform(0.5, 2, 600), rng.choice([0.0, 2.0], 600, p=[0.7, 0.3])])
    difficulty = rng.normal(0, 1.5, 600)

    def answers(num_models, spread):
        score = rng.normal(0, spread, (num_models, 2)) @ loads + difficulty
        return (rng.random(score.shape) < 1 / (1 + np.exp(-score))).astype(np.int8)

    correct = answers(100, 1.0).astype(np.uint8)
    return Race(correct, np.ones(100), np.ones(100)), answers(300, 1.0)


def mean_rank(race, budget, history=None, num_runs=200):
    background = None if history is None else background_of(history, len(race.correct))
    runs = simulate(Gem(), race, budget=budget, num_runs=num_runs, background=background)
    return float(measure(runs, race.accuracy).rank.mean())


@pytest.mark.parametrize(
    "settings",
    [{"keep": 0.0}, {"keep": 1.0}, {"warm_keep": 1.0}, {"tilt": -1.0}, {"tilt": 11.0}, {"tilt": float("nan")}],
)
def test_what_cannot_be_meant_is_refused(settings):
    with pytest.raises(PolicySettingError):
        Gem(**settings)


def test_the_weighted_tally_is_the_posterior_mean_of_all_right_answers():
    rng = np.random.default_rng(3)
    num_queries, asked = 30, [4, 17, 2, 21]
    mean, noise = rng.uniform(0.2, 0.8, num_queries), rng.uniform(0.05, 0.2, num_queries)
    loadings = rng.normal(0, 0.3, (num_queries, 3))
    model = FactorModel(*(jnp.asarray(part, jnp.float32) for part in (mean, loadings, noise)))
    weights, constant = answer_weights(model, jnp.asarray(asked, jnp.int32))
    # Gaussian conditioning in the space of answers: another road than that of the factors.
    covariance = loadings @ loadings.T + np.diag(noise)
    unasked = [query for query in range(num_queries) if query not in asked]
    for answers in ([0, 0, 0, 0], [1, 0, 1, 1], [1, 1, 1, 1]):
        gain = covariance[np.ix_(unasked, asked)] @ np.linalg.inv(covariance[np.ix_(asked, asked)])
        wanted = sum(answers) + (mean[unasked] + gain @ (np.asarray(answers) - mean[asked])).sum()
        assert float(np.asarray(answers) @ np.asarray(weights) + constant) == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize(("num_histories", "budget"), [(40, 12 * 5), (3, 12), (40, 12 * 30), (40, 12 * 20)])
def test_a_warm_run_is_the_one_of_a_plain_engine(num_histories, budget):
    answers = two_factor_answers(12 + num_histories, 40, seed=5)
    correct, history = answers[:12].astype(np.uint8), answers[12:]
    race = Race(correct, np.ones(12), np.ones(12))
    runs = simulate(
        Gem(), race, budget=budget, num_runs=3, num_recommended=12, with_digests=True,
        background=background_of(history, 12),
    )  # fmt: skip
    for run in range(3):
        plain = play(WarmGem(), correct, budget, history, run=run)
        assert runs.decision_digests[run] == plain.digest
        assert runs.recommended[run].tolist() == plain.ranking
        assert runs.pulls[run] == plain.pulls
        assert runs.distinct_queries[run] == (plain.answers >= 0).any(axis=0).sum()


def test_a_pilot_takes_at_most_a_25th_of_the_budget_and_leaves_a_query_for_every_model():
    for num_models, budget in [(2, 3), (12, 12), (12, 13), (12, 60), (300, 3000), (800, 40000)]:
        pilot, first, *_ = WarmGem().plan(Problem(num_models, 3000, budget))
        assert 25 * pilot.num_models * pilot.max_queries <= budget
        assert (first.num_models, first.max_queries >= 1) == (num_models, True)
    assert WarmGem().plan(Problem(300, 3000, 3000))[0].max_queries == 15


@pytest.mark.parametrize("settings", [{"num_designed": 0}, {"num_factors": 0}])
def test_its_parts_can_be_left_out(settings):
    answers = two_factor_answers(40, 50, seed=1)
    race = Race(answers[:10].astype(np.uint8), np.ones(10), np.ones(10))
    runs = simulate(WarmGem(**settings), race, budget=100, num_runs=2, background=background_of(answers[10:], 10))
    assert (runs.pulls > 90).all()


def test_warm_runs_do_not_depend_on_the_chunks_they_are_replayed_in():
    race, history = race_with_history()
    settings = {"budget": 100 * 8, "num_runs": 40, "with_digests": True, "background": background_of(history, 100)}
    whole = simulate(Gem(), race, **settings)
    parts = simulate(Gem(), race, memory_bytes=2**21, **settings)
    assert whole.decision_digests == parts.decision_digests
    np.testing.assert_array_equal(whole.recommended, parts.recommended)


def alike(history, num_runs=12):
    """The mean share of queries of the first designed round that two runs have in common."""
    race, _ = race_with_history()
    chosen = [
        set(play(WarmGem(), race.correct, 100 * 50, history, run=run).turns[1].queries[0]) for run in range(num_runs)
    ]
    assert len(chosen[0]) == 7
    return np.mean([len(one & other) / len(one) for one, other in itertools.combinations(chosen, 2)])


def test_runs_choose_alike_only_where_the_history_predicts():
    _, history = race_with_history()
    shuffled = np.random.default_rng(1).permuted(history, axis=1)
    by_chance = 7 / 600
    assert alike(history) > 3 * by_chance
    assert alike(history[:10]) < 2 * by_chance
    assert alike(shuffled) < 2 * by_chance


def test_a_history_that_predicts_finds_clearly_better_models():
    race, history = race_with_history()
    assert mean_rank(race, 100 * 5, history) < 0.8 * mean_rank(race, 100 * 5)


@pytest.mark.parametrize(
    ("spoil", "most"), [("random bits", 1.3), ("shuffled rows", 1.3), ("shuffled queries", 1.4), ("the opposite", 2.0)]
)
def test_a_history_that_does_not_predict_costs_little_and_a_hostile_one_not_everything(spoil, most):
    race, history = race_with_history()
    rng = np.random.default_rng(1)
    spoiled = {
        "random bits": lambda: rng.integers(0, 2, history.shape, np.int8),
        "shuffled rows": lambda: np.stack([rng.permutation(row) for row in history]),
        "shuffled queries": lambda: history[:, rng.permutation(history.shape[1])],
        "the opposite": lambda: 1 - history,
    }[spoil]()
    assert mean_rank(race, 100 * 5, spoiled) < most * mean_rank(race, 100 * 5)
