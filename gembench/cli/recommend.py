"""`gembench recommend`: choose the policy for a search."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gembench.cli.contests import run_and_print, say_what_was_left_out
from gembench.cli.options import MemorySize, QueriesPerModel, json_option, min_coverage_option
from gembench.cli.outputs import STDOUT, check_output, write_output
from gembench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from gembench.nearest import Case, StandIn
    from gembench.recommend import Recommendation
    from gembench.result import Report


@click.command(short_help="Choose the policy for a search.")
@click.option(
    "--tensor",
    "-t",
    multiple=True,
    metavar="T",
    help="Tensor to judge by: an embedded name, a path or URL, or an .npz. [default: the embedded ones most like the "
    "case]",
)
@click.option("--num-models", type=int, metavar="M", help="Models of the case; a larger tensor is cut to as many.")
@click.option("--num-queries", type=int, metavar="Q", help="Queries of the case; a larger tensor is cut to as many.")
@click.option(
    "--queries-per-model",
    "-n",
    type=QueriesPerModel(),
    required=True,
    help="Budget: N pulls for each model on average.",
)
@click.option(
    "--difference",
    type=float,
    metavar="SHARE",
    help="Share of queries that a model and the one most like it answer differently. [default: unknown]",
)
@click.option("--seconds-per-load", type=float, metavar="S", help="Seconds to load a model. [default: the tensors']")
@click.option("--seconds-per-query", type=float, metavar="S", help="Seconds to answer a query. [default: the tensors']")
@click.option("--policy", "-p", multiple=True, metavar="NAME[:KEY=VALUE,…]", help="Policy to consider. [default: all]")
@click.option(
    "--runs", type=click.IntRange(min=1), default=200, show_default=True, help="Randomized runs of each policy."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Seed of all runs and draws."
)
@click.option("--memory", type=MemorySize(), help="Memory for runs in flight. [default: a quarter of the machine's]")
@min_coverage_option
@json_option
def recommend(
    tensor: tuple[str, ...],
    num_models: int | None,
    num_queries: int | None,
    queries_per_model: float,
    difference: float | None,
    seconds_per_load: float | None,
    seconds_per_query: float | None,
    policy: tuple[str, ...],
    runs: int,
    seed: int,
    memory: int | None,
    min_coverage: float,
    json_path: Path | None,
) -> None:
    """Say which policy to use for a search, by replaying all of them on tensors like it.

    Give the tensors, or the size of the search: then the embedded tensors nearest to it stand for it.

    Example: gembench recommend --num-models 300 --num-queries 1000 -n 10
    """
    if json_path is not None:
        check_output(json_path)
    if not tensor and (num_models is None or num_queries is None):
        raise UsageError("what is the search like? Give --tensor T, or both --num-models M and --num-queries Q.")

    from gembench.jax_setup import set_up_jax

    set_up_jax()
    from rich.text import Text

    from gembench.cli.recommend_tables import commands_to_go_on_with, stand_ins_table, standings_table
    from gembench.experiment import Settings, compare_results, make_policies, plan_contests
    from gembench.memory import memory_for_runs
    from gembench.nearest import Case
    from gembench.recommend import explain
    from gembench.recommend import recommend as choose
    from gembench.result import make_report

    policies = make_policies(policy)
    case = Case(queries_per_model, num_models, num_queries, difference, seconds_per_load, seconds_per_query)
    stand_ins = _stand_ins(tensor, case, seed, min_coverage)
    contests = plan_contests([each.loaded for each in stand_ins], policies, [queries_per_model])
    settings = Settings(num_runs=runs, seed=seed, memory_bytes=memory_for_runs(memory))
    quiet = json_path is not None and str(json_path) == STDOUT
    if not quiet:
        _print(stand_ins_table(case, stand_ins, seed), "")
    results = run_and_print(contests, settings, quiet=quiet)
    recommendation = choose(results)
    if not quiet:
        sentences = explain(recommendation, results)
        _print(standings_table(recommendation, settings), "", Text(sentences, style="bold"), "")
        click.echo(commands_to_go_on_with(recommendation.policy, case, stand_ins))
    if json_path is not None:
        report = make_report([result.row for result in results], compare_results(results))
        write_output(json_path, _to_json(case, stand_ins, recommendation, report))


def _stand_ins(tensors: Sequence[str], case: Case, seed: int, min_coverage: float) -> tuple[StandIn, ...]:
    """The tensors that were named, or the nearest embedded ones."""
    from gembench.data.embedded import RECORDED, TREES
    from gembench.load_race import load_races
    from gembench.nearest import nearest, stand_in

    # Of two as near, real answers come before generated ones.
    races = load_races(tensors or (*RECORDED, *TREES), min_coverage=min_coverage)
    for loaded in races:
        say_what_was_left_out(loaded)
    stand_ins = tuple(stand_in(loaded, case, seed=seed) for loaded in races)
    if not tensors:
        return nearest(stand_ins, case)
    for each in stand_ins:
        case.check_that_a_choice_is_left(each.loaded.num_queries, each.loaded.tensor)
    return stand_ins


def _print(*results: RenderableType) -> None:
    from rich.console import Console

    Console(highlight=False, markup=False).print(*results, sep="\n")


def _to_json(case: Case, stand_ins: Sequence[StandIn], recommendation: Recommendation, report: Report) -> str:
    described = [
        {
            "tensor": each.loaded.tensor,
            "num_models": each.loaded.num_models,
            "num_models_uncut": each.num_models_uncut,
            "num_queries": each.loaded.num_queries,
            "num_queries_uncut": each.num_queries_uncut,
            "difference": each.difference,
            "seconds_per_load": each.seconds_per_load,
            "seconds_per_query": each.seconds_per_query,
            "cost_source": each.loaded.cost_source,
            "distance": each.distance,
        }
        for each in stand_ins
    ]
    whole = {
        "case": dataclasses.asdict(case),
        "tensors": described,
        "recommendation": dataclasses.asdict(recommendation),
        **dataclasses.asdict(report),
    }
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"
