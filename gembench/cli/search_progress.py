"""What a search shows while it goes on: a bar of pulls on a terminal, else a plain line for each stage."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from gembench.cli.event_lines import line_of
from gembench.cli.interruption import check_ctrl_c
from gembench.live.events import CellsCommitted, ModelEnded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gembench.live.events import Event
    from gembench.policy import Stage
    from gembench.pulls import Pulls

SECONDS_BETWEEN_LINES = 30.0


class SearchProgress:
    """A context manager; told of the asks of a search, and of the events of the workers that answer."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("pulls"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._pulls = self._bar.add_task("search", total=None)
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Show no more."""
        # Off a terminal rich would end a bar that was never there with an empty line.
        if self._bar.live.is_started:
            self._bar.stop()

    def begin(self, budget: int) -> None:
        """A search begins, or begins anew, with so many pulls to spend."""
        self._bar.reset(self._pulls, total=budget)

    def on_ask(self, plan: Sequence[Stage], stage: int, pulls: int, wanted: Sequence[Pulls]) -> None:
        """An ask is about to be answered; `pulls` were paid for before it.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed, and was lost.
        """
        check_ctrl_c()
        what = f"stage {stage + 1} of {len(plan)}"
        self._bar.update(self._pulls, completed=pulls, description=what)
        is_large = len(wanted) > 1
        if is_large:
            most = max(len(queries) for _, queries in wanted)
            self.say(f"{what}: {len(wanted):,} models, {most:,} {'query' if most == 1 else 'queries'} each")
        elif not self._bar.live.is_started and time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self.say(f"{what}: {pulls:,} pulls so far")

    def on_event(self, event: Event) -> None:
        """A worker has something to tell."""
        if isinstance(event, CellsCommitted):
            self._bar.advance(self._pulls, event.num_cells)
        # A line for every model in every stage would bury those that matter.
        is_routine = isinstance(event, ModelEnded) and not event.status.is_failure
        if not is_routine and (line := line_of(event)) is not None:
            self.say(line)

    def say(self, line: str) -> None:
        """A line on stderr."""
        self._last_line = time.monotonic()
        if self._bar.live.is_started:
            self._bar.console.print(Text(line))
        else:
            click.echo(f"gembench: {line}", err=True)
