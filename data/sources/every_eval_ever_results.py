"""What an aggregate record of Every Eval Ever says: of which model, by which library, and which results it reports."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gembench.data.schema import COORDINATES, MODEL
from gembench.data.sources.texts import clean_text, text_of
from gembench.errors import SourceError

OWN_LIBRARY = "gembench"
"""The library of what `gembench export` wrote."""
OWN_GRADED = "mean_score"
"""Its metric where scores and what is right are two things."""


@dataclass(frozen=True)
class Result:
    """One of the results of a run.

    Attributes:
        result_id: what sample records call it; "" where it has no id.
        task: the evaluation's name.
        metrics: what the metric is called.
        is_lower_better: whether a low score is good.
        lowest: the least possible score; None where it is not said.
        highest: the greatest possible score; None where it is not said.
        score: as reported; None where it is no number.
    """

    result_id: str
    task: str
    metrics: tuple[str, ...]
    is_lower_better: bool
    lowest: float | None
    highest: float | None
    score: float | None

    @property
    def share(self) -> float | None:
        """The reported score in [0, 1], by the metric's bounds."""
        if self.score is None:
            return None
        share = self.score
        if self.lowest is not None and self.highest is not None and self.lowest < self.highest:
            share = (self.score - self.lowest) / (self.highest - self.lowest)
        return share if 0 <= share <= 1 else None


@dataclass(frozen=True)
class Aggregate:
    """An aggregate record, as far as a tensor needs it; empty where a samples file has none.

    Attributes:
        model: the model's id.
        name: what the library calls it.
        details: what else is said of it.
        library: the library that ran the evaluation: its name, version and details.
        date: when it was run, as ISO 8601; "" where unknown.
        results: in the order of the file.
        schema_version: of the record.
    """

    model: str = ""
    name: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    library: Mapping[str, Any] = field(default_factory=dict)
    date: str = ""
    results: tuple[Result, ...] = ()
    schema_version: str = ""

    @property
    def is_own(self) -> bool:
        """Whether `gembench export` wrote it: ids are those of the tensor then, and so is what is right."""
        return self.library.get("name") == OWN_LIBRARY

    @property
    def has_tasks(self) -> bool:
        """Whether evaluations are tasks, and not just a name for queries without one."""
        details = self.library.get("additional_details")
        return not (self.is_own and isinstance(details, Mapping) and details.get("tasks") == "none")

    def model_columns(self) -> dict[str, object]:
        """What it says of the model, by the names of the schema."""
        columns: dict[str, object] = {}
        for name, variable in COORDINATES.items():
            text = self.details.get(name, "")
            if variable.dims != MODEL or not text:
                continue
            if variable.kind != "number":
                columns[name] = text
            elif (number := _number(text)) is not None:
                columns[name] = int(number) if number.is_integer() else number
        return columns


def read_aggregate(document: object, file: str) -> Aggregate:
    """The record that a JSON document is.

    Raises:
        SourceError: it is none.
    """
    info = document.get("model_info") if isinstance(document, Mapping) else None
    if not isinstance(document, Mapping) or not isinstance(info, Mapping):
        raise SourceError(f"{file}: no object 'model_info'; is this an aggregate record of Every Eval Ever?")
    results = document.get("evaluation_results")
    if not isinstance(results, list):
        raise SourceError(f"{file}: no list 'evaluation_results'; is this an aggregate record of Every Eval Ever?")
    library = document.get("eval_library")
    return Aggregate(
        model=text_of(info.get("id")),
        name=text_of(info.get("name")),
        details=_texts(info.get("additional_details")),
        library=library if isinstance(library, Mapping) else {},
        date=_date(document.get("evaluation_timestamp")) or _date(document.get("retrieved_timestamp")),
        results=tuple(_result(result) for result in results if isinstance(result, Mapping)),
        schema_version=text_of(document.get("schema_version")),
    )


def _result(result: Mapping[str, Any]) -> Result:
    metric = result.get("metric_config")
    metric = metric if isinstance(metric, Mapping) else {}
    details = result.get("score_details")
    result_id = text_of(result.get("evaluation_result_id"))
    names = (result_id, *(text_of(metric.get(name)) for name in ("metric_name", "metric_id")))
    return Result(
        result_id=result_id,
        task=text_of(result.get("evaluation_name")),
        metrics=tuple(dict.fromkeys(name for name in names if name)),
        is_lower_better=metric.get("lower_is_better") is True,
        lowest=_number(metric.get("min_score")),
        highest=_number(metric.get("max_score")),
        score=_number(details.get("score")) if isinstance(details, Mapping) else None,
    )


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {clean_text(name): clean_text(text) for name, text in value.items() if isinstance(text, str)}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _date(value: object) -> str:
    """A time as ISO 8601, from that or from seconds since 1970; "" where it is neither."""
    seconds = _number(value)
    try:
        if seconds is not None:
            return datetime.fromtimestamp(seconds, UTC).isoformat()
        return datetime.fromisoformat(value).isoformat() if isinstance(value, str) else ""
    except (ValueError, OverflowError, OSError):
        return ""
