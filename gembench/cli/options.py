"""Option types and options that several commands share."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gembench.cli.outputs import STDOUT

Command = TypeVar("Command", bound=Callable[..., Any])

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


class QueriesPerModel(click.ParamType[float]):
    """A positive number; a whole one stays an int, so that it prints as one."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number, or fail with one line."""
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number of queries.", param, ctx)
        if not (math.isfinite(number) and number > 0):
            self.fail(f"{value} is not a positive number of queries.", param, ctx)
        return int(number) if number.is_integer() else number


class TopK(click.ParamType[tuple[int, ...]]):
    """One positive whole number, or several with commas between."""

    name = "K,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Read the numbers, or fail with one line."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in value.split(",")]
        if not all(part.isdecimal() and int(part) > 0 for part in parts):
            self.fail(f"{value!r} is not a list of positive whole numbers; give one like 1,3,5.", param, ctx)
        return tuple(int(part) for part in parts)


class MemorySize(click.ParamType[int]):
    """Bytes, given as `512MiB` or `2G`; every prefix is a power of 1024."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the size, or fail with one line."""
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(value.strip())
        num_bytes = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
        if num_bytes < 1:
            self.fail(f"{value!r} is not a size; give one like 512MiB or 2GiB.", param, ctx)
        return num_bytes


class OutputFile(click.ParamType[Path]):
    """A file to write, of one of the suffixes that the option knows."""

    name = "FILE"

    def __init__(self, *suffixes: str) -> None:
        self.suffixes = suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Check the suffix, or fail with one line."""
        path = Path(value)
        if self.suffixes and path.suffix.lower() not in self.suffixes:
            self.fail(f"{value}: the name must end in {' or '.join(self.suffixes)}.", param, ctx)
        return path


def json_option(command: Command) -> Command:
    """`--json FILE|-`: the result as JSON; `-` puts it on stdout in place of the table."""
    return click.option(
        "--json",
        "json_path",
        type=OutputFile(),
        metavar="FILE|-",
        help=f"Write the result as JSON; {STDOUT} puts it on stdout.",
    )(command)


def history_option(command: Command) -> Command:
    """`--history`, which may be repeated: tensors of other models on the same queries."""
    return click.option(
        "--history",
        "histories",
        multiple=True,
        metavar="TENSOR",
        help="What other models answered to the same queries, for policies that can use it.",
    )(command)


def prior_option(command: Command) -> Command:
    """`--prior`: a number that is known of each model."""
    return click.option(
        "--prior",
        metavar="NAME|F.csv",
        help="A number known of each model, for policies that can use it: what is known of models by that name, such "
        "as downloads, or a table of model,value.",
    )(command)


def queries_per_model_option(command: Command) -> Command:
    """`--queries-per-model`: the budgets, of which all are replayed."""
    return click.option(
        "--queries-per-model",
        "-n",
        type=QueriesPerModel(),
        multiple=True,
        default=(10, 50),
        show_default=True,
        help="Budget: N pulls for each model on average.",
    )(command)


def sampling_option(command: Command) -> Command:
    """`--sampling`: the policy's own, or one for all."""
    return click.option(
        "--sampling",
        type=click.Choice(["auto", "shared", "independent"]),
        default="auto",
        show_default=True,
        help="Whether all models meet the queries in one order, or each in its own; auto: as the policy's source does.",
    )(command)


def min_coverage_option(command: Command) -> Command:
    """`--min-coverage`: how much of a model or query may be missing."""
    return click.option(
        "--min-coverage",
        type=click.FloatRange(0, 1),
        default=0.5,
        show_default=True,
        help="Leave out models and queries with a smaller share of answered cells.",
    )(command)
