"""`gembench leaderboard verify`: score what is published again, and compare."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gembench.cli.leaderboard_options import (
    read_published,
    submissions_folder,
    submissions_option,
    time_limit_option,
)
from gembench.cli.options import json_option
from gembench.cli.outputs import STDOUT, check_output, write_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gembench.leaderboard.verification import Verification


@click.command(short_help="Score published policies again, and compare.")
@click.argument("name", nargs=-1, metavar="[NAME]…")
@time_limit_option
@submissions_option
@json_option
@click.pass_context
def verify(
    context: click.Context, name: tuple[str, ...], time_limit: float, submissions: Path | None, json_path: Path | None
) -> None:
    """Score the published policies of these NAMEs again, by default all, and compare every run.

    On the platform and with the versions of the published result every run must be the same bit by bit; elsewhere the
    number must lie in the published interval. The exit code is 1 if one differs.
    """
    if json_path is not None:
        check_output(json_path)

    from gembench.jax_setup import set_up_jax

    set_up_jax()
    from gembench.cli.progress import RunsProgress
    from gembench.leaderboard.benchmark import load_benchmark, open_races
    from gembench.leaderboard.scores import cells_of
    from gembench.leaderboard.verification import choose, score_again, verify_result

    benchmark = load_benchmark()
    published = read_published(submissions)
    reference = next(each.result for each in published if each.card.name == benchmark.reference)
    chosen = choose(published, name)
    races = open_races(benchmark)
    progress = RunsProgress(total=len(chosen) * len(cells_of(benchmark)) * benchmark.runs)
    with progress.running():
        again = score_again(
            benchmark, races, chosen, submissions_folder(submissions), seconds=time_limit, on_progress=progress.advance
        )
    verified = [
        verify_result(benchmark, each.result, made, reference) for each, made in zip(chosen, again, strict=True)
    ]
    if json_path is not None:
        write_output(json_path, json.dumps([asdict(each) for each in verified], indent=1) + "\n")
    if str(json_path) != STDOUT:
        _print(verified)
    context.exit(int(any(each.agreement == "differs" for each in verified)))


def _print(verified: "Sequence[Verification]") -> None:
    from rich.console import Console

    from gembench.cli.plain_table import plain_table
    from gembench.cli.tables import folded

    table = plain_table(caption="Mean ranks relative to the reference's, and the published 95% interval.")
    table.add_column("policy", overflow="fold")
    for header in ("published", "interval", "again"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("agreement")
    for each in verified:
        low, high = each.interval
        again = "–" if each.again is None else f"{each.again:.3g}"
        table.add_row(
            folded(each.name),
            f"{each.published:.3g}",
            f"{low:.3g}–{high:.3g}",
            again,
            ": ".join(filter(None, (each.agreement, each.difference))),
        )
    Console(highlight=False, markup=False).print(table)
