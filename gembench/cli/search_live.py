"""A search over live models: who is in the race, what answers, and what it has cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gembench.cli.search_setup import NotMeasured, Rates, SearchSetup, Spent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gembench.background import LoadedBackground
    from gembench.cli.fetching import Fetch
    from gembench.data.journal import Journal
    from gembench.data.recording import Recording
    from gembench.live.workers import Workers
    from gembench.pulls import Pulls
    from gembench.search import Search

NOTE = "search"
"""Under which the journal keeps a `RaceNote`."""


class RaceNote(NamedTuple):
    """What the journal knows of a search, beside its cells.

    Attributes:
        settings: what its decisions depend on.
        models: all that are or were in the race, by their numbers.
        racing: the numbers of those in the race, by their places in it.
        rates: what its budget is set by.
        before: what the recording had cost before it began.
        known: what it knew beforehand, as `search_known.as_note` says; None for nothing.
    """

    settings: Mapping[str, Any]
    models: Sequence[str]
    racing: Sequence[int]
    rates: Rates
    before: Spent
    known: Mapping[str, Any] | None = None


class LiveSetup(SearchSetup):
    """Models that answer on workers, and the recording that keeps what they say.

    Args:
        source: the suite's name.
        recording: where the cells are.
        race: who is in the race.
        newcomers: ids of models that wait to join it.
        workers: what answers.
        fetch: brings models here.
        known: what is known before the search, the prior of those that wait among it.
    """

    def __init__(
        self,
        source: str,
        recording: Recording,
        race: RaceNote,
        newcomers: Sequence[str],
        workers: Workers,
        fetch: Fetch,
        known: LoadedBackground | None,
    ) -> None:
        from gembench.live.searching import LiveSource, PaidAnswers

        journal = recording.journal
        rows = {row.id: row for row in journal.models()}
        self.source = source
        self.models = [*race.models, *newcomers]
        self.racing = race.racing
        self.facts = [rows[name].coordinates for name in self.models]
        self.num_queries = len(journal.queries())
        self.engine = journal.settings["engine"]
        self._answers = PaidAnswers(journal, self.models, LiveSource(journal, workers, fetch))
        self._workers = workers
        self.answer = self._answers
        self._recording = recording
        self.planned_rates = race.rates
        self.known = known
        self._race = race

    @property
    def rates(self) -> Rates:
        """The means over what was measured, once every kind of cost was."""
        costs = self._recording.journal.costs().values()
        num_cells, num_loads = sum(cost.num_cells for cost in costs), sum(cost.num_loads for cost in costs)
        if not num_cells or not num_loads:
            return self.planned_rates
        return Rates(
            sum(cost.load_seconds for cost in costs) / num_loads,
            sum(cost.cell_seconds for cost in costs) / num_cells,
            "measured",
        )

    def spent(self, search: Search) -> Spent:
        """As it was measured, in earlier processes too."""
        del search
        total = total_cost(self._recording.journal)
        before = self._race.before
        return Spent(total.model_loads - before.model_loads, total.seconds - before.seconds)

    def not_measured(self) -> Sequence[NotMeasured]:
        """The rows that ended as failures."""
        return [
            NotMeasured(row.id, row.status.value, row.message)
            for row in self._recording.journal.models()
            if row.status.is_failure
        ]

    @property
    def num_new_cells(self) -> int:
        """Those that workers brought."""
        return self._answers.num_new_cells

    def must_pay(self, wanted: Sequence[Pulls]) -> bool:
        """What is in the journal costs nothing again."""
        return bool(self._answers.unpaid(wanted))

    def publish(self) -> tuple[str, str]:
        """The recording, once the workers have come to rest."""
        self._workers.stop()
        return self._recording.location, self._recording.publish()

    def catch_up(self, search: Search) -> None:
        """From the journal: of a model that was in the middle of its answers, what came is no random choice."""
        search.take_whole_rows(self._answers.known)
        for model in range(len(self.models)):
            if model not in search.racing:
                search.answers[model] = self._answers.known(model)

    def let_join(self, ranking: Sequence[int]) -> bool:
        """In the places of the last, so that nothing else about the race changes and its answers stand.

        At most half of the race gives way at a time, so that the best stay in it.
        """
        waiting = range(len(self._race.models), len(self.models))
        if not waiting:
            return False
        in_race = [model for model in ranking if model in self.racing]
        joining = list(waiting[: max(1, len(in_race) // 2)])
        if len(in_race) < 2:
            self.racing = [*self.racing, *joining]
        else:
            place_of = dict(zip(reversed(in_race), joining, strict=False))
            self.racing = [place_of.get(model, model) for model in self.racing]
        known = self.models[: len(self._race.models) + len(joining)]
        self._race = self._race._replace(models=known, racing=self.racing)
        self._recording.journal.note(NOTE, self._race._asdict())
        return True


def total_cost(journal: Journal) -> Spent:
    """What all that is in a journal has cost."""
    costs = journal.costs().values()
    return Spent(sum(cost.num_loads for cost in costs), sum(cost.cell_seconds + cost.load_seconds for cost in costs))
