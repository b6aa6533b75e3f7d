"""Progress on stderr: a bar under the growing table on a terminal, else a plain line now and then."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gembench.cli.interruption import check_ctrl_c

SECONDS_BETWEEN_LINES = 10.0


class RunsProgress:
    """Counts finished runs from any thread, and shows them and what has been found so far.

    Use `advance` as the runs finish and `show` as the table grows, inside `running()`.
    """

    def __init__(self, total: int) -> None:
        self._console = Console(stderr=True)
        self._on_terminal = self._console.is_terminal
        self._lock = threading.Lock()
        self._total = total
        self._done = 0
        self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=self._console
        )
        self._task = self._bar.add_task("runs", total=total)
        self._live: Live | None = None

    def advance(self, num_runs: int) -> None:
        """So many runs more have finished.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed, and was lost.
        """
        check_ctrl_c()
        self._bar.advance(self._task, num_runs)
        if self._on_terminal:
            return
        with self._lock:
            self._done += num_runs
            now = time.monotonic()
            if now - self._last_line >= SECONDS_BETWEEN_LINES:
                self._last_line = now
                click.echo(f"gembench: {self._done:,} of {self._total:,} runs done", err=True)

    def show(self, found: RenderableType | None) -> None:
        """Show what has been found so far above the bar."""
        if self._live is not None:
            self._live.update(Group(found, self._bar) if found is not None else self._bar)

    @contextlib.contextmanager
    def running(self) -> Iterator[Callable[..., None]]:
        """Show progress; yields a function that prints a finished result to stdout past it."""
        if not self._on_terminal:
            yield Console().print
            return
        with Live(self._bar, console=self._console, transient=True, refresh_per_second=4) as live:
            self._live = live
            yield self._print_past_live
        self._live = None

    def _print_past_live(self, *results: RenderableType) -> None:
        if self._live is None:
            raise RuntimeError("progress is not running.")
        self._live.update(self._bar)
        self._live.stop()
        Console().print(*results)
        self._live.start(refresh=True)
