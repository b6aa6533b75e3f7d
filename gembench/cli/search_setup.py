"""What a search is run over: models that answer, what is known of them, and what they cost."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gembench.background import LoadedBackground
    from gembench.data.recording import Recording
    from gembench.live.searching import PaidAnswers
    from gembench.load_race import LoadedRace, RaceNames
    from gembench.pulls import Answer, Pulls
    from gembench.search import Search

    Check = Callable[[Sequence[str], int, "Rates"], None]
    """Given the models, Q and the rates that the budget is set by: raises where the search cannot be meant."""


class Rates(NamedTuple):
    """Seconds that a load and an answer take on average, and where that is known from."""

    seconds_per_load: float
    seconds_per_query: float
    source: Literal["recorded", "stated", "assumed", "given", "measured"]


class Beforehand(NamedTuple):
    """Where what is known before a search comes from: tensors of other models, and the name or table of a prior."""

    histories: Sequence[str] = ()
    prior: str | None = None

    @property
    def is_something(self) -> bool:
        """Whether anything is known."""
        return bool(self.histories) or self.prior is not None


class Spent(NamedTuple):
    """What a search has cost, beside its pulls."""

    model_loads: int
    seconds: float


class NotMeasured(NamedTuple):
    """A model that could not be measured, and why."""

    model: str
    status: str
    message: str


class SearchSetup(ABC):
    """The ground of one search.

    Attributes:
        source: the tensor or the suite, by name.
        models: M ids, by the models' numbers.
        racing: the numbers of those in the race, by their places in it.
        facts: what is known of each, by the names of the tensor's coordinates.
        num_queries: Q.
        answer: where answers come from.
        engine: what the answers depend on beside the models.
        planned_rates: what the budget is set by: the same whenever the search is begun again.
        known: what is known before the search; None for nothing.
    """

    source: str
    models: Sequence[str]
    racing: Sequence[int]
    facts: Sequence[Mapping[str, Any]]
    num_queries: int
    answer: Answer
    engine: Mapping[str, Any]
    planned_rates: Rates
    known: LoadedBackground | None

    @property
    @abstractmethod
    def rates(self) -> Rates:
        """What loads and answers cost, as far as it is known."""

    @abstractmethod
    def spent(self, search: Search) -> Spent:
        """What the search has cost so far."""

    @abstractmethod
    def not_measured(self) -> Sequence[NotMeasured]:
        """Which models failed, before the search or in it."""

    @property
    @abstractmethod
    def num_new_cells(self) -> int:
        """How many answers were paid for by this process; those from before cost nothing again."""

    @abstractmethod
    def must_pay(self, wanted: Sequence[Pulls]) -> bool:
        """Whether these answers have a cost still."""

    @abstractmethod
    def publish(self) -> tuple[str, str]:
        """Write the tensor of all answers, if there is to be one; returns its place and content digest."""

    @abstractmethod
    def catch_up(self, search: Search) -> None:
        """Give a search the answers that are there beside those that it acted upon.

        They came from models that were done with its last ask when it was interrupted, or are in the race no more.
        """

    @abstractmethod
    def let_join(self, ranking: Sequence[int]) -> bool:
        """Put models that wait to join into the race, in place of the last of a finished one; returns whether any."""


class ReplaySetup(SearchSetup):
    """Recorded answers, and a recording that they are put into if one was asked for."""

    def __init__(
        self,
        loaded: LoadedRace,
        names: RaceNames,
        rates: Rates,
        recording: Recording | None,
        known: LoadedBackground | None,
    ) -> None:
        from gembench.evaluate.replay import ReplaySource, replayed
        from gembench.live.searching import PaidAnswers

        race = loaded.race
        self._loaded = loaded
        self._recording = recording
        self.source = loaded.tensor
        self.models = loaded.models
        self.racing = range(loaded.num_models)
        self.facts = names.of_models
        self.num_queries = loaded.num_queries
        self.planned_rates = rates
        self.known = known
        self.engine = {"engine": "replay", "tensor": loaded.tensor, "tensor_digest": loaded.digest}
        self._answers: PaidAnswers | None = None
        if recording is None:
            self.answer = partial(replayed, race.correct)
            return
        journal = recording.journal
        journal.agree_on({"engine": self.engine})
        journal.add_queries(zip(names.queries, names.of_queries, strict=True))
        journal.add_models(zip(loaded.models, names.of_models, strict=True))
        source = ReplaySource(journal, loaded.models, race.correct, race.load_seconds, race.query_seconds)
        self.answer = self._answers = PaidAnswers(journal, loaded.models, source)

    @property
    def rates(self) -> Rates:
        """The means of what the tensor says, or what is given or assumed."""
        return self.planned_rates

    def spent(self, search: Search) -> Spent:
        """As the simulator counts."""
        from gembench.pulls import NOT_ASKED

        race, loads = self._loaded.race, search.model_loads
        num_asked = (search.answers != NOT_ASKED).sum(axis=1)
        seconds = (num_asked * race.query_seconds + loads * race.load_seconds).sum()
        return Spent(int(loads.sum()), float(seconds))

    def not_measured(self) -> Sequence[NotMeasured]:
        """Recorded answers do not fail."""
        return ()

    def catch_up(self, search: Search) -> None:
        """Recorded answers are there at once."""

    def let_join(self, ranking: Sequence[int]) -> bool:
        """A tensor has all its models from the start."""
        return False

    @property
    def num_new_cells(self) -> int:
        """None without a recording: a tensor's answers cost nothing."""
        return self._answers.num_new_cells if self._answers is not None else 0

    def must_pay(self, wanted: Sequence[Pulls]) -> bool:
        """A replay counts what its answers would have cost, wherever it began."""
        del wanted
        return True

    def publish(self) -> tuple[str, str]:
        """The recording, or the tensor that was replayed."""
        if self._recording is None:
            return self._loaded.tensor, self._loaded.digest
        return self._recording.location, self._recording.publish()


