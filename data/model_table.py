"""A CSV file with a row a model: a column `model`, and others.

`.gz`, `.bz2` and `.xz` are unpacked; URLs of any protocol of fsspec are read.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TextIO

import fsspec

from gembench.data.stores import is_url, local_path
from gembench.errors import SourceError


class ModelRow(NamedTuple):
    """What a table says of one model.

    Attributes:
        place: the file and the line, for messages.
        model: the model's name.
        values: the texts of the other columns that are not empty, by column.
    """

    place: str
    model: str
    values: Mapping[str, str]


def read_model_table(location: str, check_columns: Callable[[Sequence[str]], None]) -> list[ModelRow]:
    """The rows of a CSV file, each of another model.

    Args:
        location: a path or URL.
        check_columns: is given the names in the header, and raises a SourceError if it does not want them.

    Raises:
        SourceError: the file cannot be read, lacks the column `model`, or has a row that makes no sense; the line names
            the file and the line in it.
    """
    path = location if is_url(location) else str(local_path(location).expanduser())
    try:
        with fsspec.open(path, "rt", encoding="utf-8-sig", errors="strict", newline="", compression="infer") as file:
            return list(_rows(file, location, check_columns))
    except (OSError, EOFError, ImportError, ValueError) as error:  # ValueError: no UTF-8, or no such protocol.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(f"{location}: cannot be read as a table: {reason}.") from error


def _rows(file: TextIO, location: str, check_columns: Callable[[Sequence[str]], None]) -> Iterator[ModelRow]:
    reader = csv.reader(file, strict=True)
    first_lines: dict[str, int] = {}
    try:
        columns = [name.strip() for name in next(reader, [])]
        check_columns(columns)
        if "model" not in columns:
            raise SourceError(f"{location}, line 1: no column 'model', which names a model of the tensor.")
        if len(set(columns)) < len(columns):
            raise SourceError(f"{location}, line 1: a column occurs twice.")
        for texts in reader:
            place = f"{location}, line {reader.line_num}"
            if not any(map(str.strip, texts)):
                continue
            if len(texts) != len(columns):
                raise SourceError(
                    f"{place}: has {len(texts)} values and the header {len(columns)}; quote values that hold commas."
                )
            values = dict(zip(columns, map(str.strip, texts), strict=True))
            model = values.pop("model")
            if not model:
                raise SourceError(f"{place}: the model has no name.")
            if model in first_lines:
                raise SourceError(f"{place}: {model!r} has a row already, in line {first_lines[model]}; keep one.")
            first_lines[model] = reader.line_num
            yield ModelRow(place, model, {name: text for name, text in values.items() if text})
    except csv.Error as error:
        raise SourceError(f"{location}, after line {reader.line_num}: {error}.") from error
