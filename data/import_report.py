"""What an import tells of itself: what was read and written, what was left out and why, and whether scores agree."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from gembench.data.import_merge import Conflict
from gembench.data.import_spool import Part, first_of_each_kind
from gembench.data.metadata import MetadataReport
from gembench.data.sources.source import Remark

TOLERANCE = 0.0005
"""Mean scores that differ by more, 0.05 points, are listed."""
REMARKS_IN_TENSOR = 20
VALUES_IN_TENSOR = 20


@dataclass(frozen=True)
class UnusableLog:
    """A log that was left out, and why."""

    file: str
    problem: str


@dataclass(frozen=True)
class Dropped:
    """A model or query that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class MeanScore:
    """The mean score of a model on a task in one log, beside what the tool itself reports; both in [0, 1].

    Attributes:
        model: its name.
        file: the log.
        task: which.
        num_rows: rows with a score.
        found: their mean.
        reported: by the tool; None where it reports none.
    """

    model: str
    file: str
    task: str
    num_rows: int
    found: float
    reported: float | None

    @property
    def difference(self) -> float:
        """How far above the reported mean it is; 0 where none is reported."""
        return 0.0 if self.reported is None else self.found - self.reported


@dataclass(frozen=True)
class ImportReport:
    """All about one import.

    Attributes:
        store: where the tensor lies.
        content_digest: of the tensor.
        format: of the logs.
        threshold: a score from which on an answer counts as right.
        num_logs: logs that were used.
        num_spooled: how many of them an interrupted import had read before.
        num_rows: rows that were read, those left out among them.
        num_models: M of the tensor.
        num_queries: Q of the tensor.
        num_tasks: of the tensor.
        num_cells: cells that were asked, by the name of their outcome.
        num_between: answered scores that are neither 0 nor 1: for these the threshold decides what is right.
        unusable_logs: logs that were left out.
        dropped_models: models that were left out.
        dropped_queries: queries that were left out.
        conflicts: logs of a model that disagree.
        remarks: the first of each kind, with the rows of all.
        means: the mean score of every model and task in every log.
        seconds: the import took.
        metadata: what other sources said of the models, a report each.
    """

    store: str
    content_digest: str
    format: str
    threshold: float
    num_logs: int
    num_spooled: int
    num_rows: int
    num_models: int
    num_queries: int
    num_tasks: int
    num_cells: dict[str, int]
    num_between: int
    unusable_logs: Sequence[UnusableLog]
    dropped_models: Sequence[Dropped]
    dropped_queries: Sequence[Dropped]
    conflicts: Sequence[Conflict]
    remarks: Sequence[Remark]
    means: Sequence[MeanScore]
    seconds: float
    metadata: Sequence[MetadataReport] = ()

    @property
    def differences(self) -> list[MeanScore]:
        """Mean scores that differ from the reported ones by more than 0.05 points, the largest difference first."""
        differing = (one for one in self.means if abs(one.difference) > TOLERANCE)
        return sorted(differing, key=lambda one: -abs(one.difference))

    def to_json(self) -> str:
        """As JSON, with the differences named apart."""
        report = {"version": version("gembench"), **asdict(self), "differences": list(map(asdict, self.differences))}
        return json.dumps(report, indent=2) + "\n"


def summary_of_import(report: ImportReport) -> dict[str, Any]:
    """What the tensor itself keeps of the report: numbers and kinds of remarks, no files of the machine."""
    return {
        "num_logs": report.num_logs,
        "num_rows": report.num_rows,
        "num_between": report.num_between,
        "num_unusable_logs": len(report.unusable_logs),
        "num_dropped_models": len(report.dropped_models),
        "num_dropped_queries": len(report.dropped_queries),
        "num_conflicts": sum(conflict.num_queries for conflict in report.conflicts),
        "num_reported": sum(one.reported is not None for one in report.means),
        "differences": [[one.model, one.task, one.found, one.reported] for one in report.differences],
        "remarks": [[one.message, one.num_rows] for one in report.remarks[:REMARKS_IN_TENSOR]],
    }


def kinds_of_remarks(parts: Iterable[Part]) -> list[Remark]:
    """The first remark of each kind over all logs, with the rows of all; those of most rows first."""
    kinds = first_of_each_kind(remark for part in parts for remark in part.remarks)
    return sorted(kinds, key=lambda remark: -remark.num_rows)


def settings_of_import(parts: Iterable[Part]) -> dict[str, Any]:
    """What all logs say of their runs: `settings` are those that are the same everywhere, `differing` the others."""
    values: dict[str, Counter[str]] = {}
    num_parts = 0
    for part in parts:
        num_parts += 1
        for name, value in part.settings.items():
            values.setdefault(name, Counter())[json.dumps(value, sort_keys=True)] += 1
    same = {name: counts for name, counts in values.items() if list(counts.values()) == [num_parts]}
    return {
        "settings": {name: json.loads(next(iter(counts))) for name, counts in same.items()},
        "differing_settings": {
            name: [[json.loads(text), count] for text, count in counts.most_common(VALUES_IN_TENSOR)]
            for name, counts in values.items()
            if name not in same
        },
    }
