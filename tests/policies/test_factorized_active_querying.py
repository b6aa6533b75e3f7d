"""Factorized active querying against a slow twin after the authors' program, and against theory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from query_play import background_of, play, related_models
from query_scores import scores_of_runs
from scipy.special import expit
from scipy.stats import chisquare

from gembench.errors import PolicySettingError
from gembench.leaderboard.contract_checks import check_best_model, check_ties
from gembench.policies.factorized_active_querying import FactorizedActiveQuerying
from gembench.policy import Problem, Stage, Step, Tally
from gembench.query_policy import Seen
from gembench.turn import ask_key, run_key


class Twin:
    """One model: its factors' mean and precision, what it answered, and the estimates so far; float64."""

    def __init__(self, correct, prior, policy, per_model):
        self.correct, self.policy, self.per_model = correct, policy, per_model
        self.loadings = np.asarray(prior.loadings, float)
        self.mean = np.asarray(prior.mean, float)
        self.precision = np.linalg.inv(np.asarray(prior.covariance, float))
        self.is_seen = np.zeros(correct.size, bool)
        self.estimates = []

    def predicted(self):
        return expit(self.loadings @ self.mean)

    def draw(self, num_before):
        """The chance [Q] of each query to come next, `num_before` the same for all draws of an ask."""
        p, unseen = self.predicted(), ~self.is_seen
        w = p * (1 - p)
        score = np.where(unseen, np.sqrt(w), 0)
        score /= score.sum()
        rho = self.policy.exploring
        alpha = max(0, 1 - (num_before + 1) / (rho * self.per_model)) if rho else 0
        if alpha:
            covariance = np.linalg.inv(self.precision)
            centre = sum(w[j] * self.loadings[j] for j in np.flatnonzero(unseen))
            lessened = np.zeros(p.size)
            for j in np.flatnonzero(unseen):
                v = self.loadings[j]
                # What an answer takes off the variance of the sum of the predictions.
                after = np.linalg.inv(self.precision + w[j] * np.outer(v, v))
                lessened[j] = centre @ (covariance - after) @ centre
            share = lessened / lessened.sum() if lessened.any() else unseen / unseen.sum()
            score = (1 - alpha) * score + alpha * share
        tau = self.policy.uniform_share
        return (1 - tau) * score + tau * unseen / unseen.sum()

    def ask(self, queries, num_before):
        """Draws in this order, all with the predictions from before the first; then the updates."""
        p, law = self.predicted(), self.draw(num_before)
        for query in queries:
            chance = law[query] / law[~self.is_seen].sum()
            total = self.correct[self.is_seen].sum() + p[~self.is_seen].sum()
            self.estimates.append((total + (self.correct[query] - p[query]) / chance) / p.size)
            self.is_seen[query] = True
        for query in queries:
            v = self.loadings[query]
            q = expit(v @ self.mean)
            self.precision = self.precision + q * (1 - q) * np.outer(v, v)
            self.mean = self.mean + np.linalg.solve(self.precision, v) * (self.correct[query] - q)


@pytest.mark.parametrize("exploring", [0.0, 0.6])
@pytest.mark.parametrize("num_histories", [0, 25])
@pytest.mark.parametrize("sizes", [(5, 40, 62), pytest.param((3, 120, 184), marks=pytest.mark.slow)])
def test_it_makes_the_decisions_of_its_twin(exploring, num_histories, sizes):
    """By the same exponential clocks: those of a query ring at the rate at which it is drawn."""
    num_models, num_queries, budget = sizes
    policy = FactorizedActiveQuerying(num_factors=3, exploring=exploring)
    correct, history = related_models(num_models, num_queries, 1, num_histories)
    mine = play(policy, correct, budget, history if num_histories else None, seed=2)
    per_model = budget // num_models
    twins = [Twin(row.astype(float), mine.knowledge, policy, per_model) for row in correct]
    for number, turn in enumerate(mine.turns):
        num_before = (turn.before[turn.models[0]] >= 0).sum()
        rng_key = ask_key(run_key(jnp.asarray([2, 0], jnp.uint32), jnp.uint32(0)), np.uint32(number))
        uniform = jax.random.uniform(jax.random.split(rng_key)[1], (turn.models.size, num_queries))
        for model, queries, clocks in zip(turn.models, turn.queries, -np.log1p(-np.asarray(uniform)), strict=True):
            twin = twins[model]
            with np.errstate(divide="ignore"):
                ringing = clocks / twin.draw(num_before)
            assert np.argsort(ringing)[: queries.size].tolist() == queries.tolist()
            twin.ask(queries, num_before)
    assert mine.pulls == budget
    more = sorted(len(twin.estimates) - per_model for twin in twins)
    assert more == [0] * (num_models - budget % num_models) + [1] * (budget % num_models)
    np.testing.assert_allclose(mine.scores, [np.mean(twin.estimates) for twin in twins], atol=1e-3)


