"""All queries of an import: every list of queries becomes positions in one table."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gembench.data.import_layout import QueryList
from gembench.errors import SourceError


class QueryTable:
    """Queries by id, each with its task and further texts; sorted by task and id once all are there."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.tasks: list[str] = []
        self.columns: dict[str, list[str]] = {}
        self._positions: dict[str, int] = {}
        self._lists: dict[str, NDArray[np.int32]] = {}
        self._task_names: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, digest: str) -> bool:
        return digest in self._lists

    def add(self, digest: str, queries: QueryList, place: str) -> None:
        """Take in a list of queries; `place` is what messages call it.

        Raises:
            SourceError: a query has another task than in a list before.
        """
        for name in queries.columns:
            self.columns.setdefault(name, [""] * len(self.ids))
        positions = np.empty(len(queries.ids), np.int32)
        texts = list(queries.columns.items())
        for row, (identifier, task) in enumerate(zip(queries.ids, queries.tasks, strict=True)):
            position = self._positions.get(identifier)
            if position is None:
                position = self._positions[identifier] = len(self.ids)
                self.ids.append(identifier)
                self.tasks.append(self._task_names.setdefault(task, task))
                for column in self.columns.values():
                    column.append("")
            elif self.tasks[position] != task:
                raise SourceError(
                    f"{place}: query {identifier!r} is of the task {task!r}, but elsewhere of "
                    f"{self.tasks[position]!r}; import them into two tensors."
                )
            for name, new in texts:
                if new[row]:
                    self.columns[name][position] = new[row]
            positions[row] = position
        self._lists[digest] = positions

    def sort(self) -> None:
        """Sort by task and id: the same queries lie the same way, in whichever order their logs came."""
        order = sorted(range(len(self.ids)), key=lambda position: (self.tasks[position], self.ids[position]))
        rank = np.empty(len(order), np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        self._lists = {digest: rank[positions] for digest, positions in self._lists.items()}
        self.ids = [self.ids[position] for position in order]
        self.tasks = [self.tasks[position] for position in order]
        self.columns = {name: [column[position] for position in order] for name, column in self.columns.items()}
        self._positions = {}

    def positions(self, digest: str) -> NDArray[np.int32]:
        """[n] where the queries of a list lie in the table."""
        return self._lists[digest]

    def keep(self, is_kept: NDArray[np.bool_]) -> tuple[Sequence[str], Sequence[str], Mapping[str, Sequence[str]]]:
        """Ids, tasks and further texts of some of the queries."""
        kept = np.flatnonzero(is_kept).tolist()
        return (
            [self.ids[position] for position in kept],
            [self.tasks[position] for position in kept],
            {name: [column[position] for position in kept] for name, column in self.columns.items()},
        )
