"""What a search will cost, before it starts: the stages of its policy's plan, their pulls, loads and seconds."""

import math
from bisect import bisect_right
from dataclasses import dataclass

from gembench.errors import BudgetError
from gembench.policy import Problem, Stage
from gembench.query_policy import AnyPolicy
from gembench.turn import make_setting


@dataclass(frozen=True)
class StageCost:
    """One stage.

    Attributes:
        num_models: how many models an ask names.
        num_queries: the most queries that an ask gives to one of them.
        repeats: how many asks there are, at most.
        pulls: queries over all models, at most.
        model_loads: how often a model is loaded, at most: one that answered last need not be loaded again.
    """

    num_models: int
    num_queries: int
    repeats: int
    pulls: int
    model_loads: int


@dataclass(frozen=True)
class SearchCost:
    """A search. All figures are upper bounds but for the seconds, which follow from them and the two rates.

    Attributes:
        stages: in their order.
        pulls: over all stages.
        model_loads: over all stages.
        seconds: of loading and answering.
    """

    stages: tuple[StageCost, ...]
    pulls: int
    model_loads: int
    seconds: float


def search_cost(
    policy: AnyPolicy, problem: Problem, *, seconds_per_load: float, seconds_per_query: float
) -> SearchCost:
    """What a policy's plan comes to on a problem, or asking everything where the budget pays for that."""
    stages = []
    pulls_left = problem.budget
    for stage in make_setting(policy, problem).policy.plan(problem):
        cost = _stage_cost(stage, pulls_left)
        pulls_left -= cost.pulls
        stages.append(cost)
    pulls = sum(cost.pulls for cost in stages)
    model_loads = sum(cost.model_loads for cost in stages)
    seconds = pulls * seconds_per_query + model_loads * seconds_per_load
    return SearchCost(tuple(stages), pulls, model_loads, seconds)


def budget_for_seconds(
    policy: AnyPolicy,
    num_models: int,
    num_queries: int,
    seconds: float,
    *,
    seconds_per_load: float,
    seconds_per_query: float,
) -> int:
    """A budget with which a search should end within so many seconds, as large as can be told.

    It is the largest if the time grows with the whole number of queries per model, and with the pulls over that. Rounds
    of whole queries make the time of halving policies fall now and then where the budget grows: there it may not be.

    Raises:
        BudgetError: one query for each model takes longer.
    """

    def takes(budget: int) -> float:
        problem = Problem(num_models, num_queries, budget)
        return search_cost(
            policy, problem, seconds_per_load=seconds_per_load, seconds_per_query=seconds_per_query
        ).seconds

    if takes(num_models) > seconds:
        raise BudgetError(
            f"{seconds:g} seconds do not pay for one query of each of {num_models} models, which takes about "
            f"{math.ceil(takes(num_models)):,} s; give more time, or fewer models."
        )
    # Asking everything loads each model once, so that it may take less time than a smaller budget.
    if takes(num_models * num_queries) <= seconds:
        return num_models * num_queries
    whole = bisect_right(range(1, num_queries), seconds, key=lambda each: takes(each * num_models)) * num_models
    budgets = range(whole, min(whole + num_models, num_models * num_queries))
    return budgets[bisect_right(budgets, seconds, key=takes) - 1]


def _stage_cost(stage: Stage, pulls_left: int) -> StageCost:
    pulls = min(stage.repeats * stage.num_models * stage.max_queries, pulls_left)
    repeats = min(stage.repeats, pulls) if stage.num_models == 1 else stage.repeats
    return StageCost(stage.num_models, stage.max_queries, repeats, pulls, min(stage.repeats * stage.num_models, pulls))
