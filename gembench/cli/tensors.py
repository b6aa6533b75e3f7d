"""`gembench tensors`: what is embedded."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gembench.cli.options import json_option
from gembench.cli.outputs import STDOUT, check_output, write_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gembench.data.embedded import EmbeddedTensor


@click.command(short_help="List the embedded tensors.")
@json_option
def tensors(json_path: Path | None) -> None:
    """List the tensors that come with gembench.

    Example: gembench tensors --json -
    """
    if json_path is not None:
        check_output(json_path)
    from gembench.data.embedded import describe_embedded

    embedded = describe_embedded()
    if json_path is not None:
        write_output(json_path, json.dumps([dataclasses.asdict(tensor) for tensor in embedded], indent=1) + "\n")
    if json_path is None or str(json_path) != STDOUT:
        _print(embedded)


def _print(embedded: Sequence[EmbeddedTensor]) -> None:
    from rich.console import Console

    from gembench.cli.plain_table import plain_table

    table = plain_table(title="Embedded tensors")
    table.add_column("name", no_wrap=True)
    table.add_column("models", justify="right", no_wrap=True)
    table.add_column("queries", justify="right", no_wrap=True)
    table.add_column("source")
    for tensor in embedded:
        table.add_row(tensor.name, f"{tensor.num_models:,}", f"{tensor.num_queries:,}", tensor.source)
    Console(highlight=False, markup=False).print(table)
