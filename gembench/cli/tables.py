"""Results as tables for a terminal of 80 columns: under each mean, its 95% interval."""

import re
import statistics
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gembench.cli.plain_table import plain_table
from gembench.comparison import Comparison, summarize
from gembench.intervals import Interval
from gembench.load_race import ASSUMED_LOAD_SECONDS, ASSUMED_QUERY_SECONDS, LoadedRace
from gembench.result import Row

_NONE = "–"
_POLICY_WIDTH = 20
_MOST_KS_BESIDE_QUERIES = 1
"""With more columns of recall there is no room for the distinct queries."""
_COSTS = {
    "recorded": "as recorded",
    "stated": "by the tensor's own cost model",
    "assumed": f"assumed {ASSUMED_LOAD_SECONDS:g} s a model load and {ASSUMED_QUERY_SECONDS:g} s a query",
    "given": "as given",
}
_UNITS = (("h", 3600.0), ("min", 60.0), ("s", 1.0))


def results_table(loaded: LoadedRace, rows: Sequence[Row]) -> Table:
    """One tensor's results, at least one row: a row a policy, a section for each number of queries per model."""
    top_k = list(rows[0].recall)
    has_room = len(top_k) <= _MOST_KS_BESIDE_QUERIES
    unit, seconds_per_unit = cost_unit([row.cost_seconds_mean for row in rows])
    table = plain_table(
        title=f"{loaded.tensor}: {loaded.num_models:,} models, {loaded.num_queries:,} queries",
        caption=f"Means over {rows[0].runs:,} runs, seed {rows[0].seed}; below each its 95% interval. Recall: the "
        f"share of the true top k among the first k recommended. Cost: {_COSTS[loaded.cost_source]}."
        + (" Queries: how many any model was asked." if has_room else "")
        + _known_beforehand(rows),
    )
    table.add_column("policy", overflow="fold")
    headers = ["mean rank", "accuracy", *(f"recall@{k}" for k in top_k), *["queries"] * has_room, f"cost ({unit})"]
    for header in headers:
        table.add_column(header.replace("recall@", "recall\n@"), justify="right", no_wrap=True)
    previous: float | None = None
    for row in rows:
        if row.queries_per_model != previous:
            if previous is not None:
                table.add_row()
            table.add_row(Text(f"N = {row.queries_per_model:,g}", style="bold"))
            previous = row.queries_per_model
        table.add_row(
            folded(row.policy),
            cell(row.mean_rank, row.mean_rank_ci, ",.1f"),
            cell(row.mean_accuracy * 100, scaled(row.mean_accuracy_ci, 100), ".1f", "%"),
            *(cell(row.recall[k] * 100, scaled(row.recall_ci[k], 100), ".0f", "%") for k in top_k),
            *[cell(row.distinct_queries_mean, row.distinct_queries_mean_ci, ",.0f")] * has_room,
            cell(
                row.cost_seconds_mean / seconds_per_unit,
                scaled(row.cost_seconds_mean_ci, 1 / seconds_per_unit),
                ",.1f",
            ),
        )
    return table


def comparison_lines(comparisons: Sequence[Comparison]) -> RenderableType:
    """What is certain about the policies of one tensor, a line for each number of queries per model."""
    lines = [
        Text.assemble((f"N = {comparison.queries_per_model:,g}: ", "bold"), summary)
        for comparison in comparisons
        if (summary := summarize(comparison))
    ]
    if lines:
        lines.insert(0, Text())
        if any(difference.difference_ci for comparison in comparisons for difference in comparison.differences):
            lines.append(Text("(mean ranks; 95% for all pairs of a line at once)", style="dim"))
    return Group(*lines)


def _known_beforehand(rows: Sequence[Row]) -> str:
    """A sentence on what some policies were told before the race; nothing where none was."""
    told = [row for row in rows if row.history or row.prior]
    if not told:
        return ""
    what = [f"what other models answered ({', '.join(told[0].history_tensors)})"] if told[0].history else []
    what += [f"the prior {told[0].prior}"] if told[0].prior else []
    return f" Known beforehand to {', '.join(dict.fromkeys(row.policy for row in told))}: {' and '.join(what)}."


def cell(value: float, interval: Interval | None, spec: str, suffix: str = "") -> Text:
    """A mean, and below it its interval."""
    below = _NONE if interval is None else f"{interval[0]:{spec}}–{interval[1]:{spec}}"
    return Text.assemble(f"{value:{spec}}{suffix}\n", (below, "dim"))


def folded(policy: str) -> str:
    """A policy's text over several short lines, broken after an underscore, colon or comma."""
    lines = [""]
    for part in re.findall(r"[^_:,]*[_:,]?", policy):
        if lines[-1] and len(lines[-1] + part) > _POLICY_WIDTH:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def scaled(interval: Interval | None, factor: float) -> Interval | None:
    """The interval in another unit."""
    return None if interval is None else (interval[0] * factor, interval[1] * factor)


def cost_unit(cost_seconds: Sequence[float]) -> tuple[str, float]:
    """The largest unit in which half of the policies cost one or more: few digits, so that the table stays narrow."""
    middle = statistics.median_high(cost_seconds)
    return next((unit for unit in _UNITS if middle >= unit[1]), _UNITS[-1])
