"""What `gembench import` prints at its end: what was written, what was left out and why, and whether scores agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.text import Text

from gembench.cli.metadata_report import metadata_lines
from gembench.cli.plain_table import plain_table

if TYPE_CHECKING:
    from gembench.data.import_report import ImportReport

MOST_LINES = 10
"""So many of each kind are printed; `--json` has them all."""


def print_report(report: ImportReport) -> None:
    """The report, for people: first what was left out, at last what there is now."""
    console = Console(highlight=False, markup=False)
    for part in _parts(report):
        console.print(part)
    lines = Console(highlight=False, markup=False, soft_wrap=True)
    for line in _summary(report):
        lines.print(line)


def _parts(report: ImportReport) -> Iterator[RenderableType]:
    yield from _table("Logs left out", ("why",), [(one.problem,) for one in report.unusable_logs])
    for what, dropped in (("model", report.dropped_models), ("query", report.dropped_queries)):
        title = {"model": "Models left out", "query": "Queries left out"}[what]
        yield from _table(title, (what, "why"), [(one.name, one.reason) for one in dropped])
    yield from _table(
        "Logs that disagree",
        ("model", "queries", "kept", "first", "last"),
        [(one.model, f"{one.num_queries:,}", one.kept, one.earlier, one.later) for one in report.conflicts],
    )
    yield from _table(
        "Remarks",
        ("rows", "what", "first in"),
        [
            (f"{one.num_rows:,}", one.message, one.file if one.line is None else f"{one.file}:{one.line}")
            for one in report.remarks
        ],
    )
    yield from _table(
        "Means that differ from the reported",
        ("model", "task", "found", "reported", "points"),
        [
            (one.model, one.task, f"{one.found:.4%}", f"{one.reported:.4%}", f"{one.difference * 100:+.2f}")
            for one in report.differences
        ],
    )


def _table(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[RenderableType]:
    """A table, if there is anything in it, and an empty line."""
    if not rows:
        return
    num_more = len(rows) - MOST_LINES
    caption = f"and {num_more:,} more; --json has them all" if num_more > 0 else None
    table = plain_table(title=f"{title}: {len(rows):,}", caption=caption)
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows[:MOST_LINES]:
        table.add_row(*map(Text, row))
    yield table
    yield ""


def _summary(report: ImportReport) -> Iterator[str]:
    tasks = f"{report.num_tasks:,} {'task' if report.num_tasks == 1 else 'tasks'}"
    yield (
        f"{report.store}: {report.num_models:,} models, {report.num_queries:,} queries of {tasks}, "
        f"{report.content_digest}"
    )
    before = f" ({report.num_spooled:,} of them before this command)" if report.num_spooled else ""
    yield f"{report.num_rows:,} rows read of {report.num_logs:,} logs{before} in {report.seconds:,.1f} s"
    counts = (f"{count:,} {name.replace('_', ' ')}" for name, count in report.num_cells.items() if count)
    yield f"cells: {', '.join(counts)}"
    if report.num_between:
        yield (
            f"Scores that are neither 0 nor 1: {report.num_between:,}. Where the log does not say itself what is "
            f"right, that is {report.threshold:g} or more (--threshold)."
        )
    yield _agreement(report)
    for metadata in report.metadata:
        yield from metadata_lines(metadata)
    yield f"Next: gembench info {report.store}; gembench simulate {report.store}"


def _agreement(report: ImportReport) -> str:
    differences = [abs(one.difference) for one in report.means if one.reported is not None]
    if not differences:
        return "The logs report no means of their own to compare with."
    num_met = len(differences) - len(report.differences)
    return (
        f"Reported means that are met within 0.05 points: {num_met:,} of {len(differences):,}; the largest difference "
        f"is {max(differences) * 100:.2g} points."
    )
