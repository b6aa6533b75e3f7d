"""The contest that a search is: a policy and what it may spend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gembench.cli.search_options import DEFAULT_QUERIES_PER_MODEL
from gembench.errors import UsageError
from gembench.experiment import make_policies
from gembench.findings import is_among
from gembench.load_race import budget_of
from gembench.policy import Problem, Sampling
from gembench.query_policy import AnyPolicy, chooses_queries, informed
from gembench.search_plan import SearchCost, budget_for_seconds, search_cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gembench.cli.search_options import SearchChoice
    from gembench.cli.search_setup import Rates


@dataclass(frozen=True)
class Contest:
    """A policy as it is raced, its canonical text, and what it may spend."""

    specification: str
    policy: AnyPolicy
    sampling: Sampling | None
    problem: Problem


def decide(choice: SearchChoice, rates: Rates, num_models: int, num_queries: int) -> Contest:
    """The policy, and its budget by queries, by seconds, or by the smaller of the two.

    Raises:
        UsageError: no such policy, one that cannot do what is asked of it, or a budget that cannot be spent.
    """
    specification, policy = _raced(choice)
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


def _raced(choice: SearchChoice) -> tuple[str, AnyPolicy]:
    ((specification, policy),) = make_policies([choice.policy]).items()
    has_history, has_prior = bool(choice.histories), choice.prior is not None
    raced = informed(policy, has_history=has_history, has_prior=has_prior)
    if not chooses_queries(raced):
        if has_history:
            raise UsageError(
                f"policy {specification} can use no --history; leave it out, or take another, such as gem."
            )
        if has_prior:
            raise UsageError(f"policy {specification} can use no --prior; leave it out, or take another, such as gem.")
    elif choice.stop_within is not None:
        given = " where something is known beforehand" if raced is not policy else ""
        raise UsageError(
            f"--stop-within needs queries drawn at random, and policy {specification} chooses them{given}; leave it "
            f"out, or take another policy."
        )
    return specification, raced


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
