"""A tensor in place of an engine: its cells are the answers."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gembench.data.journal import Cell, Journal
from gembench.data.outcomes import Outcome
from gembench.data.status import ModelStatus
from gembench.pulls import Pulls, Reply


def replayed(correct: NDArray[np.uint8], wanted: Sequence[Pulls]) -> Mapping[int, Reply]:
    """Replies from recorded answers, [M, Q] of 0 and 1; nothing fails."""
    return {model: Reply(correct[model, queries].astype(np.int8)) for model, queries in wanted}


class ReplaySource:
    """Puts recorded answers into a journal, as if an engine had given them.

    Args:
        journal: it knows the models and the queries.
        models: M ids.
        correct: [M, Q] of 0 and 1.
        load_seconds: [M] seconds of each load.
        query_seconds: [M] seconds of each answer.
    """

    def __init__(
        self,
        journal: Journal,
        models: Sequence[str],
        correct: NDArray[np.uint8],
        load_seconds: NDArray[np.float64],
        query_seconds: NDArray[np.float64],
    ) -> None:
        self._journal = journal
        self._number = {name: number for number, name in enumerate(models)}
        self._correct = correct
        self._load_seconds = load_seconds
        self._query_seconds = query_seconds
        self._loaded: str | None = None

    def ask(self, queries: Mapping[str, Sequence[int]]) -> None:
        """Commit the cells, model by model; the one that answered last, if it is among them, answers first."""
        for name in sorted(queries, key=lambda name: name != self._loaded):
            number = self._number[name]
            self._journal.commit(name, [self._cell(number, query) for query in queries[name]])
            load = None if name == self._loaded else float(self._load_seconds[number])
            self._journal.end(name, ModelStatus.OK, "", load)
            self._loaded = name

    def _cell(self, number: int, query: int) -> Cell:
        right = int(self._correct[number, query])
        seconds = float(self._query_seconds[number])
        return Cell(query, Outcome.ANSWERED, right, float(right), "", seconds, 0, 0)
