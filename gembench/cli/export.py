"""`gembench export`: a tensor in a format of others."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from gembench.cli.options import json_option
from gembench.cli.outputs import STDOUT, check_output, write_output
from gembench.data.export_catalog import EXPORT_FORMATS


@click.command(
    short_help="Write a tensor in a format of others.",
    epilog="\b\nFormats:\n" + "\n".join(f"  {name:<8} {one.summary}" for name, one in EXPORT_FORMATS.items()),
)
@click.argument("format_name", metavar="FORMAT", type=click.Choice(list(EXPORT_FORMATS)))
@click.argument("tensor")
@click.option("--output", "-o", required=True, metavar="PATH", help="File, or folder for eee, to write to.")
@click.option("--overwrite", is_flag=True, help="Replace such an export that lies there.")
@json_option
def export(format_name: str, tensor: str, output: str, overwrite: bool, json_path: Path | None) -> None:
    """Write TENSOR as FORMAT, some models at a time.

    What the format cannot hold is said on stderr. `gembench import` reads each of them again.

    Example: gembench export parquet qwen2.5-3b -o qwen.parquet
    """
    if json_path is not None:
        check_output(json_path)
    from gembench.data.exporting import check_export_target, export_tensor
    from gembench.load_race import open_any

    check_export_target(format_name, output, overwrite=overwrite)
    exported = export_tensor(open_any(tensor), format_name, output, overwrite=overwrite)
    if exported.left_out:
        click.echo(f"gembench: {format_name} does not hold all of: {', '.join(exported.left_out)}", err=True)
    if json_path is not None:
        write_output(json_path, json.dumps(asdict(exported), indent=2) + "\n")
    if json_path is None or str(json_path) != STDOUT:
        click.echo(f"{exported.target}: {exported.num_models:,} models, {exported.num_queries:,} queries")
