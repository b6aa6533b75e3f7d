"""What `gembench record --dry-run` prints: which models would run, which would not and why, and what it will cost."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from gembench.cli.outputs import STDOUT, write_output
from gembench.cli.plain_table import plain_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gembench.evaluate.preflight import Preflight

_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def print_plan(preflights: Sequence[Preflight], num_queries: int, json_path: Path | None) -> None:
    """Print a row for each model, then what all of them cost together."""
    from gembench.evaluate.recording_cost import recording_cost

    cost = recording_cost(preflights, num_queries)
    if json_path is not None:
        plan = {
            "num_queries": num_queries,
            "cost": dataclasses.asdict(cost),
            "models": [_row(one) for one in preflights],
        }
        write_output(json_path, json.dumps(plan, indent=1) + "\n")
    if str(json_path) == STDOUT:
        return
    table = plain_table(title=f"{len(preflights):,} models, {num_queries:,} queries")
    table.add_column("model", overflow="fold", max_width=34)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("fetch", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for one in preflights:
        table.add_row(
            Text(one.source.model), _parameters(one.num_parameters), _bytes(one.download_bytes), Text(_remark(one))
        )
    console = Console(highlight=False, markup=False)
    console.print(table, "")
    console.print(
        f"{cost.num_models:,} of {len(preflights):,} models can run, on {cost.num_architectures:,} engines. To fetch: "
        f"{_bytes(cost.download_bytes)}, at least {_bytes(cost.largest_bytes)} of disk at once. Roughly "
        f"{cost.gpu_hours:.2g} GPU-hours on one data-centre GPU.",
        soft_wrap=True,
    )


def _remark(one: Preflight) -> str:
    if not one.can_run:
        return f"{one.status}: {one.message}"
    if one.duplicate_of:
        return f"will run, though its weights are those of {one.duplicate_of}"
    return f"will run: {one.architecture}{f', {one.quantization}' if one.quantization else ''}"


def _row(one: Preflight) -> dict[str, object]:
    return {
        "model": one.source.model,
        "revision": one.source.revision,
        "can_run": one.can_run,
        "status": one.status.value,
        "message": one.message,
        "architecture": one.architecture,
        "num_parameters": one.num_parameters,
        "download_bytes": one.download_bytes,
        "disk_bytes": one.disk_bytes,
        "duplicate_of": one.duplicate_of,
    }


def _bytes(num_bytes: float) -> str:
    """In the decimal units of download pages."""
    unit = 0
    while num_bytes >= 1000 and unit + 1 < len(_BYTE_UNITS):
        num_bytes, unit = num_bytes / 1000, unit + 1
    return f"{num_bytes:.3g} {_BYTE_UNITS[unit]}"


def _parameters(num_parameters: int | None) -> str:
    """`135M`, `7.24B`; `?` if unknown."""
    if num_parameters is None:
        return "?"
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if num_parameters >= size:
            return f"{num_parameters / size:.3g}{unit}"
    return str(num_parameters)
