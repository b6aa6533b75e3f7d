"""Parquet tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import parquet

from gembench.data.sources.streams import open_for_arrow
from gembench.data.sources.table_source import explaining

CELLS_PER_BATCH = 1 << 22
OWN_KEY = b"gembench"
"""A key of the metadata of Parquet files that `gembench export` wrote: their ids are final."""


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet file."""

    file: str
    names: Sequence[str]
    num_rows: int
    is_own: bool

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Columns of their own types; texts stay dictionaries."""
        num_rows = max(1, min(1 << 16, CELLS_PER_BATCH // len(names)))
        with explaining(self.file), open_for_arrow(self.file) as stream:
            stored = parquet.ParquetFile(stream, read_dictionary=list(names))
            for batch in stored.iter_batches(batch_size=num_rows, columns=list(names)):
                yield batch.select(list(names))

    def place(self, row: int) -> str:
        """The row, from 1."""
        return f"{self.file}, row {row + 1}"


def open_parquet(location: str) -> ParquetTable:
    """The table in a Parquet file.

    Raises:
        SourceError: it is none.
    """
    with explaining(location), open_for_arrow(location) as stream:
        stored = parquet.ParquetFile(stream)
        schema = stored.schema_arrow
        is_own = OWN_KEY in (schema.metadata or {})
        return ParquetTable(location, schema.names, stored.metadata.num_rows, is_own)
