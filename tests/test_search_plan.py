"""What a search will cost, before it starts, and how large a budget fits a time."""

import numpy as np
import pytest

from gembench.errors import BudgetError
from gembench.policies.catalog import CATALOG, make_policy
from gembench.policy import Problem, Stage
from gembench.pulls import Reply
from gembench.search import Search
from gembench.search_plan import StageCost, budget_for_seconds, search_cost

RATES = {"seconds_per_load": 3.0, "seconds_per_query": 0.5}


def cost_of(policy, num_models, num_queries, budget):
    return search_cost(make_policy(policy), Problem(num_models, num_queries, budget), **RATES)


def seconds_by_budget(policy, num_models, num_queries):
    budgets = range(num_models, num_models * num_queries + 1)
    return {budget: cost_of(policy, num_models, num_queries, budget).seconds for budget in budgets}


def test_the_cost_of_a_halving_is_that_of_its_rounds():
    cost = cost_of("sequential_halving", 5, 20, 30)
    # Rounds of 5, 3 and 2 models, of 10 pulls at most each: 2, 3 and 5 queries each.
    assert cost.stages == (
        StageCost(num_models=5, num_queries=2, repeats=1, pulls=10, model_loads=5),
        StageCost(num_models=3, num_queries=3, repeats=1, pulls=9, model_loads=3),
        StageCost(num_models=2, num_queries=5, repeats=1, pulls=10, model_loads=2),
    )
    assert (cost.pulls, cost.model_loads) == (29, 10)
    assert cost.seconds == 29 * 0.5 + 10 * 3.0


def test_an_index_policy_may_load_a_model_at_every_pull():
    cost = cost_of("ucb_e", 4, 10, 12)
    assert cost.stages == (
        StageCost(num_models=4, num_queries=1, repeats=1, pulls=4, model_loads=4),
        StageCost(num_models=1, num_queries=1, repeats=8, pulls=8, model_loads=8),
    )
    assert (cost.pulls, cost.model_loads, cost.seconds) == (12, 12, 12 * 3.5)


def test_a_plan_that_could_ask_for_more_is_cut_at_the_budget():
    class Greedy:
        sampling = "shared"

        def plan(self, problem):
            del problem
            return Stage(4, 1), Stage(2, 3, repeats=5), Stage(1, 1, repeats=9)

    cost = search_cost(Greedy(), Problem(4, 10, 20), **RATES)
    assert [(stage.pulls, stage.model_loads) for stage in cost.stages] == [(4, 4), (16, 10), (0, 0)]
    assert (cost.pulls, cost.seconds) == (20, 20 * 0.5 + 14 * 3.0)


@pytest.mark.parametrize("policy", CATALOG)
def test_what_a_search_comes_to_is_within_its_plan(policy):
    correct = (np.random.default_rng(1).random((7, 11)) < 0.5).astype(np.int8)

    def answer(wanted):
        return {model: Reply(correct[model, queries]) for model, queries in wanted}

    for budget in (7, 8, 20, 45, 76, 77):
        search = Search(make_policy(policy), 7, 11, budget, answer)
        search.run()
        cost = cost_of(policy, 7, 11, budget)
        assert search.pulls <= cost.pulls <= budget
        assert search.model_loads.sum() <= cost.model_loads


@pytest.mark.parametrize("policy", CATALOG)
def test_a_budget_for_every_cell_costs_one_load_of_each_model(policy):
    cost = cost_of(policy, 5, 20, 100)
    assert (cost.pulls, cost.model_loads, cost.seconds) == (100, 5, 65.0)


@pytest.mark.parametrize("policy", ["uniform", "ucb_e", "thompson", "ttts"])
@pytest.mark.parametrize(("num_models", "num_queries"), [(1, 5), (3, 7), (12, 9)])
def test_no_larger_budget_fits_the_time(policy, num_models, num_queries):
    seconds_of = seconds_by_budget(policy, num_models, num_queries)
    for seconds in {each + more for each in seconds_of.values() for more in (0.0, 0.25)}:
        if seconds < seconds_of[num_models]:
            continue
        found = budget_for_seconds(make_policy(policy), num_models, num_queries, seconds, **RATES)
        assert found == max(budget for budget, each in seconds_of.items() if each <= seconds)


@pytest.mark.parametrize("policy", CATALOG)
def test_the_budget_for_a_time_fits_it(policy):
    seconds_of = seconds_by_budget(policy, 12, 9)
    for seconds in np.linspace(seconds_of[12], max(seconds_of.values()), 40):
        found = budget_for_seconds(make_policy(policy), 12, 9, seconds, **RATES)
        assert seconds_of[found] <= seconds
    assert budget_for_seconds(make_policy(policy), 12, 9, 1e9, **RATES) == 12 * 9


@pytest.mark.parametrize("policy", ["sequential_halving", "accelerated_sequential_halving"])
def test_the_rounding_of_rounds_wastes_little_of_the_time(policy):
    costs = {budget: cost_of(policy, 12, 200, budget) for budget in range(12, 2400, 3)}
    for seconds in np.linspace(costs[12].seconds + 20, max(cost.seconds for cost in costs.values()), 30):
        most = max(cost.pulls for cost in costs.values() if cost.seconds <= seconds)
        found = budget_for_seconds(make_policy(policy), 12, 200, seconds, **RATES)
        # A round of 12 models may be short of one query of each: 12 pulls.
        assert cost_of(policy, 12, 200, found).pulls >= most - 12


def test_more_time_never_buys_a_smaller_budget():
    for policy in ("uniform", "ucb_e"):
        budgets = [
            budget_for_seconds(make_policy(policy), 5, 8, seconds, **RATES) for seconds in np.arange(17.5, 90, 0.5)
        ]
        assert budgets == sorted(budgets)
        assert budgets[0] == 5
        assert budgets[-1] == 40


def test_time_that_does_not_pay_for_one_query_each_is_refused():
    # 4 loads of 3 s and 4 answers of 0.5 s are 14 s.
    assert budget_for_seconds(make_policy("ucb_e"), 4, 10, 14.0, **RATES) == 4
    with pytest.raises(BudgetError, match=r"13\.9 seconds do not pay for one query of each of 4 models.* 14 s; give"):
        budget_for_seconds(make_policy("ucb_e"), 4, 10, 13.9, **RATES)
