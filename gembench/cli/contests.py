"""Contests as commands run them: with progress, a table for each tensor when it is done, and what is certain below."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gembench.background import History, LoadedBackground
    from gembench.experiment import Contest, ContestResult, Settings
    from gembench.load_race import LoadedRace


def run_and_print(contests: Sequence[Contest], settings: Settings, *, quiet: bool) -> list[ContestResult]:
    """Run the contests; print each tensor's table to stdout when its last contest is done, unless `quiet`."""
    from gembench.cli.progress import RunsProgress
    from gembench.cli.tables import comparison_lines, results_table
    from gembench.experiment import compare_results, run_contests

    progress = RunsProgress(total=len(contests) * settings.num_runs)
    results: list[ContestResult] = []
    with (
        progress.running() as print_result,
        contextlib.closing(run_contests(contests, settings, progress.advance)) as done,
    ):
        for loaded, of_tensor in itertools.groupby(done, key=lambda result: result.contest.loaded):
            first = len(results)
            for result in of_tensor:
                results.append(result)
                if not quiet:
                    rows = [finished.row for finished in results[first:]]
                    table = results_table(loaded, rows)
                    progress.show(table)
            if not quiet:
                print_result(table, comparison_lines(compare_results(results[first:])), "")
    return results


def say_what_was_left_out(loaded: LoadedRace) -> None:
    """One line on stderr about the models and queries that a race lacks."""
    if loaded.left_out_models or loaded.num_left_out_queries:
        click.echo(
            f"gembench: {loaded.tensor}: left out {len(loaded.left_out_models):,} models and "
            f"{loaded.num_left_out_queries:,} queries with missing answers; the race is {loaded.num_models:,} models "
            f"on {loaded.num_queries:,} queries.",
            err=True,
        )


def say_history(source: str, history: History | None) -> None:
    """A line on stderr about the history of a race, if it has one."""
    if history is not None:
        num_models, num_queries = history.answers.shape
        click.echo(
            f"gembench: {source}: the history is {num_models:,} other models on {history.num_shared:,} of the "
            f"{num_queries:,} queries.",
            err=True,
        )


def say_what_is_known(known: Mapping[str, LoadedBackground], contests: Sequence[Contest]) -> None:
    """A line on stderr about each race's history, and one if no policy can use what is known."""
    for tensor, background in known.items():
        say_history(tensor, background.history)
    if known and not any(contest.known for contest in contests):
        click.echo("gembench: none of these policies can use what is known beforehand.", err=True)
