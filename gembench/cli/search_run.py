"""Running a search over a setup to its end, whatever interrupts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gembench.cli.search_card import Ended, Found, sum_up
from gembench.cli.search_contest import Contest
from gembench.findings import is_best_within
from gembench.live.searching import AnswersTakenBackError
from gembench.search import Ending, NobodyLeftError, Search

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gembench.cli.search_options import SearchChoice
    from gembench.cli.search_progress import SearchProgress
    from gembench.cli.search_setup import SearchSetup
    from gembench.pulls import Pulls

MIN_ASKS_PER_LOOK = 8
"""Whether to stop is looked at after an eighth of a pull a model, or more."""


def find_best(
    contest: Contest, choice: SearchChoice, setup: SearchSetup, progress: SearchProgress, *, command: Sequence[str]
) -> Found:
    """Search, verify the winner if that was asked for, and sum up what was found.

    Args:
        contest: the policy and its budget.
        choice: what else the user wants.
        setup: what is searched.
        progress: told of each step.
        command: what the user typed after `gembench`.

    Raises:
        NobodyLeftError: every model failed; the message says how the first of them did.
        KeyboardInterrupt: the search was interrupted before any model had answered.
    """
    while True:
        search, ended = _search(contest, choice, setup, progress)
        try:
            return sum_up(search, ended, contest, setup, choice, progress, command)
        except AnswersTakenBackError as error:
            _say_that_it_begins_anew(progress, error)


def _search(
    contest: Contest, choice: SearchChoice, setup: SearchSetup, progress: SearchProgress
) -> tuple[Search, Ended]:
    """Search, and again with those who wait to join; an interruption ends it with what it has."""
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
            _say_that_it_begins_anew(progress, error)
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
        background=None if setup.known is None else setup.known.background,
        stop=stop,
        on_ask=lambda stage, repeat, wanted: progress.on_ask(search.plan, stage, search.pulls, wanted),
    )
    return search


def _say_that_it_begins_anew(progress: SearchProgress, error: AnswersTakenBackError) -> None:
    progress.say(f"{error} The search begins anew over the others, which cost nothing again.")
