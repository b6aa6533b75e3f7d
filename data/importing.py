"""From the logs of another tool to one tensor: read in parallel, named, merged, checked, written whole or not.

What each log says is spooled beside the tensor as it is read, so that an interrupted import goes on where it stopped.
Memory holds one log a process, the table of queries, and the row of one model.
"""

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gembench.cache_folder import cache_folder
from gembench.data.coordinates import coordinate_columns
from gembench.data.digest import ATTRIBUTE
from gembench.data.import_append import LIST, ExistingTensor
from gembench.data.import_merge import in_order_of_date
from gembench.data.import_naming import group_by_model
from gembench.data.import_reading import LogRead, is_little, read_logs
from gembench.data.import_report import (
    ImportReport,
    MeanScore,
    UnusableLog,
    kinds_of_remarks,
    settings_of_import,
    summary_of_import,
)
from gembench.data.import_rows import MergedLogs, merge_logs
from gembench.data.import_settings import Deaf, ImportSettings, Listener
from gembench.data.import_spool import Part, Spool
from gembench.data.metadata import LookUp, annotate_all
from gembench.data.outcomes import Outcome
from gembench.data.schema import make_tensor
from gembench.data.sources.catalog import load_format
from gembench.data.stores import is_url, local_path
from gembench.data.tensor import check_place, write_tensor
from gembench.errors import GembenchError, SourceError, UsageError

SPOOL_SUFFIX = ".import"


def import_logs(
    format_name: str,
    places: Sequence[str],
    store: str | os.PathLike[str],
    settings: ImportSettings | None = None,
    *,
    append: bool = False,
    overwrite: bool = False,
    num_processes: int | None = None,
    listener: Listener | None = None,
    look_up: LookUp | None = None,
) -> ImportReport:
    """Make one tensor of logs, and say what became of them.

    The same logs give the same content digest, in whichever order they come. Reading processes are spawned, so that a
    script that calls this does so under `if __name__ == "__main__"`.

    Args:
        format_name: a name of `gembench.data.sources.catalog.FORMATS`.
        places: files, folders, globs or fsspec URLs of the logs.
        store: where the tensor goes: a folder, a `.zip` or a URL.
        settings: how the logs are read; None for the defaults.
        append: add to the tensor that lies there. Where it disagrees with a log, it counts as the first.
        overwrite: replace the tensor that lies there.
        num_processes: how many logs are read at once; None for one a core.
        listener: who is told how far it is.
        look_up: what says more of the models than their logs do, and stands over these.

    Raises:
        UsageError: the format, a setting or the store makes no sense.
        MissingExtraError: what the format needs is not installed.
        SourceError: no log can be used, or logs disagree.
        TensorError: the tensor cannot be written, or not be appended to.
        SpoolError: what the logs say cannot be put down beside the tensor.
    """
    started = time.monotonic()
    settings, listener, location = settings or ImportSettings(), listener or Deaf(), os.fspath(store)
    spool = Spool(_spool_folder(location))
    check_place(location, overwrite=append or overwrite)
    existing = ExistingTensor(location) if append else None
    source = load_format(format_name)
    logs = source.find_logs(places)
    listener.found(logs)
    try:
        done = read_logs(source, logs, settings.choice, spool, num_processes=num_processes, on_log=listener.read)
        unusable = _unusable(done)
        groups = group_by_model((part for one in done for part in one.parts), settings.model_name)
        listener.merging(len(groups))
        merged = merge_logs(groups, existing, spool, settings)
        variables = merged.cells.variables(merged.is_kept)
        report = _report(location, format_name, settings, done, unusable, groups, merged, variables["outcome"])
        parts = [part for group in groups.values() for part in group]
        attributes = _attributes(report, settings, parts, existing)
        tensor = _tensor(merged, variables, groups, existing, attributes)
        tensor, metadata = annotate_all(tensor, look_up(merged.models) if look_up is not None else ())
        digest = write_tensor(tensor, location, overwrite=append or overwrite)
    except GembenchError:
        if is_little(logs):
            spool.remove()
        raise
    spool.remove()
    return replace(report, content_digest=digest, metadata=metadata, seconds=time.monotonic() - started)


def _spool_folder(location: str) -> Path:
    """Beside a local tensor; for one at a URL, among what gembench may keep."""
    if is_url(location):
        return cache_folder() / "imports" / hashlib.sha256(location.encode()).hexdigest()[:16]
    path = local_path(location).absolute()
    if not path.parent.is_dir():
        raise UsageError(f"{location}: there is no folder {path.parent}; make it first.")
    return path.with_name(path.name + SPOOL_SUFFIX)


