"""The spool of an import: what each log said, so that an interrupted import reads no log twice.

A log is a folder, named by a digest of its files and of how they were read, which appears whole or not at all:
`parts.json`, and the columns of its models in `0.npz`, `1.npz`, ... The queries lie beside, each list once. Whatever
reads logs uses this module alone, so that a reading process loads neither xarray nor zarr.
"""

import contextlib
import json
import math
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gembench.data.import_check import check_model_log
from gembench.data.import_layout import Layout, Layouts, QueryList
from gembench.data.outcomes import Outcome
from gembench.data.sources.source import ModelLog, Remark
from gembench.errors import GembenchError

_PARTS = "parts.json"
_OPTIONAL = ("correct", "seconds", "repeats")


class SpoolError(GembenchError):
    """What logs said cannot be put down, or not be read back."""


class TaskMean(NamedTuple):
    """The mean score of the rows of one task in one log, beside what the tool itself reports.

    Attributes:
        task: which.
        num_rows: rows with a score.
        found: their mean, in [0, 1].
        reported: by the tool, in [0, 1]; None where it reports none.
    """

    task: str
    num_rows: int
    found: float
    reported: float | None


@dataclass(frozen=True)
class Part:
    """What one log says of one model, without the columns; see `ModelLog`.

    Attributes:
        columns: the file of the columns.
        query_list: the digest of its sorted list of queries.
        num_queries: n.
        num_between: how many answered scores are neither 0 nor 1.
        states: which columns it has beside score and outcome: "correct", "seconds", "repeats".
        means: of each task that has scores.
        remarks: the first of each kind, with the rows of all.
    """

    columns: Path
    file: str
    identity: Mapping[str, str]
    date: str
    query_list: str
    num_queries: int
    num_rows: int
    num_between: int
    states: tuple[str, ...]
    means: tuple[TaskMean, ...]
    model_columns: Mapping[str, Any]
    settings: Mapping[str, Any]
    remarks: tuple[Remark, ...]


class Columns(NamedTuple):
    """The columns of a part, [n], in the order of its list of queries."""

    score: NDArray[np.float64]
    outcome: NDArray[np.uint8]
    correct: NDArray[np.int8] | None
    seconds: NDArray[np.float64] | None
    repeats: NDArray[np.int64] | None


class Spool:
    """The spool in a folder, which is made when the first log comes. Any number of processes may write into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._layouts = Layouts()

    def parts(self, key: str) -> list[Part] | None:
        """What a log said; None if it has yet to be read. Raises SpoolError."""
        place = self.folder / key
        try:
            rows = json.loads((place / _PARTS).read_text(encoding="utf-8"))
            return [_part(place, number, row) for number, row in enumerate(rows)]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise self._damaged(place, error) from error

    def write(self, key: str, models: Iterable[ModelLog]) -> None:
        """Put down what a log says, a model at a time.

        Raises:
            SourceError: from the reader; nothing is left of the log.
            SpoolError: the spool cannot be written.
        """
        place = self.folder / key
        unfinished = self.folder / f".{key}.{uuid.uuid4().hex}.partial"
        rows = []
        try:
            with self._writing():
                unfinished.mkdir(parents=True)
            for number, model in enumerate(models):
                check_model_log(model)
                with self._writing():
                    rows.append(self._write_model(unfinished / f"{number}.npz", model))
            with self._writing():
                (unfinished / _PARTS).write_text(json.dumps(rows), encoding="utf-8")
                if not place.exists():
                    unfinished.rename(place)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def columns(self, part: Part) -> Columns:
        """The columns of a part. Raises SpoolError."""
        try:
            with np.load(part.columns, allow_pickle=False) as stored:
                return Columns(stored["score"], stored["outcome"], *(stored.get(name) for name in _OPTIONAL))
        except (OSError, ValueError, EOFError, KeyError) as error:
            raise self._damaged(part.columns, error) from error

    def queries(self, part: Part) -> QueryList:
        """The sorted list of queries of a part. Raises SpoolError."""
        place = self._place_of_list(part.query_list)
        try:
            return QueryList.from_json(place.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError) as error:
            raise self._damaged(place, error) from error

    def remove(self) -> None:
        """Nothing of it is needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write_model(self, place: Path, log: ModelLog) -> dict[str, Any]:
        layout = self._layouts.find(log)
        self._write_list(layout)
        columns = {name: np.asarray(getattr(log, name))[layout.order] for name in ("score", "outcome", *_states(log))}
        answered = columns["score"][columns["outcome"] == Outcome.ANSWERED]
        np.savez_compressed(place, allow_pickle=False, **columns)
        return {
            "file": log.file,
            "identity": dict(log.identity),
            "date": log.date,
            "query_list": layout.digest,
            "num_queries": len(log.queries),
            "num_rows": log.num_rows,
            "num_between": int(((answered > 0) & (answered < 1)).sum()),
            "states": _states(log),
            "means": _means(columns["score"], layout.tasks, log.reported),
            "model_columns": dict(log.model_columns),
            "settings": dict(log.settings),
            "remarks": [asdict(remark) for remark in first_of_each_kind(log.remarks)],
        }

    def _write_list(self, layout: Layout) -> None:
        place = self._place_of_list(layout.digest)
        if not place.exists():
            unfinished = place.with_name(f".{place.name}.{uuid.uuid4().hex}.partial")
            unfinished.write_text(layout.queries.to_json(), encoding="utf-8")
            unfinished.replace(place)

    def _place_of_list(self, digest: str) -> Path:
        return self.folder / f"queries-{digest}.json"

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SpoolError(f"{self.folder}: cannot be written: {error.strerror or error}.") from error

    def _damaged(self, place: Path, error: Exception) -> SpoolError:
        return SpoolError(f"{place}: cannot be read back ({error}); remove {self.folder} and run the command again.")


def _part(place: Path, number: int, row: dict[str, Any]) -> Part:
    row["means"] = tuple(TaskMean(*mean) for mean in row["means"])
    row["states"] = tuple(row["states"])
    row["remarks"] = tuple(Remark(**remark) for remark in row["remarks"])
    return Part(columns=place / f"{number}.npz", **row)


def _states(log: ModelLog) -> list[str]:
    """What a log says beside scores and outcomes, if it says anything by it."""
    says = {
        "correct": log.correct is not None,
        "seconds": log.seconds is not None and not np.isnan(log.seconds).all(),
        "repeats": log.repeats is not None and bool((log.repeats > 1).any()),
    }
    return [name for name, is_said in says.items() if is_said]


def _means(score: NDArray[np.float64], tasks: Mapping[str, slice], reported: Mapping[str, float]) -> list[TaskMean]:
    means = []
    for task, rows in tasks.items():
        known = score[rows][~np.isnan(score[rows])]
        if len(known):
            value = reported.get(task)
            is_reported = value is not None and math.isfinite(value)
            means.append(TaskMean(task, len(known), float(known.mean()), value if is_reported else None))
    return means


def first_of_each_kind(remarks: Iterable[Remark]) -> list[Remark]:
    """The first remark of each kind with the rows of all, so that a log of a million strange rows is one remark."""
    kinds: dict[str, Remark] = {}
    for remark in remarks:
        first = kinds.get(remark.message, Remark(remark.file, remark.line, remark.message, 0))
        kinds[remark.message] = Remark(first.file, first.line, first.message, first.num_rows + remark.num_rows)
    return list(kinds.values())
