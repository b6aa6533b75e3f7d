"""The rows of all models on one table of queries, and which models and queries answer enough to stay.

M models, Q queries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gembench.data.import_append import LIST, ExistingTensor
from gembench.data.import_merge import Conflict, Row, in_order_of_date, merge
from gembench.data.import_queries import QueryTable
from gembench.data.import_report import Dropped
from gembench.data.import_settings import ImportSettings
from gembench.data.import_spool import Part, Spool
from gembench.data.import_tensor import CellsOnDisk
from gembench.data.outcomes import Outcome
from gembench.errors import SourceError


@dataclass(frozen=True, eq=False)
class MergedLogs:
    """What the logs say together.

    Attributes:
        models: M names, sorted: those that stay.
        table: all queries.
        is_kept: [all queries] those that stay.
        cells: rows of the models on all queries.
        conflicts: logs that disagree.
        dropped_models: those that answered too little.
        dropped_queries: those that too few models answered.
    """

    models: Sequence[str]
    table: QueryTable
    is_kept: NDArray[np.bool_]
    cells: CellsOnDisk
    conflicts: Sequence[Conflict]
    dropped_models: Sequence[Dropped]
    dropped_queries: Sequence[Dropped]


def merge_logs(
    groups: Mapping[str, Sequence[Part]], existing: ExistingTensor | None, spool: Spool, settings: ImportSettings
) -> MergedLogs:
    """Merge what the parts of each model say, and what is there already.

    Raises:
        SourceError: logs disagree and that is an error, or on what a query is; nothing is left of the models.
    """
    known: Mapping[str, int] = existing.models if existing is not None else {}
    in_order = {name: in_order_of_date(group) for name, group in groups.items()}
    table = _table(in_order, existing, spool)
    if not len(table):
        raise SourceError("the logs hold no row that can be used.")
    cells = CellsOnDisk(spool.folder / "cells", _variables(groups, existing), len({*groups, *known}), len(table))
    models, conflicts, dropped = [], [], []
    for name in sorted({*in_order, *known}):
        row = Row.empty(len(table))
        if existing is not None and name in known:
            existing.fill(row, name, table.positions(LIST))
        conflicts += merge(
            name,
            row,
            in_order.get(name, []),
            table,
            spool,
            threshold=settings.threshold,
            on_conflict=settings.on_conflict,
        )
        is_empty = name not in known and not any(part.num_queries for part in in_order[name])
        reason = "has no row that can be used" if is_empty else _why_dropped(row, settings.min_coverage)
        if reason is None:
            models.append(name)
            cells.append(row)
        else:
            dropped.append(Dropped(name, reason))
    if settings.on_conflict == "error" and conflicts:
        first = conflicts[0]
        start = f"{len(conflicts):,} pairs of logs disagree; the first: " if len(conflicts) > 1 else ""
        raise SourceError(f"{start}{first}; {first.remedy}.")
    if not models:
        raise SourceError(f"no model is left: {dropped[0].name} {dropped[0].reason}.")
    is_kept, dropped_queries = _kept_queries(cells, table, settings.min_coverage)
    return MergedLogs(models, table, is_kept, cells, conflicts, dropped, dropped_queries)


def _table(groups: Mapping[str, Sequence[Part]], existing: ExistingTensor | None, spool: Spool) -> QueryTable:
    table = QueryTable()
    if existing is not None:
        table.add(LIST, existing.queries, str(existing))
    for group in groups.values():
        for part in group:
            if part.query_list not in table:
                table.add(part.query_list, spool.queries(part), part.file)
    table.sort()
    return table


def _variables(groups: Mapping[str, Sequence[Part]], existing: ExistingTensor | None) -> list[str]:
    """The variables that say something. Scores that are all 0 or 1 say no more than `correct`."""
    parts = [part for group in groups.values() for part in group]
    stated = {name for part in parts for name in part.states}
    if "correct" in stated or any(part.num_between for part in parts):
        stated.add("score")
    if existing is not None:
        stated |= {str(name) for name in existing.dataset.data_vars}
    return ["correct", "outcome", *(name for name in ("score", "seconds", "repeats") if name in stated)]


def _why_dropped(row: Row, min_coverage: float) -> str | None:
    return _too_few(int((row.outcome == Outcome.ANSWERED).sum()), len(row.outcome), "answered", "queries", min_coverage)


def _too_few(num_answered: int, out_of: int, what: str, of_what: str, min_coverage: float) -> str | None:
    if num_answered >= min_coverage * out_of:
        return None
    return f"{what} {num_answered:,} of {out_of:,} {of_what} ({num_answered / out_of:.1%}), under {min_coverage:.1%}"


def _kept_queries(
    cells: CellsOnDisk, table: QueryTable, min_coverage: float
) -> tuple[NDArray[np.bool_], list[Dropped]]:
    reasons = [
        _too_few(num_answered, cells.num_models, "answered by", "models", min_coverage)
        for num_answered in cells.num_answered_of_query.tolist()
    ]
    is_kept = np.asarray([reason is None for reason in reasons])
    dropped = [Dropped(table.ids[query], reason) for query, reason in enumerate(reasons) if reason is not None]
    if not is_kept.any():
        raise SourceError(f"no query is left: {dropped[0].name!r} was {dropped[0].reason}.")
    return is_kept, dropped