@contextlib.contextmanager
def replay_setup(
    tensor: str,
    min_coverage: float,
    output: str | None,
    *,
    beforehand: Beforehand,
    given: Rates | None,
    check: Check,
) -> Iterator[ReplaySetup]:
    """Replay a tensor, and keep what is asked of it in a recording, if that is wanted.

    Args:
        tensor: its name, path or URL.
        min_coverage: see `load_race`.
        output: the recording's place.
        beforehand: what is known before the search.
        given: what every load and answer is to cost, in place of what the tensor says.
        check: called before there is anything on the disk.
    """
    from gembench.background import load_background
    from gembench.cli.contests import say_history
    from gembench.data.recording import Recording
    from gembench.load_race import load_race, race_names

    loaded = load_race(tensor, min_coverage=min_coverage)
    if given is not None:
        loaded = _at_cost(loaded, given)
    race = loaded.race
    rates = given or Rates(float(race.load_seconds.mean()), float(race.query_seconds.mean()), loaded.cost_source)
    check(loaded.models, loaded.num_queries, rates)
    known = load_background(loaded, *beforehand) if beforehand.is_something else None
    if known is not None:
        say_history(tensor, known.history)
    names = race_names(loaded)
    with contextlib.ExitStack() as stack:
        recording = stack.enter_context(Recording(output)) if output is not None else None
        yield ReplaySetup(loaded, names, rates, recording, known)


def _at_cost(loaded: LoadedRace, rates: Rates) -> LoadedRace:
    loads = np.full(loaded.num_models, rates.seconds_per_load)
    queries = np.full(loaded.num_models, rates.seconds_per_query)
    return replace(loaded, race=replace(loaded.race, load_seconds=loads, query_seconds=queries))


def exhaustive_seconds(setup: SearchSetup) -> float:
    """What it would take to ask every model every query."""
    rates, num_models = setup.rates, len(setup.models)
    return float(np.float64(num_models) * (rates.seconds_per_load + setup.num_queries * rates.seconds_per_query))
