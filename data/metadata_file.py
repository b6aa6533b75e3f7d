"""What is known of models, in a CSV file: a column `model`, and any of those that a tensor keeps of a model.

`.gz`, `.bz2` and `.xz` are unpacked; URLs of any protocol of fsspec are read.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from gembench.data.metadata import MODEL_COLUMNS, Metadata
from gembench.data.model_table import read_model_table
from gembench.data.schema import COORDINATES
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

    def check_columns(columns: Sequence[str]) -> None:
        known = ("model", *MODEL_COLUMNS)
        for name in columns:
            if name not in known:
                raise SourceError(f"{location}, line 1: unknown column {name[:40]!r}; there are {', '.join(known)}.")

    rows = {
        row.model: {name: _value(name, text, row.place) for name, text in row.values.items()}
        for row in read_model_table(location, check_columns)
    }
    if not rows:
        raise SourceError(f"{location}: no model has a row; give a column 'model' and columns such as 'downloads'.")
    return Metadata(PurePosixPath(location).name, rows, is_of_others_too=True)


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
