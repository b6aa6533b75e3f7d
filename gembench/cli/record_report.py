"""What `gembench record` prints at its end: what lies where, and which models could not be measured."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from gembench.cli.plain_table import plain_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gembench.cli.record_progress import RecordProgress
    from gembench.data.journal import ModelRow


def report(store: str, digest: str, rows: Sequence[ModelRow], progress: RecordProgress) -> dict[str, Any]:
    """The report, for programs. `models` are those that were asked for, recorded now or before."""
    return {
        "kind": "report",
        "version": version("gembench"),
        "store": store,
        "content_digest": digest,
        "num_cells": progress.num_cells,
        "seconds": progress.seconds,
        "models": [
            {
                "model": row.id,
                "status": row.status.value,
                "message": row.message,
                "load_seconds": row.load_seconds,
                "fingerprint": row.fingerprint,
            }
            for row in rows
        ],
    }


def print_report(store: str, digest: str, rows: Sequence[ModelRow], progress: RecordProgress) -> None:
    """The report, for people."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    failed = [row for row in rows if row.status.is_failure]
    if failed:
        counts = Counter(row.status.value for row in failed)
        title = "Could not be measured: " + ", ".join(f"{count} {status}" for status, count in counts.items())
        table = plain_table(title=title)
        table.add_column("model", overflow="fold", max_width=30)
        table.add_column("status", no_wrap=True)
        table.add_column("what to do")
        for row in failed:
            table.add_row(Text(row.id), row.status.value, Text(row.message))
        Console(highlight=False, markup=False).print(table, "")
    console.print(f"{store}: {len(rows) - len(failed):,} of {len(rows):,} models recorded, {digest}")
    console.print(
        f"{progress.num_cells:,} cells in {progress.seconds:,.0f} s this time. Next: gembench simulate {store}"
    )
