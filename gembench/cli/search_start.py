"""Starting a live search: looking at the models, the engines and the recording before any model is asked."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from gembench.cli.search_live import NOTE, LiveSetup, RaceNote, total_cost
from gembench.cli.search_setup import NotMeasured, Rates, Spent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gembench.cli.fetching import Fetch
    from gembench.cli.search_setup import Beforehand, Check
    from gembench.cli.suite_options import SuiteChoice
    from gembench.cli.worker_options import WorkerChoice
    from gembench.data.journal import Journal
    from gembench.evaluate.model_list import ModelSource
    from gembench.evaluate.preflight import Preflight
    from gembench.live.events import Event


@contextlib.contextmanager
def live_setup(
    sources: Sequence[ModelSource],
    suite: SuiteChoice,
    workers: WorkerChoice,
    output: str,
    *,
    search_settings: Mapping[str, Any],
    beforehand: Beforehand,
    given: Rates | None,
    retry_failed: bool,
    watch: bool,
    check: Check,
    on_event: Callable[[Event], None],
) -> Iterator[LiveSetup]:
    """Start what a live search needs; end it afterwards.

    Args:
        sources: the models that the command names.
        suite: what they are asked.
        workers: what answers.
        output: the recording's place.
        search_settings: what the decisions depend on: a search that is begun again under the same goes on.
        beforehand: what is known before the search, which must be the same then, too.
        given: what loads and answers cost, if the user knows.
        retry_failed: whether models that failed before are tried again.
        watch: whether models that were not there before join.
        check: called before there is anything on the disk, and again once it is known who is in the race.
        on_event: told what the workers do.
    """
    from gembench.cli.search_known import as_it_was, as_note, know
    from gembench.data.recording import Recording, find_journal
    from gembench.evaluate.engines import find_engine
    from gembench.live.enrol import agree_on_settings, coordinates, enrol
    from gembench.live.workers import Workers

    kind = find_engine(workers.engine.name)
    questions = suite.load()
    with contextlib.ExitStack() as stack:
        evaluators = stack.enter_context(workers.evaluators())
        # What can be refused is refused before there is anything on the disk: an engine's options, for one.
        engine_settings = evaluators[0].settings
        is_new = not find_journal(output).exists()
        preflights, fetch = _prepare(sources, suite, workers, stack, reads_files=kind.reads_files)
        can_run = _able([one.model for one in sources], preflights)
        rates = given or guessed_rates([one for one in preflights.values() if one.can_run])
        told = [one.source for one in preflights.values()] or sources
        facts = {one.model: coordinates(one) for one in told}
        queries = [query.id for query in questions.queries]
        if is_new:
            check(can_run, len(queries), rates)
            known = know(beforehand, questions.name, can_run, queries, facts)
        recording = stack.enter_context(Recording(output))
        journal = recording.journal
        agree_on_settings(journal, questions, engine_settings, with_chat_template=suite.apply_chat_template)
        begun = _begun(journal, search_settings)
        race = begun or RaceNote(search_settings, can_run, list(range(len(can_run))), rates, total_cost(journal))
        newcomers = [name for name in can_run if name not in race.models]
        check(race.models, len(queries), race.rates)
        racers = [*race.models, *(newcomers if watch else ())]
        if not is_new:
            facts = {row.id: row.coordinates for row in journal.models()} | facts
            known = know(beforehand, questions.name, racers, queries, facts)
        if begun is not None:
            known = as_it_was(known, racers, begun.known, output)
        race = race._replace(known=as_note(known, racers))
        enrol(journal, told)
        journal.note(NOTE, race._asdict())
        _set_statuses(journal, race.models, preflights, retry_failed=retry_failed)
        if newcomers and not watch:
            click.echo(
                f"gembench: {len(newcomers):,} models are new since this search began; --watch lets them join.",
                err=True,
            )
        pool = Workers(
            questions,
            evaluators,
            journal,
            commit_every=workers.commit_every,
            canary_every=workers.canary_every if kind.swaps_weights else None,
            on_event=on_event,
        )
        stack.callback(pool.stop)
        yield LiveSetup(questions.name, recording, race, newcomers if watch else (), pool, fetch, known)


def look_ahead(
    sources: Sequence[ModelSource], suite: SuiteChoice, engine: str, beforehand: Beforehand
) -> tuple[Sequence[str], int, Sequence[NotMeasured], Rates]:
    """Before anything is fetched or started: who can run, Q, who cannot, and what loads and answers may cost."""
    from gembench.cli.fetching import look_at
    from gembench.cli.search_known import know
    from gembench.evaluate.engines import engine_named
    from gembench.live.enrol import coordinates

    questions = suite.load()
    preflights = look_at(sources) if engine_named(engine).reads_files else {}
    can_run = _able([source.model for source in sources], preflights)
    cannot_run = [
        NotMeasured(name, one.status.value, one.message) for name, one in preflights.items() if not one.can_run
    ]
    told = [one.source for one in preflights.values()] or sources
    facts = {one.model: coordinates(one) for one in told}
    know(beforehand, questions.name, can_run, [query.id for query in questions.queries], facts)
    rates = guessed_rates([one for one in preflights.values() if one.can_run])
    return can_run, len(questions.queries), cannot_run, rates


def guessed_rates(preflights: Sequence[Preflight]) -> Rates:
    """By the cost model of `recording_cost`, or the one of the simulator where nothing is known of the models."""
    from gembench.evaluate.recording_cost import recording_cost
    from gembench.load_race import ASSUMED_LOAD_SECONDS, ASSUMED_QUERY_SECONDS

    loads, query = recording_cost(preflights, 0), recording_cost(preflights, 1)
    if not loads.num_models or query.gpu_hours == loads.gpu_hours:
        return Rates(ASSUMED_LOAD_SECONDS, ASSUMED_QUERY_SECONDS, "assumed")
    seconds = 3600 / loads.num_models
    return Rates(loads.gpu_hours * seconds, (query.gpu_hours - loads.gpu_hours) * seconds, "assumed")


def _able(models: Sequence[str], preflights: Mapping[str, Preflight]) -> Sequence[str]:
    """Those models of which nothing is known that keeps them from running.

    Raises:
        NobodyLeftError: there are none.
    """
    from gembench.search import NobodyLeftError

    able = [model for model in models if model not in preflights or preflights[model].can_run]
    if not able:
        first = preflights[models[0]]
        raise NobodyLeftError(
            f"none of {len(models):,} models can run; the first, {models[0]}: {first.status}: {first.message}"
        )
    return able


def _prepare(
    sources: Sequence[ModelSource],
    suite: SuiteChoice,
    workers: WorkerChoice,
    stack: contextlib.ExitStack,
    *,
    reads_files: bool,
) -> tuple[Mapping[str, Preflight], Fetch]:
    """The pre-flights, none for an engine that reads no files, and how models come here."""
    from gembench.cli.fetching import download_cache, fetch_files, look_at
    from gembench.live.candidates import served_candidates

    if not reads_files:
        return {}, served_candidates
    preflights = look_at(sources)
    cache = stack.enter_context(download_cache(workers.disk, keeps=True))
    return preflights, fetch_files(preflights, cache, with_chat_template=suite.apply_chat_template)


def _begun(journal: Journal, settings: Mapping[str, Any]) -> RaceNote | None:
    """The race of a search that goes on: the one that it began with, whatever the Hub lists today. Else None."""
    written = journal.noted(NOTE)
    if written is None or written["settings"] != settings:
        return None
    note = RaceNote(**written)
    return note._replace(rates=Rates(*note.rates), before=Spent(*note.before))


def _set_statuses(
    journal: Journal, models: Sequence[str], preflights: Mapping[str, Preflight], *, retry_failed: bool
) -> None:
    """Write down which models cannot run, and let those run that are to be tried again."""
    from gembench.data.status import ModelStatus

    for row in journal.models():
        one = preflights.get(row.id)
        if one is not None and not one.can_run:
            journal.end(row.id, one.status, one.message)
        elif preflights and row.id in models and one is None:
            journal.end(row.id, ModelStatus.NOT_FOUND, "it is no longer among the models that the command names.")
        elif retry_failed and row.status.is_failure:
            journal.end(row.id, ModelStatus.PENDING)
