"""Wide tables: a row a model, a column a query, read some rows at a time."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from gembench.data.outcomes import Outcome
from gembench.data.sources.scores import outcomes_of
from gembench.data.sources.source import ModelLog
from gembench.data.sources.table_source import Table
from gembench.data.sources.table_values import BadValueError, read_scores
from gembench.errors import SourceError


def read_wide(table: Table, model_column: str) -> Iterator[ModelLog]:
    """What a wide table says, a model at a time.

    Raises:
        SourceError: a cell holds no score, a row no model, or a name occurs twice.
    """
    queries = [name for name in table.names if name != model_column]
    if len(set(table.names)) < len(table.names):
        twice = next(name for name in table.names if table.names.count(name) > 1)
        raise SourceError(f"{table.file}: two columns are called {twice[:60]!r}; each query needs a name of its own.")
    if not all(queries):
        raise SourceError(f"{table.file}: a column has no name; each query needs one.")
    if not queries:
        raise SourceError(f"{table.file}: no column but {model_column!r}; a wide table has a column a query.")
    first_rows: dict[str, int] = {}
    row = 0
    for batch in table.batches([model_column, *queries]):
        models = _models(table, batch.column(0), row)
        scores = np.empty((len(queries), len(batch)))
        for number, query in enumerate(queries):
            try:
                scores[number] = read_scores(batch.column(number + 1))
            except BadValueError as error:
                raise SourceError(
                    f"{table.place(row + error.position)}: {query[:60]!r}: {error}. If this is a long table, a row an "
                    f"answer, say --columns query=NAME,value=NAME."
                ) from error
        for position, model in enumerate(models):
            if model in first_rows:
                raise SourceError(
                    f"{table.place(row)}: a second row of model {model!r}, after row {first_rows[model] + 1}; keep one."
                )
            first_rows[model] = row
            yield _model_log(table.file, model, queries, np.ascontiguousarray(scores[:, position]))
            row += 1
    if not first_rows:
        raise SourceError(f"{table.file}: it has a header and no row.")


def _models(table: Table, column: pa.Array, first_row: int) -> list[str]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        models = column.cast(pa.string()).fill_null("").to_pylist()
    except pa.ArrowException as error:
        raise SourceError(f"{table.file}: the models are of type {column.type}, which are no texts.") from error
    if "" in models:
        raise SourceError(f"{table.place(first_row + models.index(''))}: the row has no model.")
    return [str(model) for model in models]


def _model_log(
    file: str, model: str, queries: list[str], score: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> ModelLog:
    return ModelLog(
        file=file,
        identity={"model": model},
        date="",
        queries=queries,
        tasks=[""] * len(queries),
        score=score,
        outcome=outcomes_of(score, Outcome.NOT_ASKED),
        num_rows=len(queries),
    )
