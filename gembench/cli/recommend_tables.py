"""What `gembench recommend` prints around the tables of results, in 80 columns."""

import shlex
from collections.abc import Sequence

from rich.table import Table

from gembench.cli.plain_table import plain_table
from gembench.cli.tables import cell, cost_unit, folded, scaled
from gembench.experiment import Settings
from gembench.nearest import Case, StandIn
from gembench.recommend import Recommendation

_COLUMNS = 80
_MORE_RUNS = 1000


def stand_ins_table(case: Case, stand_ins: Sequence[StandIn], seed: int) -> Table:
    """Which tensors stand for the case, and how near they are."""
    table = plain_table(title=f"Tensors that stand for {_described(case)}", caption=_caption(case, stand_ins, seed))
    table.add_column("tensor", overflow="fold")
    for header in ("models", "queries", "differ", "load (s)", "query (s)", "distance"):
        table.add_column(header, justify="right", no_wrap=True)
    for each in stand_ins:
        table.add_row(
            each.loaded.tensor,
            _cut(each.loaded.num_models, each.num_models_uncut),
            _cut(each.loaded.num_queries, each.num_queries_uncut),
            "unknown" if each.difference is None else f"{each.difference:.1%}",
            f"{each.seconds_per_load:,.3g}",
            f"{each.seconds_per_query:,.3g}",
            f"{each.distance:.2f}",
        )
    return table


def standings_table(recommendation: Recommendation, settings: Settings) -> Table:
    """All policies over all the tensors, the lowest mean rank first."""
    standings = recommendation.standings
    unit, seconds_per_unit = cost_unit([each.cost_seconds for each in standings])
    table = plain_table(
        title="Verdict over these tensors",
        caption=f"Mean rank: geometric mean over the tensors. Cost and loads: means. {settings.num_runs:,} runs each, "
        f"seed {settings.seed}; below each its 95% interval. As good: a mean rank within a tenth of the lowest, and "
        "no better policy beats it for certain on any of the tensors. Recommended: the cheapest of these.",
    )
    table.add_column("policy", overflow="fold")
    for header in ("mean rank", f"cost ({unit})", "model loads"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for each in standings:
        table.add_row(
            folded(each.policy),
            cell(each.mean_rank, each.mean_rank_ci, ",.1f"),
            cell(each.cost_seconds / seconds_per_unit, scaled(each.cost_seconds_ci, 1 / seconds_per_unit), ",.1f"),
            cell(each.model_loads, each.model_loads_ci, ",.0f"),
            each.verdict,
            style="bold" if each.policy == recommendation.policy else None,
        )
    return table


def commands_to_go_on_with(policy: str, case: Case, stand_ins: Sequence[StandIn]) -> str:
    """The command that searches with the policy, and the one that replays it at length on the whole tensors."""
    chosen = [("--policy", policy), ("--queries-per-model", str(case.queries_per_model))]
    tensors = [(each.loaded.tensor,) for each in stand_ins]
    search = [("gembench", "search"), ("--tree", "BASE"), ("--suite", "SUITE"), *chosen, ("-o", "STORE")]
    replay = [("gembench", "simulate"), *tensors, *chosen, ("--runs", str(_MORE_RUNS))]
    return (
        f"To search with it:\n{_command(search)}\nTo replay it at length on the whole of these tensors:\n"
        f"{_command(replay)}"
    )


def _described(case: Case) -> str:
    known = [
        f"{case.num_models:,} models" if case.num_models is not None else "",
        f"{case.num_queries:,} queries" if case.num_queries is not None else "",
        f"{case.queries_per_model:,g} queries per model",
        f"difference {case.difference:.1%}" if case.difference is not None else "",
    ]
    return ", ".join(filter(None, known))


def _caption(case: Case, stand_ins: Sequence[StandIn], seed: int) -> str:
    sentences = []
    if any(_is_cut(each) for each in stand_ins):
        sentences.append(f"A larger tensor is cut by a random draw (seed {seed}).")
    sentences.append(
        "Differ: the share of queries that a model and the one most like it answer differently (median). Load and "
        f"query: mean seconds{', as given' if case.seconds_per_load is not None else ''}. Distance from the case: "
        "in doublings of what is known of it; 0 is as like it."
    )
    if all(_is_smaller(each, case) for each in stand_ins):
        sentences.append(
            "All are smaller than the case: gembench synth generates trees of any size, to be given with --tensor."
        )
    return " ".join(sentences)


def _is_cut(each: StandIn) -> bool:
    return each.loaded.num_models < each.num_models_uncut or each.loaded.num_queries < each.num_queries_uncut


def _is_smaller(each: StandIn, case: Case) -> bool:
    return each.loaded.num_models < (case.num_models or 0) or each.loaded.num_queries < (case.num_queries or 0)


def _cut(number: int, uncut: int) -> str:
    return f"{number:,} of {uncut:,}" if number < uncut else f"{number:,}"


def _command(parts: Sequence[Sequence[str]]) -> str:
    """The command for a shell, continued between two parts where a line would be too long."""
    lines = [" "]
    for part in map(shlex.join, parts):
        if len(lines[-1]) + len(part) + len("  \\") > _COLUMNS:
            lines.append("   ")
        lines[-1] += f" {part}"
    return " \\\n".join(lines)
