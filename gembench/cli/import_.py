"""`gembench import`: the logs of other tools become a tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gembench.cli.exit_codes import SOME_FAILED
from gembench.cli.import_options import ImportChoice, import_options
from gembench.cli.metadata_options import MetadataChoice, metadata_options
from gembench.cli.option_groups import take_group
from gembench.cli.options import json_option
from gembench.cli.outputs import STDOUT, check_output, write_output
from gembench.data.sources import catalog


class FormatName(click.ParamType[str]):
    """The name of a format."""

    name = "FORMAT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read the name, or fail with those that there are."""
        name = str(value).replace("_", "-")
        if name not in catalog.FORMATS:
            self.fail(f"no format is called {value!r}; there are {', '.join(catalog.FORMATS)}.", param, ctx)
        return name


@click.command(
    "import",
    short_help="Make a tensor of other tools' logs.",
    epilog="\b\nFormats:\n" + "\n".join(f"  {name:<12} {one.summary}" for name, one in catalog.FORMATS.items()),
)
@click.argument("format_name", metavar="FORMAT", type=FormatName())
@click.argument("places", metavar="SOURCE...", nargs=-1, required=True)
@import_options
@metadata_options
@click.option("--output", "-o", required=True, metavar="STORE", help="Folder (.zarr), .zip or URL of the tensor.")
@click.option("--append", is_flag=True, help="Add to the tensor that lies there.")
@click.option("--overwrite", is_flag=True, help="Replace a tensor that lies there.")
@json_option
def import_(
    format_name: str,
    places: tuple[str, ...],
    output: str,
    append: bool,
    overwrite: bool,
    json_path: Path | None,
    **choices: Any,
) -> int:
    """Make one tensor of logs in files, folders, globs and URLs, and say what could not be used.

    Interrupted, the same command goes on where it stopped. Exit code 3: done, but some logs could not be used.

    Example: gembench import lm-eval results/ -o mine.zarr
    """
    if json_path is not None:
        check_output(json_path)
    metadata = take_group(MetadataChoice, choices)
    settings = take_group(ImportChoice, choices).settings(format_name)
    from gembench.cli.import_progress import ImportProgress
    from gembench.cli.import_report import print_report
    from gembench.data.importing import import_logs

    with ImportProgress() as progress:
        report = import_logs(
            format_name,
            places,
            output,
            settings,
            append=append,
            overwrite=overwrite,
            listener=progress,
            look_up=metadata.look_up(progress.asked),
        )
    if json_path is not None:
        write_output(json_path, report.to_json())
    if str(json_path) != STDOUT:
        print_report(report)
    return SOME_FAILED if report.unusable_logs else 0
