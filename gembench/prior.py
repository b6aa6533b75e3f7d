"""A number for each model of a race that is known before it: downloads, a date, its parent's accuracy."""

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
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
    values = _of_file(what, loaded.models) if is_table(what) else _of_tensor(loaded, what)
    return _checked(values, what, loaded.models, loaded.tensor)


def read_prior(
    what: str, models: Sequence[str], facts: Sequence[Mapping[str, Any]], source: str
) -> NDArray[np.float32]:
    """The prior of models of which there is no tensor yet, as `load_prior` has it.

    Args:
        what: the name of a fact, or a CSV file.
        models: the M ids.
        facts: what is known of each, by the names of a tensor's coordinates.
        source: what the models answer, for messages.
    """
    values = _of_file(what, models) if is_table(what) else _of_facts(facts, what)
    return _checked(values, what, models, source)


def is_table(what: str) -> bool:
    """Whether a prior is a file, or else the name of something that is known of models."""
    return what.endswith(".csv")


def _checked(values: NDArray[np.float64], what: str, models: Sequence[str], source: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # What overflows is refused below.
        prior = values.astype(np.float32)
    if np.isinf(prior).any():
        model = models[int(np.isinf(prior).argmax())]
        raise UsageError(f"the prior {what} of {model} is no finite float32; leave it empty where it is unknown.")
    if np.isnan(prior).all():
        raise UsageError(f"the prior {what} says nothing of any model of {source}; leave it out.")
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
        known = [str(each) for each in dataset.variables if dataset[each].dims == ("model",) and each != "model"]
        raise UsageError(
            f"{loaded.tensor} knows no {name!r} of its models; {_offered(known)}, or name a .csv of model,value."
        )
    numbers = _as_numbers(read_values(dataset, name))
    if numbers is None:
        raise UsageError(f"{loaded.tensor}: {name!r} is neither numbers nor dates, and so no prior.")
    place = {model: number for number, model in enumerate(read_values(dataset, "model").tolist())}
    return numbers[[place[model] for model in loaded.models]]


def _of_facts(facts: Sequence[Mapping[str, Any]], name: str) -> NDArray[np.float64]:
    known = {each for of_model in facts for each, value in of_model.items() if value not in (None, "")}
    if name not in known:
        raise UsageError(f"no {name!r} of any model is known; {_offered(known)}, or name a .csv of model,value.")
    values = [of_model.get(name) for of_model in facts]
    unknown = "" if any(isinstance(value, str) for value in values) else math.nan
    numbers = _as_numbers(np.asarray([unknown if value is None else value for value in values]))
    if numbers is None:
        raise UsageError(f"{name!r} of the models is neither numbers nor dates, and so no prior.")
    return numbers


def _offered(names: Collection[str]) -> str:
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
