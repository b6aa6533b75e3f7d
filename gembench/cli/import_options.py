"""The options that say how logs become a tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

from gembench.cli.option_groups import add_options

if TYPE_CHECKING:
    from gembench.data.import_settings import ImportSettings


class Columns(click.ParamType[dict[str, str]]):
    """Which column of a table holds what: `model=…,query=…`."""

    name = "WHAT=COLUMN,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, str]:
        """Read the pairs, or fail with one line."""
        if isinstance(value, dict):
            return value
        pairs = [pair.partition("=") for pair in value.split(",")]
        if not all(what.strip() and column for what, _, column in pairs):
            self.fail(f"{value!r} does not say what is where; write it like model=name,query=id.", param, ctx)
        return {what.strip(): column for what, _, column in pairs}


_OPTIONS = (
    click.option("--metric", metavar="NAME", help="The metric that is the score; else the tool's first."),
    click.option("--filter", "filter_name", metavar="NAME", help="The filter that counts; else the tool's first."),
    click.option("--columns", type=Columns(), help="Of a table: what holds model, query, value, task; else guessed."),
    click.option(
        "--threshold",
        type=click.FloatRange(0, 1, min_open=True),
        default=0.5,
        show_default=True,
        help="Right is a score of at least this.",
    ),
    click.option(
        "--min-coverage",
        type=click.FloatRange(0, 1),
        default=0.0,
        show_default=True,
        help="Leave out models, then queries, with a smaller share of answered cells.",
    ),
    click.option(
        "--on-conflict",
        type=click.Choice(["error", "first", "last"]),
        default="error",
        show_default=True,
        help="Where two logs of a model disagree: stop, or take the first or last run by date.",
    ),
    click.option(
        "--model-name",
        metavar="PATTERN",
        help="What a model is called, such as '{model}@{model_args}'; else {model}, and @{revision} if known.",
    ),
)


@dataclass(frozen=True)
class ImportChoice:
    """What the options said."""

    metric: str | None
    filter_name: str | None
    columns: dict[str, str] | None
    threshold: float
    min_coverage: float
    on_conflict: Literal["error", "first", "last"]
    model_name: str | None

    def settings(self, format_name: str) -> ImportSettings:
        """The settings of an import.

        Raises:
            UsageError: columns of what is no table, or a pattern that is none.
        """
        from gembench.data.import_settings import ImportSettings
        from gembench.data.sources.source import Choice

        if self.columns is not None and format_name != "table":
            raise click.UsageError(f"--columns is for tables; {format_name} logs say themselves what is where.")
        return ImportSettings(
            choice=Choice(self.metric, self.filter_name, self.columns or {}),
            threshold=self.threshold,
            min_coverage=self.min_coverage,
            on_conflict=self.on_conflict,
            model_name=self.model_name,
        )


import_options = add_options(_OPTIONS)
"""Adds the options of `ImportChoice`."""
