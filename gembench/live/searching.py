"""Answers for a search: what is in the journal is given out again, the rest is asked and paid for."""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gembench.data.journal import Journal, ModelRow
from gembench.data.status import ModelStatus
from gembench.errors import GembenchError
from gembench.live.row import Candidate
from gembench.live.workers import Workers
from gembench.pulls import NOT_ASKED, Pulls, Reply, is_never_graded


class AnswersTakenBackError(GembenchError):
    """Answers that a search has already acted upon turned out to be untrustworthy: begin it anew over the rest."""


class Source(Protocol):
    """Where new answers come from."""

    def ask(self, queries: Mapping[str, Sequence[int]]) -> None:
        """Have models answer queries, none of which they have answered; what comes of it goes into the journal.

        A model that fails is ended there with a status that is a failure.
        """
        ...


class PaidAnswers:
    """Callable as `pulls.Answer`.

    Args:
        journal: holds the cells; it knows the models and the queries.
        models: M ids, by the models' numbers.
        source: where new answers come from.
    """

    def __init__(self, journal: Journal, models: Sequence[str], source: Source) -> None:
        self.num_new_cells = 0
        self._journal = journal
        self._models = models
        self._source = source
        self._num_queries = len(journal.queries())
        self._rows = {row.id: row for row in journal.models()}
        self._known: dict[str, NDArray[np.int8]] = {}

    def __call__(self, wanted: Sequence[Pulls]) -> Mapping[int, Reply]:
        """Reply for every model."""
        unpaid = self.unpaid(wanted)
        if unpaid:
            try:
                self._source.ask(unpaid)
            finally:
                # Whatever ended it may have taken back what any model has answered.
                self._known.clear()
                self._rows = {row.id: row for row in self._journal.models()}
            self.num_new_cells += sum(int((self._read(name)[new] != NOT_ASKED).sum()) for name, new in unpaid.items())
        for model, _ in wanted:
            self._end_if_never_graded(self._models[model])
        return {pulls.model: self._reply(pulls) for pulls in wanted}

    def unpaid(self, wanted: Sequence[Pulls]) -> dict[str, list[int]]:
        """By model, the queries that must still be asked."""
        unpaid = {}
        for model, queries in wanted:
            name = self._models[model]
            known = self._read(name)
            new = [query for query in queries.tolist() if known[query] == NOT_ASKED]
            if new and not self._rows[name].status.is_failure:
                unpaid[name] = new
        return unpaid

    def known(self, model: int) -> NDArray[np.int8]:
        """[Q] what a model, by its number, has answered by now."""
        self._known.pop(self._models[model], None)
        return self._read(self._models[model])

    def _reply(self, pulls: Pulls) -> Reply:
        name = self._models[pulls.model]
        correct = self._read(name)[pulls.queries]
        # What a model answered before it failed stands, so that a search begun again loses it where this one did.
        return Reply(correct, self._rows[name].status.is_failure and bool((correct == NOT_ASKED).any()))

    def _read(self, name: str) -> NDArray[np.int8]:
        """[Q] what the model has answered."""
        if name not in self._known:
            known = np.full(self._num_queries, NOT_ASKED, np.int8)
            for query, correct in self._journal.correct(self._rows[name].position):
                known[query] = correct
            self._known[name] = known
        return self._known[name]

    def _end_if_never_graded(self, name: str) -> None:
        known = self._read(name)
        if not self._rows[name].status.is_failure and is_never_graded(known):
            num_asked = int((known != NOT_ASKED).sum())
            message = f"none of its {num_asked} answers could be graded; look at its responses in the tensor."
            self._journal.end(name, ModelStatus.UNGRADED, message)
            self._rows = {row.id: row for row in self._journal.models()}


class LiveSource:
    """A `Source`: models that answer on workers.

    Args:
        journal: where the workers put the cells.
        workers: what answers.
        fetch: brings models to this machine.
    """

    def __init__(
        self,
        journal: Journal,
        workers: Workers,
        fetch: Callable[[Sequence[ModelRow]], Generator[Candidate, None, None]],
    ) -> None:
        self._journal = journal
        self._workers = workers
        self._fetch = fetch

    def ask(self, queries: Mapping[str, Sequence[int]]) -> None:
        """Ask model by model; those that are loaded answer first.

        Raises:
            AnswersTakenBackError: a check of swapped weights failed, and rows are to be asked again.
        """
        for model in queries:
            self._journal.end(model, ModelStatus.PENDING)
        while pending := [
            row for row in self._journal.models() if row.id in queries and row.status == ModelStatus.PENDING
        ]:
            num_before = self._workers.num_taken_back
            self._workers.record_all(self._in_turn(pending), queries)
            if self._workers.num_taken_back > num_before:
                raise AnswersTakenBackError("a check of swapped weights failed, and answers were taken back.")

    def _in_turn(self, rows: Sequence[ModelRow]) -> Generator[Candidate, None, None]:
        held = frozenset(self._workers.held)
        for group in ([row for row in rows if row.id in held], [row for row in rows if row.id not in held]):
            if group:
                yield from self._fetch(group)
