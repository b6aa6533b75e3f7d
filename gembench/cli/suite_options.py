"""`--suite` and what belongs to it: what models are asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gembench.cli.option_groups import add_options

if TYPE_CHECKING:
    from gembench.evaluate.suite import Suite


@dataclass(frozen=True)
class SuiteChoice:
    """What the options said."""

    suite: str | None
    include_path: tuple[Path, ...]
    queries_per_task: int | None
    allow_code: bool
    apply_chat_template: bool

    def load(self) -> Suite:
        """The suite.

        Raises:
            UsageError: none was named, or it cannot be had.
        """
        if self.suite is None:
            raise click.UsageError("say by --suite what the models are asked.")
        from gembench.evaluate.harness import load_suite

        return load_suite(
            self.suite, include_path=self.include_path, limit=self.queries_per_task, allow_code=self.allow_code
        )


suite_options = add_options(
    (
        click.option("--suite", "-s", metavar="SUITE", help="A suite that ships, a suite file, or harness tasks."),
        click.option(
            "--include-path",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            multiple=True,
            help="Folder of your own harness tasks; repeatable.",
        ),
        click.option("--queries-per-task", type=click.IntRange(min=1), help="At most so many queries of each task."),
        click.option("--allow-code", is_flag=True, help="Let tasks run code that a model wrote, in a sandbox."),
        click.option("--apply-chat-template", is_flag=True, help="Ask in each model's own chat template."),
    )
)
"""Adds the options of `SuiteChoice`."""
