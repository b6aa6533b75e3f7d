"""What a plot of a report shows, whatever draws it: a row of panels for each tensor, a line for each policy."""

from collections.abc import Sequence
from dataclasses import dataclass

from gembench.intervals import Interval
from gembench.result import Report, Row


@dataclass(frozen=True)
class Look:
    """How a policy is drawn in every panel: never by colour alone.

    Attributes:
        colour: a hex code. The colours are Paul Tol's "muted" scheme and black, which readers with any kind of colour
            blindness can tell apart (https://sronpersonalpages.nl/~pault/).
        marker: a marker, as matplotlib names it.
        dashed: whether the line is dashed: the second time round the colours.
    """

    colour: str
    marker: str
    dashed: bool


@dataclass(frozen=True)
class Line:
    """One policy in one panel: [P] points by rising x, and the 95% interval of each, None where there is none."""

    policy: str
    look: Look
    x: tuple[float, ...]
    y: tuple[float, ...]
    intervals: tuple[Interval | None, ...]


@dataclass(frozen=True)
class Panel:
    """One set of axes. The x axis is logarithmic in every panel.

    Attributes:
        tensor: whose results it shows.
        measure: what the y axis shows.
        x_label: what the x axis shows.
        log_y: whether the y axis is logarithmic.
        x_ticks: where to put ticks on the x axis; empty to leave it to whatever draws.
        lines: the policies.
    """

    tensor: str
    measure: str
    x_label: str
    log_y: bool
    x_ticks: tuple[float, ...]
    lines: tuple[Line, ...]


_COLOURS = (
    "#332288",
    "#CC6677",
    "#117733",
    "#DDCC77",
    "#88CCEE",
    "#AA4499",
    "#44AA99",
    "#882255",
    "#999933",
    "#000000",
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def looks_of(policies: Sequence[str]) -> dict[str, Look]:
    """A look for each policy; no two are the same among the first 70."""
    return {
        policy: Look(
            colour=_COLOURS[place % len(_COLOURS)],
            marker=_MARKERS[place % len(_MARKERS)],
            dashed=place // len(_COLOURS) % 2 == 1,
        )
        for place, policy in enumerate(policies)
    }


def lay_out(report: Report) -> tuple[tuple[Panel, ...], ...]:
    """The panels of a report with at least one row: a row of them for each tensor."""
    looks = looks_of(tuple(dict.fromkeys(row.policy for row in report.rows)))
    tensors = tuple(dict.fromkeys(row.tensor for row in report.rows))
    return tuple(_panels_of([row for row in report.rows if row.tensor == tensor], looks) for tensor in tensors)


def _panels_of(rows: Sequence[Row], looks: dict[str, Look]) -> tuple[Panel, ...]:
    tensor = rows[0].tensor
    num_each = tuple(sorted({row.queries_per_model for row in rows}))
    rank = [(row, row.queries_per_model, row.mean_rank, row.mean_rank_ci) for row in rows]
    by_cost = [(row, row.cost_seconds_mean, row.mean_rank, row.mean_rank_ci) for row in rows]
    panels = [Panel(tensor, "mean rank", "queries per model", True, num_each, _lines(rank, looks))]
    for k in rows[0].recall:
        recall = [(row, row.queries_per_model, row.recall[k], row.recall_ci[k]) for row in rows]
        panels.append(Panel(tensor, f"recall@{k}", "queries per model", False, num_each, _lines(recall, looks)))
    panels.append(Panel(tensor, "mean rank by cost", "cost (seconds)", True, (), _lines(by_cost, looks)))
    return tuple(panels)


def _lines(points: Sequence[tuple[Row, float, float, Interval | None]], looks: dict[str, Look]) -> tuple[Line, ...]:
    lines = []
    for policy in dict.fromkeys(row.policy for row, *_ in points):
        own = sorted((x, y, interval) for row, x, y, interval in points if row.policy == policy)
        x, y, intervals = zip(*own, strict=True)
        lines.append(Line(policy, looks[policy], x, y, intervals))
    return tuple(lines)


def caption_of(report: Report) -> str:
    """What stands under the picture: the runs, the seed, the version, and what the bands are."""
    first = report.rows[0]
    return (
        f"Means over {first.runs:,} runs, seed {first.seed}; the bands are 95% intervals of each mean. "
        f"gembench {report.version}"
    )
