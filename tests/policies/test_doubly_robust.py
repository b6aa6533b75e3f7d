"""Doubly robust UCB-E against a slow twin after the authors' program, and against what theory says of its estimates."""

import jax.numpy as jnp
import numpy as np
import pytest
from query_play import background_of, play, related_models
from query_scores import scores_of_runs
from scipy.special import expit

from gembench.errors import PolicySettingError
from gembench.leaderboard.contract_checks import check_best_model, check_ties
from gembench.policies.doubly_robust import DoublyRobust
from gembench.policy import Problem, Stage
from gembench.query_order import model_order_key, query_at
from gembench.query_policy import Seen
from gembench.turn import START, ask_key, run_key

WITH_HISTORY, WITHOUT = (DoublyRobust(num_factors=3), 25), (DoublyRobust(), 0)


def rows_fitted(answers, loadings, mean, precision, rows, num_steps):
    """The factors of each row of `answers`, -1 where unseen, after some steps; float64, row by row."""
    rows = rows.copy()
    for row, answered in enumerate(answers >= 0):
        met, right = loadings[answered], answers[row, answered]
        for _ in range(num_steps):
            slope = met.T @ (right - expit(met @ rows[row])) - precision @ (rows[row] - mean)
            rows[row] += np.linalg.solve(met.T @ met / 4 + precision, slope)
    return rows


class Twin:
    """The authors' bookkeeping: sums of observed and predicted answers, a correction a step, lambda by their formula.

    `order` [M, Q] is each model's own order of the queries, `models` [M, K] and `queries` [Q, K] where factors begin.
    """

    def __init__(self, correct, order, models, queries, population, exploration):
        self.correct, self.order, self.population, self.exploration = correct, order, population, exploration
        self.models, self.queries = np.asarray(models, np.float64), np.asarray(queries, np.float64)
        self.answers = np.full(correct.shape, -1)
        num_models = len(correct)
        self.num_blocks, self.estimates = np.zeros(num_models), np.zeros(num_models)
        self.forget()

    def forget(self):
        self.mean_residual, self.num_residuals = np.zeros(len(self.correct)), np.zeros(len(self.correct))

    def fit(self):
        if self.population is not None:
            self.models = rows_fitted(self.answers, self.queries, *self.population, self.models, 5)
        else:
            nothing, one = np.zeros(self.models.shape[1]), np.eye(self.models.shape[1])
            for _ in range(3):
                self.models = rows_fitted(self.answers, self.queries, nothing, one, self.models, 2)
                self.queries = rows_fitted(self.answers.T, self.models, nothing, one, self.queries, 2)
        self.forget()

    def take(self, model, size, is_first):
        is_seen = self.answers[model] >= 0
        cols = self.order[model, is_seen.sum() : is_seen.sum() + size]
        num_queries, num_unseen = is_seen.size, (~is_seen).sum()
        pi = cols.size / num_unseen
        y, f = self.correct[model], expit(self.queries @ self.models[model])
        if is_first:
            weight = 0.0
        else:
            sum_f, spread = f[~is_seen].sum(), (1 - pi) / pi * (f[~is_seen] ** 2).sum()
            mean = self.mean_residual[model]
            weight = 1.0 if mean <= 0 else np.clip(1 - sum_f * mean / (spread + sum_f**2), 0, 1)
        est_y = (y[is_seen].sum() + y[cols].sum() / pi) / num_queries
        est_f = (f[is_seen].sum() + f[cols].sum() / pi) / num_queries
        self.estimates[model] += est_y + weight * (f.mean() - est_f)
        self.num_blocks[model] += 1
        residual = (y[cols] - weight * f[cols]).sum() / pi
        count = self.num_residuals[model]
        self.mean_residual[model] = (count * self.mean_residual[model] + residual) / (count + 1)
        self.num_residuals[model] += 1
        self.answers[model, cols] = y[cols]
        return cols

    def scores(self):
        is_known = (self.answers >= 0).all(axis=1)
        return np.where(is_known, self.correct.mean(axis=1), self.estimates / self.num_blocks)

    def bounds(self):
        num_seen = (self.answers >= 0).sum(axis=1)
        bounds = self.scores() + np.sqrt(self.exploration / num_seen)
        return np.where(num_seen == self.answers.shape[1], -np.inf, bounds)


def twin_of(policy, correct, budget, history, seed, run, knowledge):
    """A twin that begins as the policy's run does: the same orders and random factors."""
    num_models, num_queries = correct.shape
    problem = Problem(num_models, num_queries, budget)
    rng_key = ask_key(run_key(jnp.asarray([seed, 0], jnp.uint32), jnp.uint32(run)), START)
    memory = policy.start(rng_key, problem, Seen(None, None, None, knowledge))
    position = jnp.arange(num_queries, dtype=jnp.int32)
    order = [
        np.asarray(query_at(model_order_key(memory.order, jnp.int32(model)), position, num_queries))
        for model in range(num_models)
    ]
    population = None if history is None else tuple(np.asarray(part, np.float64) for part in knowledge.population)
    queries = memory.factors.queries if history is None else knowledge.queries
    return Twin(correct, np.array(order), memory.factors.models, queries, population, policy.exploration)


