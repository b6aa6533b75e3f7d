"""A number for each model of a race that is known before it: downloads, a date, its parent's accuracy."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gembench.data.cells import read_values
from gembench.data.metadata import name_before_revision
from gembench.data.model_table import read_model_table
from gembench.errors import SourceError, UsageError
from gembench.load_race import LoadedRace, open_any

_SECONDS_PER_DAY = 86_400


def load_prior(loaded: LoadedRace, what: str) -> NDArray[np.float32]:
    """The prior of a race: [M] float32, NaN where unknown.

    Args:
        loaded: the race.
        what: the name of a variable or coordinate that the race's tensor has of each model, numbers or dates (which
            become days since 1970); or a CSV file with the columns `model` and `value`. There a name without a revision
            speaks of all of the model's, and other models' rows do nothing.

    Raises:
        UsageError: the tensor has no such numbers, or none is known of any model of the race.
        SourceError: the file cannot be read, or holds what is no number.
    """
    values = _of_file(what, loaded.models) if what.endswith(".csv") else _of_tensor(loaded, what)
    with np.errstate(over="ignore"):  # What overflows is refused below.
        prior = values.astype(np.float32)
    if np.isinf(prior).any():
        model = loaded.models[int(np.isinf(prior).argmax())]
        raise UsageError(f"the prior {what} of {model} is no finite float32; leave it empty where it is unknown.")
    if np.isnan(prior).all():
        raise UsageError(f"the prior {what} says nothing of any model of {loaded.tensor}; leave it out.")
    return prior


def _of_file(location: str, models: Sequence[str]) -> NDArray[np.float64]:
    def check_columns(columns: Sequence[str]) -> None:
        if sorted(columns) != ["model", "value"]:
            raise SourceError(f"{location}, line 1: the columns should be model and value.")

    values = {}
    for row in read_model_table(location, check_columns):
        text = row.values.get("value", "nan")
        try:
            values[row.model] = float(text)
        except ValueError:
            raise SourceError(f"{row.place}: {text[:40]!r} is no number; leave it empty where it is unknown.") from None
    return np.asarray([values.get(model, values.get(name_before_revision(model), math.nan)) for model in models])


def _of_tensor(loaded: LoadedRace, name: str) -> NDArray[np.float64]:
    dataset = open_any(loaded.tensor)
    if name not in dataset.variables or dataset[name].dims != ("model",) or name == "model":
        raise UsageError(
            f"{loaded.tensor} knows no {name!r} of its models; {_known(dataset)}, or name a .csv of model,value."
        )
    numbers = _as_numbers(read_values(dataset, name))
    if numbers is None:
        raise UsageError(f"{loaded.tensor}: {name!r} is neither numbers nor dates, and so no prior.")
    place = {model: number for number, model in enumerate(read_values(dataset, "model").tolist())}
    return numbers[[place[model] for model in loaded.models]]


def _known(dataset: xr.Dataset) -> str:
    names = [str(name) for name in dataset.variables if dataset[name].dims == ("model",) and name != "model"]
    return f"there are {', '.join(sorted(names))}" if names else "there is nothing of the kind"


def _as_numbers(values: NDArray[Any]) -> NDArray[np.float64] | None:
    """Numbers as they are, dates as days since 1970, what is empty as NaN; None for anything else."""
    if values.dtype.kind in "iufb":
        return values.astype(np.float64)
    if values.dtype.kind == "M":
        return (values - np.datetime64(0, "D")) / np.timedelta64(1, "D")
    try:
        return np.asarray([_days(str(text)) for text in values.tolist()])
    except ValueError:
        return None


def _days(date: str) -> float:
    if not date:
        return math.nan
    read = datetime.fromisoformat(date)
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() / _SECONDS_PER_DAY
