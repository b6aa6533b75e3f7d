"""What others say of a tensor's models: downloads, licences, parents; looked up elsewhere and put into the tensor.

A row names a model of the tensor, or what comes before the `@` of one or several: `org/name` speaks of
`org/name@main` and of `org/name@v2`. The exact name goes before.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import xarray as xr

from gembench.data.cells import read_values
from gembench.data.coordinates import coordinate_columns, coordinates_of
from gembench.data.schema import COORDINATES, MODEL

MODEL_COLUMNS = tuple(name for name, variable in COORDINATES.items() if variable.dims == MODEL)
"""What a row may say of a model."""
ATTRIBUTE = "metadata"


@dataclass(frozen=True)
class Metadata:
    """What one source says of models.

    Attributes:
        source: what it is, without folders of this machine.
        rows: by name, what is known: values by the names of `MODEL_COLUMNS`. None and "" say nothing.
        problems: by name, why it says nothing of a model.
        remark: one sentence where the source could not be used to the full, else "".
        is_of_others_too: whether it has rows of models that nobody asked about, as a file may.
    """

    source: str
    rows: Mapping[str, Mapping[str, Any]]
    problems: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""
    is_of_others_too: bool = False


LookUp = Callable[[Sequence[str]], Iterable[Metadata]]
"""Given the names of models, what is said of them; later sources stand over earlier ones."""


@dataclass(frozen=True)
class Missing:
    """A model of the tensor of which a source says nothing, and why."""

    model: str
    reason: str


@dataclass(frozen=True)
class MetadataReport:
    """What became of one source's rows.

    Attributes:
        source: what it is.
        remark: as the source gives it.
        num_models: M of the tensor.
        num_known: how many of them the source says anything of.
        filled: by column, of how many of them.
        missing: the others.
        unknown: names in the source that no model of the tensor has.
    """

    source: str
    remark: str
    num_models: int
    num_known: int
    filled: Mapping[str, int]
    missing: Sequence[Missing]
    unknown: Sequence[str]


def name_before_revision(model: str) -> str:
    """`org/name` of `org/name@revision`, and of itself."""
    return model.partition("@")[0]


def with_metadata(dataset: xr.Dataset, rows: Mapping[str, Mapping[str, Any]]) -> xr.Dataset:
    """The tensor with what rows say of its models, which stands over what it knew. Cells are neither read nor changed.

    Args:
        dataset: a tensor of M models.
        rows: by name of a model, values by the names of `MODEL_COLUMNS`. Rows of other models do nothing.
    """
    models = [str(model) for model in read_values(dataset, "model")]
    said = [_known(row) for row in _rows_of(models, rows)]
    names = {name for row in said for name in row}
    before = coordinates_of(dataset, "model", models)
    after = [{**old, **new} for old, new in zip(before, said, strict=True)]
    columns = coordinate_columns(after)
    return dataset.assign_coords({name: (MODEL, _as_array(columns[name])) for name in columns if name in names})


def annotate(dataset: xr.Dataset, metadata: Metadata) -> tuple[xr.Dataset, MetadataReport]:
    """`with_metadata`, and a report of it; the tensor notes the source and the day among its attributes."""
    models = [str(model) for model in read_values(dataset, "model")]
    said = [_known(row) for row in _rows_of(models, metadata.rows)]
    names = {name for model in models for name in (model, name_before_revision(model))}
    report = MetadataReport(
        source=metadata.source,
        remark=metadata.remark,
        num_models=len(models),
        num_known=sum(map(bool, said)),
        filled={name: count for name in MODEL_COLUMNS if (count := sum(name in row for row in said))},
        missing=[
            Missing(model, metadata.problems.get(model) or _no_row(metadata, model))
            for model, row in zip(models, said, strict=True)
            if not row
        ],
        unknown=[name for name in metadata.rows if name not in names] if metadata.is_of_others_too else [],
    )
    record = {
        "source": report.source,
        "day": datetime.now(UTC).date().isoformat(),
        "num_known": report.num_known,
        "filled": dict(report.filled),
    }
    earlier = dataset.attrs.get(ATTRIBUTE, [])
    annotated = with_metadata(dataset, metadata.rows)
    return annotated.assign_attrs({ATTRIBUTE: [*earlier, record]}) if report.num_known else annotated, report


def annotate_all(dataset: xr.Dataset, sources: Iterable[Metadata]) -> tuple[xr.Dataset, list[MetadataReport]]:
    """`annotate` by one source after the other."""
    reports = []
    for metadata in sources:
        dataset, report = annotate(dataset, metadata)
        reports.append(report)
    return dataset, reports


def _rows_of(models: Sequence[str], rows: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [rows.get(model) or rows.get(name_before_revision(model)) or {} for model in models]


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value not in (None, "")}


def _no_row(metadata: Metadata, model: str) -> str:
    is_there = model in metadata.rows or name_before_revision(model) in metadata.rows
    return "its row says nothing" if is_there else "it has no row"


def _as_array(values: Sequence[Any]) -> np.ndarray[Any, np.dtype[Any]]:
    """Numbers as numbers, and all else as objects: NumPy's fixed-width strings have no stable Zarr type."""
    array = np.asarray(values)
    return array if array.dtype.kind in "iuf" else np.asarray(values, dtype=object)
