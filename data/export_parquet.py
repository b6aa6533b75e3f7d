"""Long Parquet: a row a model and query, with all that the tensor says of the cell, the model and the query.

It holds every variable and coordinate of the schema, so also all that the content digest covers, but no attributes.
Cells that were never asked are rows too: `correct` and `score` are null there.
"""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import xarray as xr
from pyarrow import parquet

from gembench.data.cells import read_values
from gembench.data.export_cells import ModelCells, each_model
from gembench.data.outcomes import Outcome
from gembench.data.schema import CELL, COORDINATES, MODEL, QUERY, VARIABLES
from gembench.data.sources.table_parquet import OWN_KEY

BYTES_PER_ROW_GROUP = 64 << 20
CELL_TYPES = {
    "correct": pa.int8(),
    "score": pa.float32(),
    "response": pa.string(),
    "seconds": pa.float64(),
    "prompt_tokens": pa.int64(),
    "completion_tokens": pa.int64(),
    "repeats": pa.int64(),
}
TEXT = pa.dictionary(pa.int32(), pa.string())


def write(dataset: xr.Dataset, path: Path) -> set[str]:
    """Write a tensor, a model at a time; nothing of the schema is left out."""
    columns = _Columns(dataset)
    with parquet.ParquetWriter(path, columns.schema, compression="zstd") as writer:
        waiting: list[pa.RecordBatch] = []
        for batch in columns.batches():
            waiting.append(batch)
            if sum(batch.nbytes for batch in waiting) >= BYTES_PER_ROW_GROUP:
                writer.write_table(pa.Table.from_batches(waiting).unify_dictionaries())
                waiting = []
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting).unify_dictionaries())
    return set()


class _Columns:
    """A tensor as columns: those of a model are one value repeated, those of a query the same for every model."""

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset
        self._num_queries = dataset.sizes["query"]
        dims = {name: variable.dims for name, variable in {**VARIABLES, **COORDINATES}.items()}
        present = [name for name in dims if name in dataset.variables]
        self._of_model = {name: _column(dataset, name) for name in present if dims[name] == MODEL}
        self._of_query = {name: _column(dataset, name) for name in present if dims[name] == QUERY}
        self._of_cell = [name for name in present if dims[name] == CELL and name != "outcome"]
        types = [
            *((name, column.type) for name, column in (self._of_model | self._of_query).items()),
            ("outcome", TEXT),
            *((name, CELL_TYPES[name]) for name in self._of_cell),
        ]
        self.schema = pa.schema(types, {OWN_KEY: version("gembench").encode()})

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows of one model each."""
        same = pa.array(np.zeros(self._num_queries, np.int32))
        outcomes = pa.array([outcome.name.lower() for outcome in Outcome])
        for cells in each_model(self._dataset, self._of_cell):
            arrays = [_repeated(column[cells.position], same) for column in self._of_model.values()]
            arrays += self._of_query.values()
            arrays.append(pa.DictionaryArray.from_arrays(cells.values["outcome"].astype(np.int32), outcomes))
            arrays += [_cell_column(name, cells) for name in self._of_cell]
            yield pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _column(dataset: xr.Dataset, name: str) -> pa.Array:
    """A variable of models or queries: numbers, or texts; dates are texts too, and what is unknown is null or ""."""
    values = read_values(dataset, name)
    if values.dtype.kind in "iuf":
        return pa.array(values.astype(np.float64 if values.dtype.kind == "f" else np.int64), from_pandas=True)
    if values.dtype.kind == "M":
        return pa.array(["" if np.isnat(value) else str(value) for value in values], TEXT)
    return pa.array([str(value) for value in values.tolist()], TEXT)


def _repeated(value: pa.Scalar, same: pa.Array) -> pa.Array:
    """One value, as often as `same` has zeros."""
    if pa.types.is_dictionary(value.type):
        return pa.DictionaryArray.from_arrays(same, pa.array([value.as_py()]))
    return pa.array([value.as_py()], value.type).take(same)


def _cell_column(name: str, cells: ModelCells) -> pa.Array:
    values = cells.values[name]
    if name == "response":
        return pa.array([str(value) for value in values.tolist()], pa.string())
    is_missing = np.isnan(values) if values.dtype.kind == "f" else values < 0 if name == "correct" else None
    return pa.array(values.astype(CELL_TYPES[name].to_pandas_dtype()), CELL_TYPES[name], mask=is_missing)
