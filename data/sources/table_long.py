"""Long tables: a row an answer. Rows may come in any order, so that the table is held, some 25 bytes a row.

Shapes: n rows of the table; texts are kept once, and as codes for the rows.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gembench.data.outcomes import Outcome
from gembench.data.schema import COORDINATES
from gembench.data.sources.scores import outcomes_of
from gembench.data.sources.source import ModelLog, Remark
from gembench.data.sources.table_columns import MODEL_TEXTS, QUERY_TEXTS, LongColumns
from gembench.data.sources.table_source import Table
from gembench.data.sources.table_values import BadValueError, read_correct, read_repeats, read_scores, read_seconds
from gembench.errors import SourceError

MAX_ROWS = 1 << 27
"""The most rows that are held: what a hostile archive can cost, about 4 GB."""
READERS: Mapping[str, Callable[[pa.Array], NDArray[Any]]] = {
    "value": read_scores,
    "correct": read_correct,
    "seconds": read_seconds,
    "repeats": read_repeats,
}
OUTCOMES = {outcome.name.lower(): int(outcome) for outcome in Outcome}


@dataclass
class _Texts:
    """A column of texts: the different ones, and [n] int32 which of them each row has."""

    code_of: dict[str, int] = field(default_factory=dict)
    codes: list[NDArray[np.int32]] = field(default_factory=list)

    def add(self, column: pa.Array) -> None:
        if not pa.types.is_dictionary(column.type):
            column = column.cast(pa.string()).dictionary_encode()
        texts = column.dictionary.cast(pa.string()).fill_null("").to_pylist()
        known = np.asarray([self.code_of.setdefault(text, len(self.code_of)) for text in texts] or [0], np.int32)
        indices = column.indices
        if indices.null_count:
            known = np.append(known, np.int32(self.code_of.setdefault("", len(self.code_of))))
            indices = indices.fill_null(len(known) - 1)
        self.codes.append(known[indices.to_numpy(zero_copy_only=False)])

    def finish(self) -> tuple[list[str], NDArray[np.int32]]:
        """The different texts, and the code of each row."""
        return list(self.code_of), np.concatenate(self.codes) if self.codes else np.empty(0, np.int32)


@dataclass(frozen=True, eq=False)
class _Rows:
    """A whole table: `texts` by role (different ones, codes [n]), and `numbers` by role, [n]."""

    texts: Mapping[str, tuple[list[str], NDArray[np.int32]]]
    numbers: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.numbers["value"])


def read_long(table: Table, columns: LongColumns) -> Iterator[ModelLog]:
    """What a long table says, a model at a time.

    Raises:
        SourceError: a cell is not what its column is for, or a query of a model has two rows.
    """
    rows = _read_rows(table, columns)
    if not len(rows):
        raise SourceError(f"{table.file}: it has a header and no row.")
    names, models = rows.texts["model"]
    queries, query_of_row, first_rows = _queries(table, rows)
    order = np.argsort(models, kind="stable")
    starts = np.searchsorted(models[order], np.arange(len(names) + 1))
    for code, name in enumerate(names):
        of_model = order[starts[code] : starts[code + 1]]
        asked = query_of_row[of_model]
        _refuse_two_rows(table, name, [queries[query] for query in asked.tolist()], of_model)
        texts = {role: _taken(rows, role, first_rows[asked]) for role in ("task", *QUERY_TEXTS) if role in rows.texts}
        yield _model_log(table, columns, rows, name, of_model, [queries[query] for query in asked.tolist()], texts)


def _read_rows(table: Table, columns: LongColumns) -> _Rows:
    by_role = columns.by_role
    texts = {role: _Texts() for role in by_role if role not in READERS}
    numbers: dict[str, list[NDArray[Any]]] = {role: [] for role in by_role if role in READERS}
    num_rows = 0
    for batch in table.batches(list(dict.fromkeys(by_role.values()))):
        if num_rows + len(batch) > MAX_ROWS:
            raise SourceError(f"{table.file}: more than {MAX_ROWS:,} rows; split it by models.")
        for role, name in by_role.items():
            try:
                if role in READERS:
                    numbers[role].append(READERS[role](batch.column(name)))
                else:
                    texts[role].add(batch.column(name))
            except BadValueError as error:
                raise SourceError(f"{table.place(num_rows + error.position)}: {name!r}: {error}.") from error
            except (pa.ArrowException, UnicodeDecodeError) as error:
                raise SourceError(
                    f"{table.file}: {name!r}, the column of {role}, holds values of type {batch.column(name).type}, "
                    f"which are no texts."
                ) from error
        for role in ("model", "query"):
            _refuse_empty(table, by_role[role], texts[role], num_rows)
        num_rows += len(batch)
    joined = {role: np.concatenate(parts) if parts else np.empty(0) for role, parts in numbers.items()}
    return _Rows({role: column.finish() for role, column in texts.items()}, joined)


def _refuse_empty(table: Table, name: str, column: _Texts, first_row: int) -> None:
    empty = column.code_of.get("")
    if empty is not None:
        row = first_row + int((column.codes[-1] == empty).argmax())
        raise SourceError(f"{table.place(row)}: {name!r} is empty; every row needs its model and its query.")


def _queries(table: Table, rows: _Rows) -> tuple[list[str], NDArray[np.intp], NDArray[np.intp]]:
    """The ids of the different queries, [n] which of them each row is about, and a row of each.

    Ids such as 0, 1, 2 are of one task only, so that the task comes before them, unless it is there already.
    """
    ids, codes = rows.texts["query"]
    if "task" not in rows.texts:
        _, first = np.unique(codes, return_index=True)
        return ids, codes.astype(np.intp), first
    tasks, task_codes = rows.texts["task"]
    pairs = task_codes.astype(np.int64) * len(ids) + codes
    different, first, inverse = np.unique(pairs, return_index=True, return_inverse=True)
    names = []
    for pair in different.tolist():
        task, query = tasks[pair // len(ids)], ids[pair % len(ids)]
        is_final = table.is_own or not task or query.startswith(f"{task}/")
        names.append(query if is_final else f"{task}/{query}")
    return names, inverse.reshape(-1), first


def _refuse_two_rows(table: Table, model: str, queries: list[str], rows: NDArray[np.intp]) -> None:
    if len(set(queries)) == len(queries):
        return
    seen: dict[str, int] = {}
    for query, row in zip(queries, rows.tolist(), strict=True):
        if query in seen:
            raise SourceError(
                f"{table.place(row)}: model {model!r} answers {query!r} a second time, as row {seen[query] + 1} does; "
                f"keep one row, or their mean, and one metric."
            )
        seen[query] = row


def _taken(rows: _Rows, role: str, positions: NDArray[np.intp]) -> list[str]:
    texts, codes = rows.texts[role]
    return [texts[code] for code in codes[positions].tolist()]


def _model_log(
    table: Table,
    columns: LongColumns,
    rows: _Rows,
    model: str,
    of_model: NDArray[np.intp],
    queries: list[str],
    texts: dict[str, list[str]],
) -> ModelLog:
    score = rows.numbers["value"][of_model]
    outcome = _outcomes(table, rows, of_model, score)
    score = np.where(np.isin(outcome, (Outcome.ANSWERED, Outcome.TRUNCATED)), score, np.nan)
    correct = None
    if "correct" in rows.numbers:
        correct = rows.numbers["correct"][of_model]
        _refuse(
            table,
            of_model,
            (outcome == Outcome.ANSWERED) & (correct < 0),
            "has a score, and is not said to be right or wrong",
        )
    remarks: list[Remark] = []
    known = _model_columns(table, rows, of_model[0], remarks)
    identity = {"model": model}
    if "revision" in known and not table.is_own:
        identity["revision"] = str(known["revision"])
    return ModelLog(
        file=table.file,
        identity=identity,
        date="",
        queries=queries,
        tasks=texts.pop("task", [""] * len(queries)),
        score=score,
        outcome=outcome,
        num_rows=len(queries),
        query_columns=texts,
        model_columns=known,
        settings={"columns": columns.by_role},
        remarks=remarks,
        seconds=rows.numbers["seconds"][of_model] if "seconds" in rows.numbers else None,
        repeats=rows.numbers["repeats"][of_model] if "repeats" in rows.numbers else None,
        correct=correct,
    )


def _outcomes(table: Table, rows: _Rows, of_model: NDArray[np.intp], score: NDArray[np.float64]) -> NDArray[np.uint8]:
    if "outcome" not in rows.texts:
        return outcomes_of(score, Outcome.NOT_ASKED)
    names, codes = rows.texts["outcome"]
    values = np.asarray([OUTCOMES.get(name, 255) for name in names], np.uint8)
    outcome = values[codes[of_model]]
    _refuse(table, of_model, outcome == 255, f"has an outcome that is none of {', '.join(OUTCOMES)}")
    _refuse(table, of_model, (outcome == Outcome.ANSWERED) & np.isnan(score), "is answered, but has no score")
    return outcome


def _refuse(table: Table, rows: NDArray[np.intp], wrong: NDArray[np.bool_], problem: str) -> None:
    if wrong.any():
        raise SourceError(f"{table.place(int(rows[wrong.argmax()]))}: the row {problem}.")


def _model_columns(table: Table, rows: _Rows, row: int, remarks: list[Remark]) -> dict[str, object]:
    """What the first row of a model says of it."""
    known: dict[str, object] = {}
    for name in MODEL_TEXTS:
        text = _taken(rows, name, np.asarray([row]))[0] if name in rows.texts else ""
        if not text:
            continue
        if COORDINATES[name].kind != "number":
            known[name] = text
            continue
        try:
            number = float(text)
        except ValueError:
            number = np.nan
        if np.isfinite(number):
            known[name] = int(number) if number.is_integer() else number
        else:
            remarks.append(Remark(table.file, None, f"{name!r} is {text[:40]!r}, which is no number: left out", 0))
    return known
