"""What a recording shows while it goes on: one live view on a terminal, else a plain line for each model."""

import json
import time
from typing import TextIO

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from gembench.cli.event_lines import line_of
from gembench.data.status import ModelStatus
from gembench.live.events import CanaryAsked, CellsCommitted, Event, ModelEnded

SECONDS_BETWEEN_LINES = 30.0


class RecordProgress:
    """Counts cells and models; a context manager, and what `record` calls with each event.

    Args:
        num_models: models of the recording that are still to be recorded.
        num_cells: cells that they have left to answer.
        events: where each event goes as a line of JSON; None for nowhere.
    """

    def __init__(self, num_models: int, num_cells: int, events: TextIO | None = None) -> None:
        self.ended: dict[str, ModelEnded] = {}
        self._num_models = num_models
        self._num_cells_left = num_cells
        self._events = events
        self.num_cells = self._num_tokens = 0
        self._started = self._last_line = time.monotonic()
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("cells"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=self._console
        )
        self._cells = self._bar.add_task("cells", total=num_cells)

        self._live = Live(self._view(), console=self._console, transient=True, refresh_per_second=4)

    def __enter__(self) -> "RecordProgress":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take note of an event, and show it."""
        if self._events is not None:
            print(json.dumps(vars(event)), file=self._events, flush=True)
        match event:
            case CellsCommitted():
                self.num_cells += event.num_cells
                self._num_tokens += event.num_tokens
                self._bar.advance(self._cells, event.num_cells)
            case ModelEnded() if event.status != ModelStatus.PENDING:
                # One that is recorded again counts once.
                self.ended[event.model] = event
            case CanaryAsked() if not event.agrees:
                self._num_cells_left += event.num_cells
                self._bar.update(self._cells, total=self._num_cells_left)
        if (line := line_of(event)) is not None:
            self._say(line)
        self._show()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._started

    def summary(self) -> str:
        """How far it has come, in one line."""
        seconds = max(self.seconds, 1e-9)
        num_failed = sum(event.status.is_failure for event in self.ended.values())
        failed = f", {num_failed} failed" if num_failed else ""
        return (
            f"{len(self.ended)} of {self._num_models} models done{failed}; {self.num_cells:,} cells at "
            f"{self.num_cells / seconds:,.0f} a second, {self._num_tokens / seconds:,.0f} tokens a second"
        )

    def _view(self) -> RenderableType:
        return Group(Text(self.summary()), self._bar)

    def _show(self) -> None:
        if self._live.is_started:
            self._live.update(self._view())
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._say(self.summary())

    def _say(self, line: str) -> None:
        self._last_line = time.monotonic()
        if self._live.is_started:
            self._live.console.print(Text(line))
        else:
            click.echo(f"gembench: {line}", err=True)
