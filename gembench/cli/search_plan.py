"""What `gembench search --dry-run` prints: who would race, what would be asked stage by stage, and what it costs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from gembench.cli.outputs import STDOUT, write_output
from gembench.cli.plain_table import plain_table
from gembench.gem_card.words import duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gembench.cli.search_contest import Contest
    from gembench.cli.search_setup import NotMeasured, Rates
    from gembench.search_plan import SearchCost

_MOST_STAGES_SHOWN = 24
_COSTS = {
    "recorded": "as the tensor recorded them",
    "stated": "by the tensor's own cost model",
    "given": "as given",
    "measured": "as measured here so far",
    "assumed": "assumed: give --seconds-per-load and --seconds-per-query",
}


def print_plan(
    contest: Contest, cost: SearchCost, rates: Rates, cannot_run: Sequence[NotMeasured], json_path: Path | None
) -> None:
    """Print the stages and their cost, then what asking everything would cost, and which models cannot run."""
    problem = contest.problem
    exhaustive = problem.num_models * (rates.seconds_per_load + problem.num_queries * rates.seconds_per_query)
    if json_path is not None:
        plan = {
            "policy": contest.specification,
            "num_models": problem.num_models,
            "num_queries": problem.num_queries,
            "budget": problem.budget,
            **asdict(cost),
            "exhaustive_pulls": problem.num_models * problem.num_queries,
            "exhaustive_seconds": exhaustive,
            "seconds_per_load": rates.seconds_per_load,
            "seconds_per_query": rates.seconds_per_query,
            "cost_source": rates.source,
            "cannot_run": [failure._asdict() for failure in cannot_run],
        }
        write_output(json_path, json.dumps(plan, indent=1) + "\n")
    if str(json_path) == STDOUT:
        return
    table = plain_table()
    for header in ("stage", "models", "queries each", "asks", "pulls", "loads, at most"):
        table.add_column(header, justify="right", no_wrap=True)
    for number, stage in enumerate(cost.stages[:_MOST_STAGES_SHOWN], start=1):
        figures = (stage.num_models, stage.num_queries, stage.repeats, stage.pulls, stage.model_loads)
        table.add_row(str(number), *(f"{figure:,}" for figure in figures))
    console = Console(highlight=False, markup=False)
    title = f"{contest.specification} on {problem.num_models:,} models, {problem.num_queries:,} queries"
    console.print(Text(title, style="bold"), soft_wrap=True)
    console.print(table, "")
    if cannot_run:
        failures = plain_table(title="Cannot run, and are not in the race")
        failures.add_column("model", overflow="fold", max_width=30)
        failures.add_column("status", no_wrap=True)
        failures.add_column("what to do")
        for failure in cannot_run:
            failures.add_row(Text(failure.model), failure.status, Text(failure.message))
        console.print(failures, "")
    all_pulls = problem.num_models * problem.num_queries
    console.print(
        f"{cost.pulls:,} of {all_pulls:,} pulls ({cost.pulls / all_pulls:.1%}) and at most {cost.model_loads:,} loads: "
        f"about {duration(cost.seconds)}, where asking everything takes {duration(exhaustive)} "
        f"({rates.seconds_per_load:.3g} s a load, {rates.seconds_per_query:.3g} s a query, {_COSTS[rates.source]}).",
        soft_wrap=True,
    )
