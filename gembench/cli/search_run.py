"""Running one search over a setup, and summing up what it found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from shlex import join
from typing import TYPE_CHECKING, Any, Literal

from gembench.cli.search_options import DEFAULT_QUERIES_PER_MODEL
from gembench.cli.search_setup import exhaustive_seconds
from gembench.errors import UsageError
from gembench.experiment import make_policies
from gembench.findings import (
    bound_on_regret,
    card_models,
    chance_of_a_gem,
    find_base,
    is_among,
    is_best_within,
    margin,
    most_downloaded,
    verify,
)
from gembench.gem_card import Cost, Failed, GemCard, Verification
from gembench.live.searching import AnswersTakenBackError
from gembench.load_race import budget_of
from gembench.policy import Policy, Problem, Sampling
from gembench.pulls import UNGRADED
from gembench.search import Ending, NobodyLeftError, Search
from gembench.search_plan import SearchCost, budget_for_seconds, search_cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gembench.cli.search_options import SearchChoice
    from gembench.cli.search_progress import SearchProgress
    from gembench.cli.search_setup import Rates, SearchSetup
    from gembench.pulls import Pulls

MIN_ASKS_PER_LOOK = 8
"""Whether to stop is looked at after an eighth of a pull a model, or more."""
Ended = Ending | Literal["interrupted"]


@dataclass(frozen=True)
class Contest:
    """A policy, by its canonical text too, and what it may spend."""

    specification: str
    policy: Policy
    sampling: Sampling | None
    problem: Problem


@dataclass(frozen=True)
class Found:
    """What a search came to: its card, and what programs want to know beside it."""

    card: GemCard
    ranking: Sequence[str]
    plan: SearchCost
    num_new_cells: int | None
    store: str


def decide(choice: SearchChoice, rates: Rates, num_models: int, num_queries: int) -> Contest:
    """The policy, and its budget by queries, by seconds, or by the smaller of the two.

    Raises:
        UsageError: no such policy, or a budget that cannot be spent.
    """
    ((specification, policy),) = make_policies([choice.policy]).items()
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


def run_search(
    contest: Contest, choice: SearchChoice, setup: SearchSetup, progress: SearchProgress
) -> tuple[Search, Ended]:
    """Search, and again with those who wait to join; an interruption ends it with what it has.

    Raises:
        NobodyLeftError: every model failed; the message says how the first of them did.
    """
    search, ended = _run_race(contest, choice, setup, progress)
    while ended != "interrupted" and setup.let_join(search.ranking()):
        search, ended = _run_race(contest, choice, setup, progress)
    setup.catch_up(search)
    return search, ended


def _run_race(
    contest: Contest, choice: SearchChoice, setup: SearchSetup, progress: SearchProgress
) -> tuple[Search, Ended]:
    while True:
        search = _make_search(contest, choice, setup, progress)
        progress.begin(search.budget)
        try:
            return search, search.run()
        except AnswersTakenBackError as error:
            progress.say(f"{error} The search begins anew over the others, which cost nothing again.")
        except KeyboardInterrupt:
            return search, "interrupted"
        except NobodyLeftError as error:
            first = setup.not_measured()[0]
            raise NobodyLeftError(
                f"{error} The first, {first.model}: {first.status}: {first.message} To try again: --retry-failed."
            ) from error


def _make_search(contest: Contest, choice: SearchChoice, setup: SearchSetup, progress: SearchProgress) -> Search:
    pulls_at_look = 0

    def stop(search: Search, wanted: Sequence[Pulls]) -> Ending | None:
        nonlocal pulls_at_look
        limit = choice.budget_seconds
        if limit is not None and search.pulls and setup.must_pay(wanted) and setup.spent(search).seconds >= limit:
            return "seconds"
        if choice.stop_within is None:
            return None
        if search.pulls - pulls_at_look < max(1, len(setup.models) // MIN_ASKS_PER_LOOK):
            return None
        pulls_at_look = search.pulls
        is_known = is_best_within(
            choice.stop_within,
            search.answers,
            search.ranking(),
            shares_queries=search.sampling == "shared",
            confidence=choice.confidence,
        )
        return "stop_within" if is_known else None

    search = Search(
        contest.policy,
        len(setup.models),
        setup.num_queries,
        contest.problem.budget,
        setup.answer,
        racing=setup.racing,
        sampling=contest.sampling,
        seed=choice.seed,
        run=choice.run,
        stop=stop,
        on_ask=lambda stage, repeat, wanted: progress.on_ask(search.plan, stage, search.pulls, wanted),
    )
    return search


def sum_up(
    search: Search,
    ended: Ended,
    contest: Contest,
    setup: SearchSetup,
    choice: SearchChoice,
    progress: SearchProgress,
    *,
    command: Sequence[str],
) -> Found:
    """The ranking and the card; verifies the winner first, if that was asked for.

    Raises:
        KeyboardInterrupt: the search was interrupted before any model had answered.
    """
    ranking = [model for model in search.ranking() if (search.answers[model] >= 0).any()]
    if not ranking:
        raise KeyboardInterrupt
    winner, names, facts, answers = ranking[0], setup.models, setup.facts, search.answers
    pulls = search.pulls
    base = find_base(winner, ranking, names, facts, choice.base)
    if base is None and choice.base is not None:
        progress.say(f"--base {choice.base} could not be measured: the winner is held against nothing.")
    verification = None
    if choice.verify is not None and ended != "interrupted":
        verification = _verify(search, winner, base, setup, choice, progress)
    popular = most_downloaded(ranking, facts)
    rivals: dict[Any, int | None] = {"base": base, "most_downloaded": popular}
    probability, unknown_because = chance_of_a_gem(answers, ranking, facts)
    spent = setup.spent(search)
    store, content_digest = setup.publish()
    card = GemCard(
        version=version("gembench"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        source=setup.source,
        num_models=len(names),
        num_queries=setup.num_queries,
        policy=contest.specification,
        sampling=search.sampling,
        queries_per_model=contest.problem.budget / contest.problem.num_models,
        budget=contest.problem.budget,
        seed=choice.seed,
        run=choice.run,
        ended=ended,
        confidence=choice.confidence,
        regret_bound=_regret_bound(search, choice.confidence),
        ranking=card_models(answers, ranking, names, facts, num_shown=choice.top_k, confidence=choice.confidence),
        margins=tuple(
            margin(
                against,
                winner,
                other,
                names[other],
                answers,
                shares_queries=search.sampling == "shared",
                confidence=choice.confidence,
            )
            for against, other in rivals.items()
            if other is not None and other != winner
        ),
        gem_probability=probability,
        gem_unknown_because=unknown_because,
        verification=verification,
        cost=Cost(
            pulls=pulls,
            model_loads=spent.model_loads,
            seconds=spent.seconds,
            exhaustive_pulls=len(names) * setup.num_queries,
            exhaustive_loads=len(names),
            exhaustive_seconds=exhaustive_seconds(setup),
            source=setup.rates.source,
        ),
        failed=tuple(Failed(*failure) for failure in setup.not_measured()),
        num_ungraded=int((answers == UNGRADED).sum()),
        engine=setup.engine,
        command=join(["gembench", *command]),
        decision_digest=search.decision_digest,
        content_digest=content_digest,
    )
    plan = planned(replace(contest, problem=search.problem), setup.rates)
    return Found(card, [names[model] for model in ranking], plan, setup.num_new_cells, store)


def _verify(
    search: Search,
    winner: int,
    base: int | None,
    setup: SearchSetup,
    choice: SearchChoice,
    progress: SearchProgress,
) -> Verification | None:
    """What further queries say of the winner and its base; a line to the user where they can say nothing."""
    if base is None:
        if choice.base is None:
            progress.say("nothing to verify: no base of the winner was measured; name one by --base.")
        return None
    if base == winner:
        progress.say(f"nothing to verify: {setup.models[winner]} is its own base; name another model by --base.")
        return None
    found = verify(
        setup.answer,
        search.answers,
        search.order(winner),
        winner,
        base,
        setup.models[base],
        int(choice.verify or 0),
        confidence=choice.confidence,
    )
    if found is None:
        progress.say(
            f"nothing is verified: {setup.models[winner]} and {setup.models[base]} have no query left that neither "
            f"has answered and both can."
        )
    return found


def _regret_bound(search: Search, confidence: float) -> float:
    ranking = search.ranking()
    return bound_on_regret(search.answers, ranking, shares_queries=search.sampling == "shared", confidence=confidence)