@pytest.mark.parametrize(("policy", "num_histories"), [WITH_HISTORY, WITHOUT], ids=["warm", "cold"])
@pytest.mark.parametrize("sizes", [(9, 40, 131), pytest.param((6, 11, 60), marks=pytest.mark.slow)])
def test_it_makes_the_decisions_of_its_twin(policy, num_histories, sizes):
    """Where two bounds are within 1e-4 the twin, in float64, follows the policy."""
    num_models, num_queries, budget = sizes
    correct, history = related_models(num_models, num_queries, 0, num_histories)
    history = history if num_histories else None
    for run in range(3):
        mine = play(policy, correct, budget, history, seed=4, run=run)
        twin = twin_of(policy, correct, budget, history, 4, run, mine.knowledge)
        block = max(1, budget // (7 * num_models))
        first, *others = mine.turns
        assert first.models.tolist() == list(range(num_models))
        for model, queries in zip(first.models, first.queries, strict=True):
            assert twin.take(model, block, is_first=True).tolist() == queries.tolist()
        twin.fit()
        for number, turn in enumerate(others, 1):
            bounds, (model,) = twin.bounds(), turn.models
            assert bounds[model] > bounds.max() - 1e-4
            expected = twin.take(model, min(block, budget - (twin.answers >= 0).sum()), is_first=False)
            assert turn.queries[0, : expected.size].tolist() == expected.tolist()
            assert (turn.queries[0, expected.size :] == -1).all()
            if number % num_models == 0:
                twin.fit()
        assert (twin.answers >= 0).sum() == mine.pulls == budget
        np.testing.assert_allclose(mine.scores, twin.scores(), atol=1e-4)


def test_the_first_block_and_the_plan():
    assert DoublyRobust().plan(Problem(4, 100, 4)) == (Stage(4, 1),)
    assert DoublyRobust().plan(Problem(4, 100, 57)) == (Stage(4, 2), Stage(1, 2, 24 + 4 + 1))
    assert DoublyRobust().plan(Problem(4, 100, 29)) == (Stage(4, 1), Stage(1, 1, 25))


@pytest.mark.parametrize("num_histories", [0, 20])
def test_the_estimate_of_a_model_is_unbiased_though_the_predictions_are_far_off(num_histories):
    """One model alone, wrong where the history is right: the mean over runs is its accuracy, to 5 standard errors."""
    rng = np.random.default_rng(0)
    easy = rng.random(40) < 0.5
    history = rng.random((num_histories, 40)) < np.where(easy, 0.9, 0.1)
    correct = rng.random((1, 40)) < np.where(easy, 0.1, 0.7)
    background = background_of(history, 1)
    scores = scores_of_runs(DoublyRobust(num_factors=2), correct, background, budget=21, num_runs=2_000)[:, 0]
    assert abs(scores.mean() - correct.mean()) < 5 * scores.std() / np.sqrt(scores.size)
    assert scores.std() < 0.15


def test_a_history_that_predicts_well_makes_the_estimate_vary_less():
    """Of two kinds of models each has one half of the queries right, and so the first block of 3 tells all.

    Without predictions 7 blocks of 3 from 40 queries vary about as 21 of 40 do: by 0.5 sqrt(19 / 39 / 21) = 0.076. With
    perfect ones only the first block is left to vary, by 0.5 sqrt(37 / 39 / 3) = 0.28, of which a seventh counts.
    """
    kinds = np.arange(40) < np.array([[20], [40]])
    kinds[1, :20] = False
    history = kinds[np.arange(30) % 2]
    settings = {"budget": 21, "num_runs": 2_000}
    policy = DoublyRobust(num_factors=2)
    warm = scores_of_runs(policy, kinds[:1], background_of(history, 1), **settings)[:, 0]
    cold = scores_of_runs(policy, kinds[:1], background_of(history[:0], 1), **settings)[:, 0]
    assert warm.std() < 0.06
    assert cold.std() > 0.07
    assert abs(warm.mean() - 0.5) < 5 * warm.std() / np.sqrt(warm.size)


@pytest.mark.parametrize("check", [check_ties, check_best_model])
def test_nobody_is_favoured_and_the_best_is_found(check):
    assert check(DoublyRobust()).verdict == "ok"


@pytest.mark.parametrize("setting", [{"exploration": 0.0}, {"exploration": np.inf}, {"num_factors": 0}])
def test_a_setting_out_of_range_is_refused(setting):
    with pytest.raises(PolicySettingError, match=next(iter(setting))):
        DoublyRobust(**setting)
