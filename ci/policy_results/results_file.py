"""The results file: a line of JSON for each cell that was measured, or that could not be within its time.

Whatever a cell depends on, but for the code and the tensors, is in its line: where a policy's code changed, take its
lines out.
"""

import json
from pathlib import Path

import click

from policy_results.plan import Cell

_KEY = ("race", "history", "policy", "num_each", "runs", "seed")


def read_results(path: Path) -> dict[tuple, dict]:
    """The lines by what they depend on; of two alike, the later one."""
    results = {}
    if path.exists():
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                line = json.loads(text)
                results[tuple(line[name] for name in _KEY)] = line
            except (json.JSONDecodeError, KeyError) as error:
                raise click.ClickException(f"{path}, line {number}: no result of a cell; take the line out.") from error
    return results


def append_result(path: Path, cell: Cell, outcome: dict) -> dict:
    """Write down what came of a cell, at once."""
    line = dict(zip(_KEY, cell.key, strict=True)) | outcome
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return line


def is_settled(line: dict | None, limit: float) -> bool:
    """Whether a cell need not be measured: it was, or it failed, and not for want of time."""
    return line is not None and line.get("limit", limit) >= limit
