"""Tables of JSON lines: an object a row."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from gembench.data.sources.streams import parse_object, read_lines
from gembench.data.sources.table_source import BLOCK_BYTES, explaining
from gembench.data.sources.texts import clean_text
from gembench.errors import SourceError

LINES_PER_BATCH = 1 << 13


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
        for lines, objects in _read_objects(self.file, names):
            self._lines = lines
            with explaining(self.file):
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


def open_json_lines(location: str) -> JsonLinesTable:
    """The table in a file; its columns are the keys of the first thousands of lines.

    Raises:
        SourceError: it is empty, or a line is no object.
    """
    for _, objects in _read_objects(location, ()):
        names = dict.fromkeys(name for one in objects for name in one)
        return JsonLinesTable(location, [clean_text(name) for name in names])
    raise SourceError(f'{location}: it is empty; a line of it is an object such as {{"model": …, "query": …}}.')


def _read_objects(location: str, names: Sequence[str]) -> Iterator[tuple[list[int], list[dict[str, object]]]]:
    """The objects of some thousand lines at a time, and where they stand."""
    watched = [json.dumps(name).encode() for name in names]
    lines: list[int] = []
    objects: list[dict[str, object]] = []
    num_bytes = 0
    for number, line in read_lines(location):
        lines.append(number)
        objects.append(parse_object(line, f"{location}, line {number}", watched))
        num_bytes += len(line)
        if len(lines) == LINES_PER_BATCH or num_bytes >= BLOCK_BYTES:
            yield lines, objects
            lines, objects, num_bytes = [], [], 0
    if lines:
        yield lines, objects


def _as_column(values: list[object]) -> pa.Array:
    """Of the type of the values; texts where they are of several, or no number holds them."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return pa.array([None if value is None else _as_text(value) for value in values], pa.string())


def _as_text(value: object) -> str:
    return clean_text(value if isinstance(value, str) else json.dumps(value))
