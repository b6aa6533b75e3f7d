"""What a tensor says of its models and queries beside their answers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from gembench.data.cells import read_values
from gembench.data.schema import COORDINATES

_UNKNOWN = {"string": "", "date or string": "", "number": np.nan}


def coordinates_of(dataset: xr.Dataset, dimension: str, ids: Sequence[str]) -> list[dict[str, Any]]:
    """For each of some models or queries (`dimension` says which), what is known of it, as plain Python values.

    What the tensor does not say of an id, and the empty text, are left out.
    """
    names = [
        name for name, variable in COORDINATES.items() if variable.dims == (dimension,) and name in dataset.variables
    ]
    columns = {name: read_values(dataset, name) for name in names}
    place = {name: number for number, name in enumerate(read_values(dataset, dimension).tolist())}
    return [
        {name: _plain(column[place[each]]) for name, column in columns.items() if _is_known(column[place[each]])}
        for each in ids
    ]


def coordinate_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """What is known of each model, or of each query, as columns: what a row does not know is empty, or NaN."""
    names = [name for name in COORDINATES if any(row.get(name) not in (None, "") for row in rows)]
    columns = {}
    for name in names:
        unknown = _UNKNOWN[COORDINATES[name].kind]
        columns[name] = [unknown if row.get(name) is None else row[name] for row in rows]
    return columns


def _is_known(value: Any) -> bool:
    return str(value) not in ("", "nan", "NaT")


def _plain(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        return str(value)
    plain = value.item() if isinstance(value, np.generic) else value
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain
