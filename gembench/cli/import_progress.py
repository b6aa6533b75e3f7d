"""What an import shows while it reads: a bar of bytes on a terminal, else a plain line now and then."""

import time
from collections.abc import Sequence

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.text import Text

from gembench.data.import_reading import LogRead
from gembench.data.sources.source import Log

SECONDS_BETWEEN_LINES = 10.0
_MEGABYTE = 1e6


class ImportProgress:
    """Listens to an import; a context manager."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("logs", total=None)
        self._num_logs = self._num_done = 0
        self._num_bytes = self._bytes_done = 0
        self._last_line = time.monotonic()

    def __enter__(self) -> "ImportProgress":
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def found(self, logs: Sequence[Log]) -> None:
        """These logs will be read."""
        self._num_logs = len(logs)
        self._num_bytes = sum(log.num_bytes for log in logs)
        self._bar.update(self._task, total=self._num_bytes or None, description=self._count())

    def read(self, log: LogRead) -> None:
        """A log is done."""
        self._num_done += 1
        self._bytes_done += log.log.num_bytes
        if log.problem is not None:
            self._say(f"left out: {log.problem}")
        self._bar.update(self._task, completed=self._bytes_done, description=self._count())
        if not self._console.is_terminal and time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._say(f"{self._count()}, {self._bytes_done / _MEGABYTE:,.0f} of {self._num_bytes / _MEGABYTE:,.0f} MB")

    def merging(self, num_models: int) -> None:
        """All logs are read, and the tensor is being made."""
        self._bar.update(self._task, description=f"{self._count()}, merging {num_models:,} models")

    def asked(self, num_known: int, num_models: int) -> None:
        """The Hub has told about so many of these models, or of their parents."""
        line = f"asking the Hub: {num_known:,} of {num_models:,} models"
        self._bar.update(self._task, description=line)
        if not self._console.is_terminal and time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._say(line)

    def _count(self) -> str:
        return f"{self._num_done:,} of {self._num_logs:,} logs"

    def _say(self, line: str) -> None:
        self._last_line = time.monotonic()
        if self._console.is_terminal:
            self._console.print(Text(line))
        else:
            click.echo(f"gembench: {line}", err=True)
