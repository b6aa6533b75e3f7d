"""`gembench info`: what a tensor holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gembench.cli.options import json_option, min_coverage_option
from gembench.cli.outputs import STDOUT, check_output, write_output

if TYPE_CHECKING:
    from gembench.describe import TensorSummary


@click.command(short_help="Say what a tensor holds.")
@click.argument("tensor")
@min_coverage_option
@json_option
def info(tensor: str, min_coverage: float, json_path: Path | None) -> None:
    """Say what TENSOR holds: an embedded name, a store's path or URL, or an .npz.

    Example: gembench info qwen2.5-3b
    """
    if json_path is not None:
        check_output(json_path)
    from gembench.describe import describe, summary_to_json

    summary = describe(tensor, min_coverage=min_coverage)
    if json_path is not None:
        write_output(json_path, summary_to_json(summary))
    if json_path is None or str(json_path) != STDOUT:
        _print(summary)


def _print(summary: TensorSummary) -> None:
    from rich.console import Console

    from gembench.cli.info_attributes import attribute_lines
    from gembench.cli.info_race import race_lines
    from gembench.cli.plain_table import plain_table

    table = plain_table(title=summary.tensor)
    table.show_header = False
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    race = race_lines(summary) if summary.race else [("race", str(summary.no_race_because))]
    for name, value in (*_contents(summary), *race, *attribute_lines(summary.attributes)):
        table.add_row(name, value)
    Console(highlight=False, markup=False).print(table)


def _contents(summary: TensorSummary) -> list[tuple[str, str]]:
    verified = {True: "verified", False: "NOT the stored one: the content has changed", None: "none stored"}
    outcomes = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in summary.outcomes.items() if count)
    return [
        ("models", f"{summary.num_models:,}"),
        ("queries", f"{summary.num_queries:,}"),
        ("answered", f"{summary.coverage:.2%} ({outcomes})"),
        ("digest", f"{summary.content_digest} ({verified[summary.is_digest_verified]})"),
    ]
