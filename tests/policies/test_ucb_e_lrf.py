"""UCB-E-LRF against a slow twin, which solves each factor's least squares by itself."""

import jax.numpy as jnp
import numpy as np
import pytest
from query_play import play, related_models

from gembench.errors import PolicySettingError
from gembench.leaderboard.contract_checks import check_best_model, check_ties
from gembench.policies.ucb_e_lrf import UCBELRF
from gembench.policy import Problem, Stage
from gembench.query_order import model_order_key, query_at
from gembench.query_policy import Seen
from gembench.turn import START, ask_key, run_key

RIDGE = 0.1


class Twin:
    """The members' factors, [M, K] and [Q, K], which answers each leaves out, by order of arrival, and the answers."""

    def __init__(self, correct, memory):
        self.correct = correct.astype(float)
        self.models, self.queries = np.asarray(memory.models, float), np.asarray(memory.queries, float)
        self.weights = np.asarray(memory.weight)
        self.is_seen = np.zeros(correct.shape, bool)
        self.arrivals = []

    def tell(self, model, queries):
        for query in queries:
            assert not self.is_seen[model, query]
            self.is_seen[model, query] = True
            self.arrivals.append((model, query))

    def sweep(self):
        for member in range(self.models.shape[1]):
            kept = [cell for cell, weight in zip(self.arrivals, self.weights[:, member], strict=False) if weight]
            for query in range(self.queries.shape[0]):
                those = [model for model, other in kept if other == query]
                self.queries[query, member] = ridge(self.models[those, member], self.correct[those, query])
            for model in range(self.models.shape[0]):
                those = [query for other, query in kept if other == model]
                self.models[model, member] = ridge(self.queries[those, member], self.correct[model, those])

    def guesses(self):
        each = np.einsum("mk,qk->kmq", self.models, self.queries)
        return each.mean(axis=0), each.std(axis=0, ddof=1)

    def scores(self, exploration):
        mean, deviation = self.guesses()
        return np.where(self.is_seen, self.correct, mean + exploration * deviation).mean(axis=1)


def ridge(factors, answers):
    """The b that makes |answers - b factors|^2 + 0.1 b^2 least, as a least-squares problem with one more row."""
    rows = np.append(factors, np.sqrt(RIDGE))[:, None]
    return np.linalg.lstsq(rows, np.append(answers, 0.0), rcond=None)[0][0]


@pytest.mark.parametrize(
    ("policy", "sizes"),
    [
        pytest.param(UCBELRF(ensemble_size=3, block=5), (9, 40, 131), id="one model an ask"),
        pytest.param(UCBELRF(ensemble_size=4, block=2), (8, 60, 430), id="several models an ask"),
        pytest.param(
            UCBELRF(ensemble_size=2, exploration=0.5), (5, 12, 57), id="nearly all cells", marks=pytest.mark.slow
        ),
    ],
)
def test_it_makes_the_decisions_of_its_twin(policy, sizes):
    """Where two models are within 1e-4, or two queries within 1e-4, the twin, in float64, follows the policy."""
    num_models, num_queries, budget = sizes
    problem = Problem(*sizes)
    correct, _ = related_models(num_models, num_queries, 0)
    first, second = policy.plan(problem)
    for run in range(2):
        mine = play(policy, correct, budget, seed=3, run=run)
        rng_key = ask_key(run_key(jnp.asarray([3, 0], jnp.uint32), jnp.uint32(run)), START)
        memory = policy.start(rng_key, problem, Seen(None, None, None, ()))
        twin = Twin(correct, memory)
        position = jnp.arange(first.max_queries, dtype=jnp.int32)
        start, *others = mine.turns
        for model, queries in zip(start.models, start.queries, strict=True):
            order = query_at(model_order_key(memory.order, jnp.int32(model)), position, num_queries)
            assert queries.tolist() == order.tolist()
            twin.tell(model, queries)
        for _ in range(10):
            twin.sweep()
        for turn in others:
            scores = np.where(twin.is_seen.all(axis=1), -np.inf, twin.scores(policy.exploration))
            best = np.sort(scores)[::-1][: second.num_models]
            np.testing.assert_allclose(scores[turn.models], best, atol=1e-4)
            deviation = np.where(twin.is_seen, -1, twin.guesses()[1])
            left = budget - twin.is_seen.sum()
            for model, queries in zip(turn.models, turn.queries, strict=True):
                asked = queries[queries >= 0]
                assert asked.size == min(second.max_queries, (~twin.is_seen[model]).sum(), left)
                most = np.sort(deviation[model])[::-1][: asked.size]
                np.testing.assert_allclose(deviation[model, asked], most, atol=1e-4)
                left -= asked.size
            for model, queries in zip(turn.models, turn.queries, strict=True):
                twin.tell(model, queries[queries >= 0])
            twin.sweep()
        assert mine.pulls == budget
        np.testing.assert_allclose(mine.scores, twin.scores(0.0), atol=1e-4)


def test_the_plan_spends_half_at_first_and_never_fits_more_than_64_times():
    assert UCBELRF().plan(Problem(10, 200, 10)) == (Stage(10, 1),)
    assert UCBELRF().plan(Problem(10, 200, 100)) == (Stage(10, 5), Stage(1, 32, 1 + 10 + 6 + 2))
    # 20,000 pulls are 625 asks of 32: ten models side by side.
    assert UCBELRF().plan(Problem(400, 3000, 40_000)) == (Stage(400, 50), Stage(10, 32, 62 + 400 + 93 + 2))


def test_queries_on_which_no_member_can_disagree_come_in_the_order_of_the_run():
    """Nobody is ever right: all factors come to 0, and so do all deviations."""
    mine = play(UCBELRF(ensemble_size=2, block=6), np.zeros((3, 50)), 36, run=1)
    turn = mine.turns[1]
    is_unseen = turn.before[turn.models[0]] == -1
    assert turn.queries[0].tolist() == [query for query in mine.order.tolist() if is_unseen[query]][:6]


@pytest.mark.parametrize("check", [check_ties, check_best_model])
def test_nobody_is_favoured_and_the_best_is_found(check):
    assert check(UCBELRF()).verdict == "ok"


@pytest.mark.parametrize("setting", [{"exploration": -1.0}, {"ensemble_size": 1}, {"block": 0}])
def test_a_setting_out_of_range_is_refused(setting):
    with pytest.raises(PolicySettingError, match=next(iter(setting))):
        UCBELRF(**setting)
