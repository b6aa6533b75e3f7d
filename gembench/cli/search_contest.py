"""The contest that a search is: a policy and what it may spend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gembench.cli.search_options import DEFAULT_QUERIES_PER_MODEL
from gembench.errors import UsageError
from gembench.experiment import make_first_level
from gembench.findings import is_among
from gembench.load_race import budget_of
from gembench.policy import Policy, Problem, Sampling
from gembench.search_plan import SearchCost, budget_for_seconds, search_cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gembench.cli.search_options import SearchChoice
    from gembench.cli.search_setup import Rates


@dataclass(frozen=True)
class Contest:
    """A policy, by its canonical text too, and what it may spend."""

    specification: str
    policy: Policy
    sampling: Sampling | None
    problem: Problem


def decide(choice: SearchChoice, rates: Rates, num_models: int, num_queries: int) -> Contest:
    """The policy, and its budget by queries, by seconds, or by the smaller of the two.

    Raises:
        UsageError: no such policy, or a budget that cannot be spent.
    """
    ((specification, policy),) = make_first_level([choice.policy]).items()
    budgets = []
    if choice.queries_per_model is not None or choice.budget_seconds is None:
        queries_per_model = choice.queries_per_model or DEFAULT_QUERIES_PER_MODEL
        budgets.append(budget_of(queries_per_model, num_models, num_queries))
    if choice.budget_seconds is not None:
        budgets.append(
            budget_for_seconds(
                policy,
                num_models,
                num_queries,
                choice.budget_seconds,
                seconds_per_load=rates.seconds_per_load,
                seconds_per_query=rates.seconds_per_query,
            )
        )
    problem = Problem(num_models, num_queries, min(budgets))
    policy.plan(problem)
    return Contest(specification, policy, None if choice.sampling == "auto" else choice.sampling, problem)


def check(choice: SearchChoice, models: Sequence[str], num_queries: int, rates: Rates) -> None:
    """Refuse what cannot be meant, before any model is asked.

    Raises:
        UsageError: no such policy or base, or a budget that cannot be spent.
    """
    decide(choice, rates, len(models), num_queries)
    if choice.base is not None and not is_among(choice.base, models):
        raise UsageError(f"--base {choice.base} is not among the {len(models):,} models that can run.")


def planned(contest: Contest, rates: Rates) -> SearchCost:
    """What the contest will cost."""
    return search_cost(
        contest.policy,
        contest.problem,
        seconds_per_load=rates.seconds_per_load,
        seconds_per_query=rates.seconds_per_query,
    )
