"""`gembench gems`: the hidden gems of a tensor, and how surely they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gembench.cli.metadata_options import MetadataChoice, metadata_options
from gembench.cli.option_groups import take_group
from gembench.cli.options import json_option, min_coverage_option
from gembench.cli.outputs import STDOUT, check_output, write_output

if TYPE_CHECKING:
    from rich.table import Table

    from gembench.gem_report import GemCandidate, GemReport

MOST_MODELS = 20
"""So many of each kind are printed; `--json` has them all."""


@click.command(short_help="Name the hidden gems of a tensor.")
@click.argument("tensor")
@metadata_options
@click.option("--known-only", is_flag=True, help="Leave out models whose downloads are unknown.")
@min_coverage_option
@click.option(
    "--resamples",
    "num_resamples",
    type=click.IntRange(min=2),
    default=10_000,
    show_default=True,
    help="How often the queries are drawn again with replacement, to say how surely a model is a gem.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of these draws.")
@json_option
def gems(
    tensor: str,
    known_only: bool,
    min_coverage: float,
    num_resamples: int,
    seed: int,
    json_path: Path | None,
    **choices: Any,
) -> None:
    """Name the hidden gems of TENSOR: an embedded name, a store's path or URL, or an .npz.

    A hidden gem is in the top 1% by accuracy, not in the top 1% by downloads, and strictly more accurate than every
    model that is (arXiv 2601.22157).

    Example: gembench gems qwen2.5-3b
    """
    if json_path is not None:
        check_output(json_path)
    from rich.console import Console

    from gembench.gem_report import find_gems

    with Console(stderr=True).status("looking for gems") as status:
        look_up = take_group(MetadataChoice, choices).look_up(
            lambda num_known, num_models: status.update(f"asking the Hub: {num_known:,} of {num_models:,} models")
        )
        report = find_gems(
            tensor,
            look_up=look_up,
            known_only=known_only,
            min_coverage=min_coverage,
            num_resamples=num_resamples,
            seed=seed,
        )
    if json_path is not None:
        write_output(json_path, report.to_json())
    if json_path is None or str(json_path) != STDOUT:
        _print(report)


def _print(report: GemReport) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if report.gems:
        console.print(_table(f"{report.tensor}: {len(report.gems):,} hidden gems", report.gems))
    else:
        console.print(f"{report.tensor}: no hidden gem")
    if report.nearly:
        console.print(_table(f"Nearly: {len(report.nearly):,}", report.nearly))
    for line in _lines(report):
        console.print(line)


def _table(title: str, candidates: Sequence[GemCandidate]) -> Table:
    from rich.text import Text

    from gembench.cli.plain_table import plain_table
    from gembench.cli.tables import cell, scaled

    num_more = len(candidates) - MOST_MODELS
    table = plain_table(title, caption=f"and {num_more:,} more; --json has them all" if num_more > 0 else None)
    table.add_column("model", overflow="fold")
    for header in ("accuracy", "rank", "lead", "downloads", "is a gem"):
        table.add_column(header, justify="right", no_wrap=True)
    for one in candidates[:MOST_MODELS]:
        table.add_row(
            Text(one.model),
            f"{one.accuracy:.2%}",
            f"{one.rank:,}",
            f"{one.lead * 100:+.2f}",
            f"{one.downloads:,}",
            cell(one.probability * 100, scaled(one.probability_ci, 100), ".1f", "%"),
        )
    return table


def _lines(report: GemReport) -> Iterator[str]:
    from gembench.cli.metadata_report import metadata_lines

    best = report.best_popular
    yield (
        f"To beat: {best.model}, {best.accuracy:.2%}, rank {best.rank:,}, {best.downloads:,} downloads, the most "
        f"accurate of the top 1% by downloads ({len(report.popular):,} of {report.num_models:,} models, from "
        f"{report.downloads_to_stay_below:,} downloads on). The top 1% by accuracy have {report.accuracy_to_reach:.2%} "
        f"or more."
    )
    yield (
        f"Is a gem: in which share of {report.num_resamples:,} resamples of the {report.num_queries:,} queries (seed "
        f"{report.seed}); below, the 95% interval for so many resamples. Lead: points above the model to beat."
    )
    if report.left_out:
        yield f"{len(report.left_out):,} models of unknown downloads are left out; any of them may be the one to beat."
    for metadata in report.metadata:
        yield from metadata_lines(metadata)
