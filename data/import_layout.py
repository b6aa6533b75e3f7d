"""The queries of one log, sorted, and told from others by a digest: most logs of an import ask the very same ones."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gembench.data.sources.source import ModelLog

ORDERS_KEPT = 8
"""Orders of queries that a process remembers: logs of one tool mostly come in one order."""


@dataclass(frozen=True)
class QueryList:
    """The queries of a log, sorted by task and id, n each; `columns` by name, as `ModelLog.query_columns`."""

    ids: Sequence[str]
    tasks: Sequence[str]
    columns: Mapping[str, Sequence[str]]

    def to_json(self) -> str:
        """As one line of text."""
        return json.dumps([self.ids, self.tasks, self.columns])

    @classmethod
    def from_json(cls, text: str) -> "QueryList":
        """What `to_json` wrote."""
        return cls(*json.loads(text))


@dataclass(frozen=True, eq=False)
class Layout:
    """How the rows of a log come to lie as its sorted list of queries has them.

    Attributes:
        digest: of the list.
        order: [n] positions in the log.
        tasks: where each task begins and ends in the list.
        queries: the list itself.
    """

    digest: str
    order: NDArray[np.intp]
    tasks: Mapping[str, slice]
    queries: QueryList


class Layouts:
    """Finds the layout of each log; those of orders seen just before are remembered."""

    def __init__(self) -> None:
        self._by_order: OrderedDict[bytes, Layout] = OrderedDict()

    def find(self, log: ModelLog) -> Layout:
        """The layout of a log."""
        key = _digest_of_order(log)
        layout = self._by_order.get(key)
        if layout is None:
            layout = self._by_order[key] = _layout(log)
            if len(self._by_order) > ORDERS_KEPT:
                self._by_order.popitem(last=False)
        else:
            self._by_order.move_to_end(key)
        return layout


def _digest_of_order(log: ModelLog) -> bytes:
    """Of all texts of the queries, in the log's order. Their lengths tell where one ends and the next begins."""
    digest = hashlib.sha256(repr((len(log.queries), list(log.query_columns))).encode())
    for texts in (log.queries, log.tasks, *log.query_columns.values()):
        digest.update(np.fromiter(map(len, texts), np.int64, len(texts)).tobytes())
        digest.update("".join(texts).encode("utf-8", "surrogatepass"))
    return digest.digest()


def _layout(log: ModelLog) -> Layout:
    order = sorted(range(len(log.queries)), key=lambda row: (log.tasks[row], log.queries[row]))
    queries = QueryList(
        [log.queries[row] for row in order],
        [log.tasks[row] for row in order],
        {name: [texts[row] for row in order] for name, texts in sorted(log.query_columns.items())},
    )
    digest = hashlib.sha256(queries.to_json().encode()).hexdigest()
    return Layout(digest, np.asarray(order, np.intp), _slices(queries.tasks), queries)


def _slices(tasks: Sequence[str]) -> dict[str, slice]:
    names: NDArray[Any] = np.asarray(tasks, dtype=object)
    starts = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist()] if len(names) else []
    stops = [*starts[1:], len(names)]
    return {str(names[start]): slice(start, stop) for start, stop in zip(starts, stops, strict=False)}