def test_the_plan_has_at_most_27_asks_and_every_model_the_same():
    policy = FactorizedActiveQuerying()
    assert policy.plan(Problem(4, 100, 4)) == (Stage(4, 1, 1),)
    assert policy.plan(Problem(4, 100, 43)) == (Stage(4, 1, 10), Stage(3, 1))
    # 58 of each: 19 times 3, and 1.
    assert policy.plan(Problem(4, 100, 235)) == (Stage(4, 3, 19), Stage(4, 1), Stage(3, 1))


def test_with_no_history_the_queries_are_uniform():
    """The first of 12 queries in 3,000 runs of 2 models: chi-square, rejecting below p = 1e-6."""
    policy = FactorizedActiveQuerying()
    problem = Problem(2, 12, 4)
    knowledge = policy.study(problem, background_of(np.zeros((0, 12)), 2))
    first = firsts(policy, problem, knowledge, 3_000)
    for model in range(2):
        assert chisquare(np.bincount(first[:, model], minlength=12)).pvalue > 1e-6
    assert abs((first[:, 0] == first[:, 1]).mean() - 1 / 12) < 5 * np.sqrt(11 / 144 / 3_000)


def test_of_queries_that_all_or_no_models_get_right_fewer_are_drawn():
    """On the first half of the queries the history is of one mind: under half of 2,000 draws, by 5 standard errors."""
    rng = np.random.default_rng(0)
    history = np.where(np.arange(20) < 10, np.arange(20) < 5, rng.random((60, 20)) < 0.5)
    policy, problem = FactorizedActiveQuerying(num_factors=2, uniform_share=0.25), Problem(1, 20, 4)
    knowledge = policy.study(problem, background_of(history, 1))
    share = (firsts(policy, problem, knowledge, 2_000) < 10).mean()
    assert share < 0.5 - 5 * np.sqrt(0.25 / 2_000)


def firsts(policy, problem, knowledge, num_runs):
    """[R, M], each run's first query of each model."""
    nothing = jnp.zeros(problem.num_models, jnp.int32)
    unseen = jnp.full((problem.num_models, problem.num_queries), -1, jnp.int8)
    order = jnp.arange(problem.num_queries, dtype=jnp.int32)
    seen = Seen(Tally(nothing, nothing), unseen, order, knowledge)
    step = Step(problem, 0, jnp.int32(0), jnp.int32(problem.budget))

    def first(run):
        rng_key = run_key(jnp.asarray([0, 0], jnp.uint32), run)
        return policy.ask(rng_key, step, seen, policy.start(rng_key, problem, seen)).queries[:, 0]

    return np.asarray(jax.jit(jax.vmap(first))(jnp.arange(num_runs, dtype=jnp.uint32)))


@pytest.mark.parametrize("num_histories", [0, 20])
@pytest.mark.parametrize("exploring", [0.0, 0.5])
def test_the_estimate_of_a_model_is_unbiased_though_the_predictions_are_far_off(num_histories, exploring):
    """Models wrong where the history is right: the mean over runs is their accuracy, to 5 standard errors.

    60 queries of each, asked in blocks of 3.
    """
    rng = np.random.default_rng(0)
    easy = rng.random(90) < 0.5
    history = rng.random((num_histories, 90)) < np.where(easy, 0.9, 0.1)
    correct = rng.random((3, 90)) < np.where(easy, 0.1, 0.7)
    policy = FactorizedActiveQuerying(num_factors=2, exploring=exploring)
    scores = scores_of_runs(policy, correct, background_of(history, 3), budget=180, num_runs=1_000)
    error = scores.mean(axis=0) - correct.mean(axis=1)
    assert (abs(error) < 5 * scores.std(axis=0) / np.sqrt(len(scores))).all()


def test_a_history_that_predicts_well_makes_the_estimate_vary_less():
    """Of two kinds of models each has one half of the queries right: once the kind is known, so is all else."""
    kinds = np.arange(40) < np.array([[20], [40]])
    kinds[1, :20] = False
    history = kinds[np.arange(30) % 2]
    policy = FactorizedActiveQuerying(num_factors=2)
    settings = {"budget": 20, "num_runs": 1_000}
    warm = scores_of_runs(policy, kinds[:1], background_of(history, 1), **settings)[:, 0]
    cold = scores_of_runs(policy, kinds[:1], background_of(history[:0], 1), **settings)[:, 0]
    assert warm.std() < 0.7 * cold.std()


@pytest.mark.parametrize("check", [check_ties, check_best_model])
def test_nobody_is_favoured_and_the_best_is_found(check):
    assert check(FactorizedActiveQuerying(num_factors=2)).verdict == "ok"


@pytest.mark.parametrize("setting", [{"num_factors": 0}, {"exploring": 1.5}, {"uniform_share": 0.0}])
def test_a_setting_out_of_range_is_refused(setting):
    with pytest.raises(PolicySettingError, match=next(iter(setting))):
        FactorizedActiveQuerying(**setting)
