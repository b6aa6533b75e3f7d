"""`gembench tensors`: what is embedded."""

from pathlib import Path

import click

from gembench.cli.options import json_option
from gembench.cli.outputs import STDOUT, check_output, write_output


@click.command()
@json_option
def tensors(json_path: Path | None) -> None:
    """List the tensors that come with gembench.

    \b
    Example: gembench tensors
    """
    if json_path is not None:
        check_output(json_path)
    import dataclasses
    import json

    from gembench.data.embedded import describe_embedded

    described = [dataclasses.asdict(tensor) for tensor in describe_embedded()]
    if json_path is not None:
        write_output(json_path, json.dumps(described, indent=1) + "\n")
    if json_path is None or str(json_path) != STDOUT:
        _print(described)
