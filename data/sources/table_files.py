"""Tables as columns, some rows at a time: CSV and TSV, JSON lines, and Parquet.

All texts of a CSV stay texts until somebody knows what they are for: an id such as `007` or `1e3` is no number.
"""

import contextlib
import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

import orjson
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from gembench.data.sources.files import clean_text
from gembench.data.sources.streams import open_unpacked, read_lines, without_codec
from gembench.errors import SourceError

BLOCK_BYTES = 32 << 20
"""How much of a CSV is parsed at a time; no row can be longer."""
CELLS_PER_BATCH = 1 << 22
LINES_PER_BATCH = 1 << 13
OWN_KEY = b"gembench"
"""A key of the metadata of Parquet files that `gembench export` wrote."""


class Table(Protocol):
    """A table in a file."""

    @property
    def file(self) -> str:
        """Its path or URL."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Of its columns."""
        ...

    @property
    def is_own(self) -> bool:
        """Whether gembench wrote it."""
        ...

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """These columns (each once) in this order, some rows at a time."""
        ...

    def place(self, row: int) -> str:
        """How messages name a row, counted from 0."""
        ...


def open_table(location: str) -> Table:
    """The table in a file, by the file's name.

    Raises:
        SourceError: its name says of no such table, or its columns cannot be read.
    """
    name = without_codec(location).lower()
    if name.endswith((".csv", ".tsv")):
        return _open_csv(location, "\t" if name.endswith(".tsv") else ",")
    if name.endswith((".jsonl", ".ndjson")):
        return _open_json_lines(location)
    if name.endswith((".parquet", ".pq")):
        return _open_parquet(location)
    raise SourceError(
        f"{location}: a table of unknown kind; name it .csv, .tsv, .jsonl, .parquet, .npz or .npy, as it is one."
    )


@contextmanager
def _explaining(location: str) -> Iterator[None]:
    """Turns what Arrow says of a file into one line about it."""
    try:
        yield
    except SourceError:
        raise
    # Arrow raises ValueError, KeyError, OSError, MemoryError and its own; on foreign bytes any of them.
    except Exception as error:
        reason = " ".join(clean_text(str(error)).split())[:300] or type(error).__name__
        raise SourceError(f"{location}: cannot be read: {reason}; write the file again.") from error


@dataclass(frozen=True)
class CsvTable:
    """A CSV or TSV, packed or not, with a header."""

    file: str
    names: Sequence[str]
    delimiter: str
    is_own: bool = False

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Columns of strings."""
        with _explaining(self.file), open_unpacked(self.file) as stream:
            try:
                reader = arrow_csv.open_csv(
                    stream,
                    arrow_csv.ReadOptions(block_size=BLOCK_BYTES),
                    # Quoted texts may have line breaks in them.
                    arrow_csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
                    arrow_csv.ConvertOptions(
                        column_types=dict.fromkeys(names, pa.string()),
                        include_columns=list(names),
                        strings_can_be_null=False,
                    ),
                )
                yield from reader
            except pa.ArrowInvalid as error:
                raise self._damage(error) from error

    def _damage(self, error: Exception) -> SourceError:
        """What is wrong, with the line where that can be found."""
        for line, content in read_lines(self.file):
            try:
                content.decode()
            except UnicodeDecodeError:
                return SourceError(f"{self.file}, line {line}: it is not UTF-8; save the file as UTF-8.")
        with contextlib.suppress(csv.Error):  # Arrow's own words say as much.
            for line, row in self._rows():
                if row and len(row) != len(self.names):
                    return SourceError(
                        f"{self.file}, line {line}: {len(row)} fields, where the header has {len(self.names)}; "
                        f"the file is cut short there, or a text in it lacks its quotes."
                    )
        reason = " ".join(clean_text(str(error)).split())[:300]
        return SourceError(f"{self.file}: cannot be read: {reason}; write the file again.")

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Each row after the header with the line on which it ends."""
        with open_unpacked(self.file) as stream:
            rows = csv.reader(_as_text_lines(stream), delimiter=self.delimiter)
            next(rows)
            for row in rows:
                yield rows.line_num, row

    def place(self, row: int) -> str:
        """The line; the file is read again to find it, as texts may have line breaks in them."""
        with contextlib.suppress(csv.Error):
            for number, line in enumerate(line for line, fields in self._rows() if fields):
                if number == row:
                    return f"{self.file}, line {line}"
        return f"{self.file}, row {row + 1}"


