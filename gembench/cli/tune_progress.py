"""What a tuning shows while it goes on: a bar of trials on a terminal, and the best so far; else a line a trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from gembench.tuning.study import Trial


class TuneProgress:
    """A context manager; told of each trial and of what is measured after them."""

    def __init__(self, num_trials: int) -> None:
        console = Console(stderr=True)
        self._on_terminal = console.is_terminal
        self._num_trials = num_trials
        self._bar = Progress(
            TextColumn("trials"),
            BarColumn(20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=num_trials)

    def __enter__(self) -> Self:
        if self._on_terminal:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._on_terminal:
            self._bar.stop()

    def tried(self, trial: Trial, best: Trial) -> None:
        """A trial has finished; `best` is the best so far."""
        if self._on_terminal:
            self._bar.update(self._task, completed=trial.number + 1, description=escape(_best(best)))
            return
        what = "stopped early" if trial.is_stopped else f"ratio {trial.ratio:.3f}"
        click.echo(
            f"gembench: trial {trial.number + 1} of {self._num_trials}: {trial.policy}: {what}; {_best(best)}", err=True
        )

    def begins(self, part: str, policy: str) -> None:
        """A policy is about to be measured on all races of a part."""
        if self._on_terminal:
            self._bar.update(self._task, completed=self._num_trials, description=escape(f"{part}: {policy}"))
        else:
            click.echo(f"gembench: {part}: {policy}", err=True)


def _best(trial: Trial) -> str:
    return f"best {trial.ratio:.3f} of {trial.policy}"
