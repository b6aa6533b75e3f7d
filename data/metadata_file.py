"""What is known of models, in a CSV file: a column `model`, and any of those that a tensor keeps of a model.

`.gz`, `.bz2` and `.xz` are unpacked; URLs of any protocol of fsspec are read.
"""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, TextIO

import fsspec

from gembench.data.metadata import MODEL_COLUMNS, Metadata
from gembench.data.schema import COORDINATES
from gembench.data.stores import is_url, local_path
from gembench.errors import SourceError

_MOST = 2**63


def read_metadata(location: str) -> Metadata:
    """The rows of a CSV file, by model.

    Empty values say nothing. Numbers are whole and at least 0 (`1.5e9` is one); `created` is a date or time of ISO
    8601.

    Raises:
        SourceError: the file cannot be read, lacks the column `model`, has one that is not known, or a value that
            makes no sense; the line names the file and the line in it.
    """
    path = location if is_url(location) else str(local_path(location).expanduser())
    try:
        with fsspec.open(path, "rt", encoding="utf-8-sig", errors="strict", newline="", compression="infer") as file:
            rows = dict(_rows(file, location))
    except (OSError, EOFError, ImportError, ValueError) as error:  # ValueError: no UTF-8, or no such protocol.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(f"{location}: cannot be read as a table: {reason}.") from error
    if not rows:
        raise SourceError(f"{location}: no model has a row; give a column 'model' and columns such as 'downloads'.")
    return Metadata(PurePosixPath(location).name, rows, is_of_others_too=True)


def _rows(file: TextIO, location: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.reader(file, strict=True)
    first_lines: dict[str, int] = {}
    try:
        columns = _checked_columns([name.strip() for name in next(reader, [])], location)
        for values in reader:
            place = f"{location}, line {reader.line_num}"
            if not any(map(str.strip, values)):
                continue
            if len(values) != len(columns):
                raise SourceError(
                    f"{place}: has {len(values)} values and the header {len(columns)}; quote values that hold commas."
                )
            row = dict(zip(columns, map(str.strip, values), strict=True))
            model = row.pop("model")
            if not model:
                raise SourceError(f"{place}: the model has no name.")
            if model in first_lines:
                raise SourceError(f"{place}: {model!r} has a row already, in line {first_lines[model]}; keep one.")
            first_lines[model] = reader.line_num
            yield model, {name: _value(name, text, place) for name, text in row.items() if text}
    except csv.Error as error:
        raise SourceError(f"{location}, after line {reader.line_num}: {error}.") from error


def _checked_columns(columns: Sequence[str], location: str) -> Sequence[str]:
    known = ("model", *MODEL_COLUMNS)
    for name in columns:
        if name not in known:
            raise SourceError(f"{location}, line 1: unknown column {name[:40]!r}; there are {', '.join(known)}.")
    if "model" not in columns:
        raise SourceError(f"{location}, line 1: no column 'model', which names a model of the tensor.")
    if len(set(columns)) < len(columns):
        raise SourceError(f"{location}, line 1: a column occurs twice.")
    return columns


def _value(name: str, text: str, place: str) -> Any:
    kind = COORDINATES[name].kind
    if kind == "number":
        return _number(name, text, place)
    if kind == "date or string":
        try:
            datetime.fromisoformat(text)
        except ValueError:
            raise SourceError(f"{place}: {name} is {text[:40]!r}; write a date such as 2025-01-31.") from None
    return text


def _number(name: str, text: str, place: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < _MOST or not number.is_integer():
        raise SourceError(f"{place}: {name} is {text[:40]!r}; write a whole number, or leave it empty.")
    return int(text) if text.isascii() and text.isdigit() else int(number)
