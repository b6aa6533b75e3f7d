"""What an import tells of itself: what was read and written, what was left out and why, and whether scores agree."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gembench.data.import_merge import Conflict
from gembench.data.import_spool import Part
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
class Check:
    """The mean score of a model on a task, beside what the tool itself reports; both in [0, 1]."""

    model: str
    file: str
    task: str
    num_rows: int
    found: float
    reported: float

    @property
    def differs(self) -> bool:
        """By more than 0.05 points."""
        return not abs(self.found - self.reported) <= TOLERANCE


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
        checks: every mean score that could be compared.
        seconds: the import took.
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
    checks: Sequence[Check]
    seconds: float

    @property
    def differences(self) -> list[Check]:
        """Mean scores that differ from the reported ones by more than 0.05 points, the largest first."""
        return sorted((one for one in self.checks if one.differs), key=lambda one: -abs(one.found - one.reported))

    def to_json(self) -> str:
        """As JSON, with the differences named apart."""
        return json.dumps({**asdict(self), "differences": [asdict(one) for one in self.differences]}, indent=2) + "\n"


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
        "num_checks": len(report.checks),
        "differences": [[one.model, one.task, one.found, one.reported] for one in report.differences],
        "remarks": [[one.message, one.num_rows] for one in report.remarks[:REMARKS_IN_TENSOR]],
    }


def kinds_of_remarks(parts: Iterable[Part]) -> list[Remark]:
    """The first remark of each kind over all logs, with the rows of all; those of most rows first."""
    kinds: dict[str, Remark] = {}
    for part in parts:
        for remark in part.remarks:
            first = kinds.get(remark.message, Remark(remark.file, remark.line, remark.message, 0))
            kinds[remark.message] = Remark(first.file, first.line, first.message, first.num_rows + remark.num_rows)
    return sorted(kinds.values(), key=lambda remark: -remark.num_rows)


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