def _as_text_lines(stream: BinaryIO) -> io.TextIOWrapper:
    """For Python's reader, which finds lines; that all is UTF-8, Arrow checks."""
    return io.TextIOWrapper(stream, "utf-8-sig", "replace", newline="")


def _open_csv(location: str, delimiter: str) -> CsvTable:
    with _explaining(location), open_unpacked(location) as stream:
        rows = csv.reader(_as_text_lines(stream), delimiter=delimiter)
        names = next((row for row in rows if row), None)
    if names is None:
        raise SourceError(f"{location}: it is empty; the first line of a table has the names of its columns.")
    if len(names) == 1:
        raise SourceError(
            f"{location}: one column only, {names[0][:60]!r}; are columns separated by something other than "
            f"{'tabs' if delimiter == chr(9) else 'commas'}?"
        )
    return CsvTable(location, names, delimiter)


@dataclass
class JsonLinesTable:
    """A file of one JSON object a line, packed or not; what an object lacks is null."""

    file: str
    names: Sequence[str]
    is_own: bool = False
    _first_row: int = field(default=0, init=False)
    _lines: list[int] = field(default_factory=list, init=False)

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Columns of whichever type their values have; texts where they have several."""
        self._first_row = 0
        for lines, objects in _read_objects(self.file):
            self._lines = lines
            with _explaining(self.file):
                columns = [_as_column([one.get(name) for one in objects]) for name in names]
                batch = pa.RecordBatch.from_arrays(columns, names=list(names))
            yield batch
            self._first_row += len(lines)

    def place(self, row: int) -> str:
        """The line."""
        within = row - self._first_row
        if 0 <= within < len(self._lines):
            return f"{self.file}, line {self._lines[within]}"
        for number, (line, _) in enumerate(read_lines(self.file)):
            if number == row:
                return f"{self.file}, line {line}"
        return f"{self.file}, row {row + 1}"


def _open_json_lines(location: str) -> JsonLinesTable:
    for _, objects in _read_objects(location):
        names = dict.fromkeys(name for one in objects for name in one)
        return JsonLinesTable(location, list(names))
    raise SourceError(f'{location}: it is empty; a line of it is an object such as {{"model": …, "query": …}}.')


def _read_objects(location: str) -> Iterator[tuple[list[int], list[dict[str, object]]]]:
    lines: list[int] = []
    objects: list[dict[str, object]] = []
    num_bytes = 0
    for number, line in read_lines(location):
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise SourceError(
                f"{location}, line {number}: {error.msg}; the file is cut short there, or not JSON."
            ) from error
        if not isinstance(value, dict):
            raise SourceError(f'{location}, line {number}: no object; a line is like {{"model": …, "query": …}}.')
        lines.append(number)
        objects.append(value)
        num_bytes += len(line)
        if len(lines) == LINES_PER_BATCH or num_bytes >= BLOCK_BYTES:
            yield lines, objects
            lines, objects, num_bytes = [], [], 0
    if lines:
        yield lines, objects


def _as_column(values: list[object]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        texts = [None if value is None else value if isinstance(value, str) else _as_text(value) for value in values]
        return pa.array(texts, pa.string())


def _as_text(value: object) -> str:
    return orjson.dumps(value).decode()


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
        with _explaining(self.file), open_unpacked(self.file) as stream:
            stored = parquet.ParquetFile(stream, read_dictionary=list(names))
            for batch in stored.iter_batches(batch_size=num_rows, columns=list(names)):
                yield batch.select(list(names))

    def place(self, row: int) -> str:
        """The row, from 1."""
        return f"{self.file}, row {row + 1}"


def _open_parquet(location: str) -> ParquetTable:
    with _explaining(location), open_unpacked(location) as stream:
        stored = parquet.ParquetFile(stream)
        schema = stored.schema_arrow
        is_own = OWN_KEY in (schema.metadata or {})
        return ParquetTable(location, schema.names, stored.metadata.num_rows, is_own)
