"""Summing up a search: its ranking, verified if that was asked for, and its gem card."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from shlex import join
from typing import TYPE_CHECKING, Any, Literal

from gembench.cli.search_contest import Contest, planned
from gembench.cli.search_setup import exhaustive_seconds
from gembench.findings import (
    bound_on_regret,
    card_models,
    chance_of_a_gem,
    find_base,
    margin,
    most_downloaded,
    verify,
)
from gembench.gem_card import Cost, Failed, GemCard, Verification
from gembench.possible import were_drawn
from gembench.pulls import UNGRADED
from gembench.search import Ending, Search
from gembench.search_plan import SearchCost

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gembench.cli.search_options import SearchChoice
    from gembench.cli.search_progress import SearchProgress
    from gembench.cli.search_setup import SearchSetup

Ended = Ending | Literal["interrupted"]


@dataclass(frozen=True)
class Found:
    """What a search came to: its card, and what programs want to know beside it."""

    card: GemCard
    ranking: Sequence[str]
    plan: SearchCost
    num_new_cells: int | None
    store: str


def sum_up(
    search: Search,
    ended: Ended,
    contest: Contest,
    setup: SearchSetup,
    choice: SearchChoice,
    progress: SearchProgress,
    command: Sequence[str],
) -> Found:
    """The ranking and the card; verifies the winner first, if that was asked for, whose cost is not the search's.

    Raises:
        AnswersTakenBackError: in the verification answers turned out to be untrustworthy; search again over the rest.
        KeyboardInterrupt: the search was interrupted before any model had answered.
    """
    ranking = [model for model in search.ranking() if (search.answers[model] >= 0).any()]
    if not ranking:
        raise KeyboardInterrupt
    winner, names, facts = ranking[0], setup.models, setup.facts
    # The verification comes on top, and draws its queries otherwise.
    answers, pulls = search.answers.copy(), search.pulls
    base = find_base(winner, ranking, names, facts, choice.base)
    if base is None and choice.base is not None:
        progress.say(f"--base {choice.base} could not be measured: the winner is held against nothing.")
    spent = setup.spent(search)
    are_drawn = were_drawn(answers, ranking, search.order)
    confidence = choice.confidence if are_drawn else None
    verification = None
    if choice.verify is not None and ended != "interrupted":
        try:
            verification = _verify(search, winner, base, setup, choice, progress, are_drawn=are_drawn)
        except KeyboardInterrupt:
            ended = "interrupted"
    popular = most_downloaded(ranking, facts)
    rivals: dict[Any, int | None] = {"base": base, "most_downloaded": popular}
    probability, unknown_because = (
        chance_of_a_gem(answers, ranking, facts)
        if are_drawn
        else (None, "the policy chose the queries, and they are no random sample")
    )
    history = setup.known.history if setup.known is not None else None
    store, content_digest = setup.publish()
    card = GemCard(
        version=version("gembench"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        source=setup.source,
        num_models=len(names),
        num_queries=setup.num_queries,
        policy=contest.specification,
        sampling=search.sampling,
        queries="drawn" if are_drawn else "chosen",
        history_tensors=() if history is None else history.tensors,
        history=() if history is None else history.digests,
        prior=None if setup.known is None else setup.known.prior,
        queries_per_model=contest.problem.budget / contest.problem.num_models,
        budget=contest.problem.budget,
        seed=choice.seed,
        run=choice.run,
        ended=ended,
        confidence=choice.confidence,
        regret_bound=_regret_bound(search, answers, confidence),
        ranking=card_models(answers, ranking, names, facts, num_shown=choice.top_k, confidence=confidence),
        margins=tuple(
            margin(
                against,
                winner,
                other,
                names[other],
                answers,
                shares_queries=search.sampling == "shared",
                confidence=confidence,
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
        num_ungraded=int((search.answers == UNGRADED).sum()),
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
    *,
    are_drawn: bool,
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
        search.order(winner) if are_drawn else search.order_of_its_own(winner),
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


def _regret_bound(search: Search, answers: NDArray[np.int8], confidence: float | None) -> float:
    ranking = search.ranking()
    return bound_on_regret(answers, ranking, shares_queries=search.sampling == "shared", confidence=confidence)
