"""What the published policies that choose queries, or need pairs, have in common: the contract, and no favourites.

The tests of fairness reject below p = 1e-6.
"""

import numpy as np
import pytest
from query_play import background_of, play, related_models
from uniformity import assert_equally_often

from gembench.policies.anchor_points import AnchorPoints
from gembench.policies.coda import CODA
from gembench.policies.doubly_robust import DoublyRobust
from gembench.policies.factorized_active_querying import FactorizedActiveQuerying
from gembench.policies.gp_irt import GPIRT
from gembench.policies.model_selector import ModelSelector
from gembench.policies.paired_elimination import PairedElimination
from gembench.policies.top_two_shared import TopTwoShared
from gembench.policies.ucb_e_lrf import UCBELRF
from gembench.policy import Problem
from gembench.query_policy import chooses_queries
from gembench.race import Race
from gembench.simulate import simulate

FIXED_TESTS = [AnchorPoints(num_clusterings=2), GPIRT(dimension=2, num_clusterings=2)]
BY_LABEL = [ModelSelector(), CODA(num_kinds=3)]
ADAPTIVE = [PairedElimination(num_batches=4), TopTwoShared()]
LOW_RANK = [UCBELRF(ensemble_size=3, block=4), DoublyRobust(num_factors=2), FactorizedActiveQuerying(num_factors=2)]
EVERY_POLICY = [*FIXED_TESTS, *BY_LABEL, *ADAPTIVE, *LOW_RANK]
every_policy = pytest.mark.parametrize("policy", EVERY_POLICY, ids=lambda policy: type(policy).__name__)
with_or_without_history = pytest.mark.parametrize("num_histories", [0, 9])

# One model alone, one pull a model, odd ones in between, and all cells but three.
FAST = (7, 11, 40)
PROBLEMS = [(1, 9, 4), (2, 6, 5), (7, 11, 7), (7, 11, 40), (13, 5, 62)]
problems = pytest.mark.parametrize(
    "sizes",
    [
        pytest.param(sizes, id="x".join(map(str, sizes)), marks=() if sizes == FAST else pytest.mark.slow)
        for sizes in PROBLEMS
    ],
)


def race_of(correct):
    return Race(np.asarray(correct, np.uint8), *np.zeros((2, len(correct))))


def simulated(policy, correct, budget, history, **settings):
    background = background_of(history, len(correct)) if len(history) else None
    return simulate(
        policy, race_of(correct), budget=budget, num_recommended=len(correct), background=background, **settings
    )


@every_policy
@with_or_without_history
@problems
def test_a_plain_engine_comes_to_the_same_runs_bit_by_bit(policy, num_histories, sizes):
    num_models, num_queries, budget = sizes
    correct, history = related_models(num_models, num_queries, 3, num_histories)
    runs = simulated(policy, correct, budget, history, num_runs=3, seed=5, with_digests=True)
    for run in (0, 2):
        mine = play(policy, correct, budget, history if num_histories else None, seed=5, run=run)
        assert mine.digest == runs.decision_digests[run]
        assert mine.pulls == runs.pulls[run] <= budget
        assert mine.ranking == runs.recommended[run].tolist()
        assert (mine.answers != -1).any(axis=0).sum() == runs.distinct_queries[run]


@every_policy
def test_a_budget_for_every_cell_buys_every_cell_and_the_right_order(policy):
    correct, history = related_models(6, 8, 1, 5)
    runs = simulated(policy, correct, 48, history, num_runs=4)
    assert (runs.pulls == 48).all()
    ranked = correct.sum(axis=1)[runs.recommended]
    assert (np.diff(ranked, axis=1) <= 0).all()


@every_policy
@pytest.mark.parametrize("sizes", [*PROBLEMS, (30, 60, 30), (30, 60, 299), (30, 60, 1799), (130, 40, 999)])
def test_a_plan_is_plain_python_and_never_wider_than_the_race(policy, sizes):
    problem = Problem(*sizes)
    plan = policy.plan(problem)
    assert chooses_queries(policy)
    assert isinstance(plan, tuple)
    for stage in plan:
        assert 1 <= stage.num_models <= problem.num_models
        assert 1 <= stage.max_queries <= min(problem.num_queries, problem.budget)
        assert stage.repeats >= 1


@pytest.mark.parametrize("policy", [*FIXED_TESTS, *BY_LABEL], ids=lambda policy: type(policy).__name__)
@with_or_without_history
def test_a_label_shows_the_answers_of_all_models_and_a_rest_of_the_budget_is_left(policy, num_histories):
    correct, history = related_models(7, 20, 2, num_histories)
    runs = simulated(policy, correct, 7 * 4 + 6, history, num_runs=20)
    assert (runs.pulls == 28).all()
    assert (runs.distinct_queries == 4).all()


@every_policy
@with_or_without_history
def test_models_that_answer_alike_are_recommended_equally_often(policy, num_histories):
    """At the first, the second and the last place; two thirds of all answers are right."""
    row = np.arange(12) % 3 > 0
    history = related_models(1, 12, 4, num_histories)[1]
    runs = simulated(policy, np.tile(row, (7, 1)), 30, history, num_runs=2_100, seed=1)
    for place in (0, 1, 6):
        assert_equally_often(np.bincount(runs.recommended[:, place], minlength=7))


@every_policy
@with_or_without_history
def test_a_model_that_is_by_far_the_best_is_found_wherever_it_stands(policy, num_histories):
    """Right where the others are wrong, but for a fifth of the queries, on which all are right."""
    history = related_models(1, 30, 4, num_histories)[1]
    for best in (0, 5, 11):
        correct = np.tile(np.arange(30) % 5 == 0, (12, 1))
        correct[best] = True
        runs = simulated(policy, correct, 12 * 6, history, num_runs=50, seed=2)
        assert (runs.recommended[:, 0] == best).mean() > 0.9


@every_policy
def test_a_policy_is_frozen_and_equal_to_one_of_equal_settings(policy):
    assert type(policy)() == type(policy)()
    assert hash(type(policy)()) == hash(type(policy)())
    assert policy.sampling == "shared"


@every_policy
def test_gaps_in_the_history_do_no_harm(policy):
    correct, history = related_models(6, 15, 1, 8)
    history[np.random.default_rng(0).random(history.shape) < 0.4] = -1
    history[:, 3] = -1
    history[2] = -1
    mine = play(policy, correct, 24, history)
    assert mine.pulls <= 24
    assert np.isfinite(mine.scores).all()
