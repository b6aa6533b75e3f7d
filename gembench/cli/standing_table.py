"""The standing of policies on a benchmark, as a table for a terminal of 80 columns."""

from rich.console import Console
from rich.text import Text

from gembench.cli.plain_table import plain_table
from gembench.cli.tables import folded
from gembench.leaderboard.relative import Estimate
from gembench.leaderboard.standing import Pair, Standing


def print_standing(standing: Standing) -> None:
    """The table, and which policies cannot be told apart."""
    table = plain_table(
        title=f"Benchmark {standing.benchmark}",
        caption=f"{standing.runs:,} runs in each of {len(standing.entries[0].cells)} cells, seed {standing.seed}; "
        f"below each number its 95% interval. All are relative to {standing.reference}. On the front: no other policy "
        f"has as low a rank in as few seconds.",
    )
    table.add_column("place", justify="right")
    table.add_column("policy", overflow="fold")
    for header in ("mean rank", "pulls", "seconds"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("front", justify="center")
    for entry in standing.entries:
        table.add_row(
            str(entry.place),
            folded(entry.name),
            _cell(entry.rank),
            _cell(entry.pulls),
            _cell(entry.cost_seconds),
            "yes" if entry.is_on_front else "",
        )
    console = Console(highlight=False, markup=False)
    console.print(table, "")
    for pair in standing.pairs:
        if not pair.is_certain:
            console.print(f"Cannot be told apart: {pair.better} and {pair.worse}.", soft_wrap=True)


def print_pairs(standing: Standing, name: str) -> None:
    """One policy against each of the others."""
    (entry,) = (entry for entry in standing.entries if entry.name == name)
    table = plain_table(
        title=f"{name}: place {entry.place} of {len(standing.entries)}",
        caption=f"Mean rank relative to the other's, and an interval that holds for all pairs of the standing at once, "
        f"with {standing.confidence:.0%} confidence: below 1 {name} is better.",
    )
    table.add_column("against", overflow="fold")
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("interval", justify="right", no_wrap=True)
    table.add_column("so it is", no_wrap=True)
    for pair in standing.pairs_of(name):
        is_better = pair.better == name
        ratio = 1 / pair.ratio if is_better else pair.ratio
        table.add_row(
            folded(pair.worse if is_better else pair.better),
            f"{ratio:.3g}",
            _interval(pair, is_inverse=is_better),
            ("better" if is_better else "worse") if pair.is_certain else "not told apart",
        )
    Console(highlight=False, markup=False).print("", table)


def _interval(pair: Pair, *, is_inverse: bool) -> str:
    if pair.interval is None:
        return "–"
    low, high = pair.interval
    return f"{1 / high:.3g}–{1 / low:.3g}" if is_inverse else f"{low:.3g}–{high:.3g}"


def _cell(estimate: Estimate) -> Text:
    interval = estimate.interval
    below = "–" if interval is None else f"{interval[0]:.3g}–{interval[1]:.3g}"
    return Text.assemble(f"{estimate.value:.3g}\n", (below, "dim"))
