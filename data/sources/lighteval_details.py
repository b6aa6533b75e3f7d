"""One `details_*.parquet` of lighteval: the rows of a task, in the order of its documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import fsspec
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gembench.data.sources.texts import numbered, reason, text_hash
from gembench.errors import SourceError

MAX_ROWS = 10_000_000
"""A column that repeats one value is stored in a few bytes, however many rows it has."""
NAMINGS = (("doc", "metric"), ("__doc__", "__metric__"), (None, "metrics"))
"""The columns of document and metrics: since 0.13, before, and up to 0.9, when a document's fields were columns."""


@dataclass(frozen=True, eq=False)
class Details:
    """The n rows of a task.

    Attributes:
        queries: what was asked, hashed, and which occurrence: n, distinct.
        doc_hash: the query's text, hashed.
        target_hash: its choices and which are right, hashed.
        metrics: by name, [n] float64, NaN where there is no number. Metrics that are no numbers are left out.
    """

    queries: Sequence[str]
    doc_hash: Sequence[str]
    target_hash: Sequence[str]
    metrics: dict[str, NDArray[np.float64]]


def read_details(file: str) -> Details:
    """The rows of a file, sorted by the document's id where there is one: they are written shuffled.

    Raises:
        SourceError: the file is no Parquet, has other columns, or more than `MAX_ROWS` rows.
    """
    try:
        with fsspec.open(file, "rb") as stored, pq.ParquetFile(stored) as parquet:
            return _read(parquet, file)
    except SourceError:
        raise
    except Exception as error:  # pyarrow, each codec and each file system raise their own.
        raise SourceError(f"{file}: cannot be read as Parquet: {reason(error)}; copy it again.") from error


def _read(parquet: pq.ParquetFile, file: str) -> Details:
    schema = parquet.schema_arrow
    naming = next((naming for naming in NAMINGS if all(name is None or name in schema.names for name in naming)), None)
    if naming is None:
        raise SourceError(f"{file}: has neither the columns doc and metric, nor __doc__ and __metric__, nor metrics.")
    if parquet.metadata.num_rows > MAX_ROWS:
        raise SourceError(f"{file}: has {parquet.metadata.num_rows:,} rows; more than {MAX_ROWS:,} are not read.")
    doc, metric = naming
    fields = {"id": "id", "query": "query", "choices": "choices", "gold_index": "gold_index"}
    if doc is None:
        fields["query"] = "example"
    prefix = "" if doc is None else f"{doc}."
    metric_type = schema.field(metric).type
    if not pa.types.is_struct(metric_type):
        raise SourceError(f"{file}: the column {metric} is of type {metric_type}; it should hold a number a metric.")
    numeric = [field.name for field in metric_type if _is_number(field.type)]
    columns = [*(f"{prefix}{field}" for field in fields.values()), metric]
    ids: list[Any] = []
    doc_hash: list[str] = []
    target_hash: list[str] = []
    values: dict[str, list[NDArray[np.float64]]] = {name: [] for name in numeric}
    for batch in parquet.iter_batches(batch_size=1024, columns=columns):
        documents = _documents(batch, doc, fields)
        if "query" not in documents:
            raise SourceError(f"{file}: documents have no {fields['query']!r}; queries cannot be told apart.")
        nothing = [None] * batch.num_rows
        ids += documents.get("id", nothing)
        doc_hash += [_hash_of(query) for query in documents["query"]]
        targets = zip(documents.get("choices", nothing), documents.get("gold_index", nothing), strict=True)
        target_hash += [_hash_of([choices, gold if isinstance(gold, list) else [gold]]) for choices, gold in targets]
        metrics = batch.column(batch.schema.get_field_index(metric))
        for number, field in enumerate(metric_type):
            if field.name in values:
                values[field.name].append(_numbers(metrics, number))
    return _sorted(ids, doc_hash, target_hash, {name: _joined(blocks) for name, blocks in values.items()})


def _documents(batch: pa.RecordBatch, doc: str | None, fields: dict[str, str]) -> dict[str, list[Any]]:
    """The fields of a document that a file has, as Python values."""
    if doc is None:
        return {
            name: batch.column(batch.schema.get_field_index(field)).to_pylist()
            for name, field in fields.items()
            if field in batch.schema.names
        }
    rows = batch.column(batch.schema.get_field_index(doc)).to_pylist()
    known = {name for row in rows if isinstance(row, dict) for name in row}
    return {
        name: [row.get(field) if isinstance(row, dict) else None for row in rows]
        for name, field in fields.items()
        if field in known
    }


def _hash_of(value: Any) -> str:
    return text_hash(value if isinstance(value, str) else orjson.dumps(value, default=repr).decode())


def _is_number(kind: pa.DataType) -> bool:
    # A metric that no row has is stored as null.
    tests = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean, pa.types.is_null)
    return any(test(kind) for test in tests)


def _numbers(metrics: pa.StructArray, number: int) -> NDArray[np.float64]:
    """A metric of a batch; NaN where it, or the whole row, is null."""
    flat = metrics.flatten()[number]
    return np.asarray(flat.cast(pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False), dtype=np.float64)


def _joined(blocks: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate(blocks) if blocks else np.zeros(0)


def _sorted(
    ids: Sequence[Any], doc_hash: Sequence[str], target_hash: Sequence[str], metrics: dict[str, NDArray[np.float64]]
) -> Details:
    """Queries that occur twice are numbered by their document's id, which is the same in every run."""
    order = sorted(range(len(ids)), key=lambda row: _natural(ids[row]))
    doc_hash, target_hash = [doc_hash[row] for row in order], [target_hash[row] for row in order]
    queries = numbered([text_hash(*pair)[:16] for pair in zip(doc_hash, target_hash, strict=True)])
    return Details(queries, doc_hash, target_hash, {name: values[order] for name, values in metrics.items()})


def _natural(identifier: Any) -> tuple[int, str]:
    """2 before 10, whether ids are numbers or texts; rows without an id stay as they are."""
    text = "" if identifier is None else str(identifier)
    return (int(text), "") if text.isascii() and text.isdecimal() and len(text) < 20 else (-1, text)