def _unusable(done: Sequence[LogRead]) -> list[UnusableLog]:
    unusable = [UnusableLog(one.log.files[0], one.problem) for one in done if one.problem is not None]
    if len(unusable) == len(done):
        start = f"none of the {len(done):,} logs can be used; the first: " if len(done) > 1 else ""
        raise SourceError(f"{start}{unusable[0].problem}")
    return unusable


def _report(
    location: str,
    format_name: str,
    settings: ImportSettings,
    done: Sequence[LogRead],
    unusable: Sequence[UnusableLog],
    groups: Mapping[str, Sequence[Part]],
    merged: MergedLogs,
    outcome: NDArray[np.uint8],
) -> ImportReport:
    """All but the digest and the time."""
    parts = [part for group in groups.values() for part in group]
    tasks = {task for task, is_kept in zip(merged.table.tasks, merged.is_kept, strict=True) if is_kept}
    return ImportReport(
        store=location,
        content_digest="",
        format=format_name,
        threshold=settings.threshold,
        num_logs=len(done) - len(unusable),
        num_spooled=sum(one.was_spooled for one in done),
        num_rows=sum(part.num_rows for part in parts),
        num_models=len(merged.models),
        num_queries=int(merged.is_kept.sum()),
        num_tasks=len(tasks),
        num_cells=_num_cells(outcome),
        num_between=sum(part.num_between for part in parts),
        unusable_logs=unusable,
        dropped_models=merged.dropped_models,
        dropped_queries=merged.dropped_queries,
        conflicts=merged.conflicts,
        remarks=kinds_of_remarks(parts),
        means=[
            MeanScore(model, part.file, *mean)
            for model, group in groups.items()
            for part in group
            for mean in part.means
        ],
        seconds=0.0,
    )


def _num_cells(outcome: NDArray[np.uint8]) -> dict[str, int]:
    """Cells of each outcome, [M, Q], counted row by row: they need not fit into memory."""
    counts = sum(np.bincount(row, minlength=len(Outcome)) for row in outcome)
    return {one.name.lower(): int(np.asarray(counts)[one]) for one in Outcome}


def _tensor(
    merged: MergedLogs,
    variables: dict[str, NDArray[Any]],
    groups: Mapping[str, Sequence[Part]],
    existing: ExistingTensor | None,
    attributes: dict[str, Any],
) -> xr.Dataset:
    queries, tasks, columns = merged.table.keep(merged.is_kept)
    tensor = make_tensor(
        variables.pop("correct"),
        merged.models,
        queries,
        tasks=tasks if any(tasks) else None,
        model_coordinates=_model_coordinates(merged.models, groups, existing),
        variables=variables,
        attributes=attributes,
    )
    texts = {name: ("query", np.asarray(column, dtype=object)) for name, column in columns.items() if any(column)}
    tensor = tensor.assign_coords(texts)
    if existing is not None:
        positions = np.where(merged.is_kept, np.cumsum(merged.is_kept) - 1, -1).astype(np.int32)
        own = positions[merged.table.positions(LIST)]
        tensor = tensor.assign(existing.variables(merged.models, own, len(queries)))
    return tensor


def _model_coordinates(
    models: Sequence[str], groups: Mapping[str, Sequence[Part]], existing: ExistingTensor | None
) -> dict[str, list[Any]]:
    """What is known of each model: by the tensor that was there, then by its logs, the last run last."""
    known = existing.model_coordinates(models) if existing is not None else [{} for _ in models]
    for model, of_model in zip(models, known, strict=True):
        for part in in_order_of_date(groups.get(model, ())):
            said = {"revision": part.identity.get("revision"), **part.model_columns}
            of_model.update({name: value for name, value in said.items() if value not in (None, "")})
    return coordinate_columns(known)


def _attributes(
    report: ImportReport, settings: ImportSettings, parts: Sequence[Part], existing: ExistingTensor | None
) -> dict[str, Any]:
    """What the tensor keeps of where it comes from: a record an import, and what the tools report of their models."""
    attributes = dict(existing.dataset.attrs) if existing is not None else {}
    attributes.pop(ATTRIBUTE, None)
    choice = settings.choice
    record = {
        "gembench": version("gembench"),
        "format": report.format,
        "metric": choice.metric,
        "filter": choice.filter_name,
        "columns": dict(choice.columns),
        "threshold": report.threshold,
        "min_coverage": settings.min_coverage,
        "on_conflict": settings.on_conflict,
        "model_name": settings.model_name,
        **settings_of_import(parts),
        "report": summary_of_import(report),
    }
    reported: dict[str, dict[str, float]] = dict(attributes.get("reported", {}))
    for mean in report.means:
        if mean.reported is not None:
            reported[mean.model] = {**reported.get(mean.model, {}), mean.task: mean.reported}
    return {**attributes, "imports": [*attributes.get("imports", []), record], "reported": reported}
