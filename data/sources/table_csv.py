"""CSV and TSV tables: all cells stay texts until somebody knows what they are for; an id such as `007` is no number."""

import contextlib
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
from pyarrow import csv as arrow_csv

from gembench.data.sources.streams import open_for_arrow, open_unpacked, read_lines
from gembench.data.sources.table_source import BLOCK_BYTES, explaining
from gembench.data.sources.texts import reason
from gembench.errors import SourceError


@dataclass(frozen=True)
class CsvTable:
    """A CSV or TSV, packed or not, with a header."""

    file: str
    names: Sequence[str]
    delimiter: str
    is_own: bool = False

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Columns of strings."""
        with explaining(self.file), open_for_arrow(self.file) as stream:
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
        return SourceError(f"{self.file}: cannot be read: {reason(error)}; write the file again.")

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


def open_csv(location: str, delimiter: str) -> CsvTable:
    """The table in a file with a header.

    Raises:
        SourceError: it cannot be read, is empty, or has one column.
    """
    with explaining(location), open_unpacked(location) as stream:
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
