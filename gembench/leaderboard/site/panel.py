"""Small charts of lines against N, queries per model, one for each tensor."""

from collections.abc import Sequence
from dataclasses import dataclass

from gembench.leaderboard.relative import Estimate
from gembench.leaderboard.site.axis import Axis, axis_of, log_axis, share_axis
from gembench.leaderboard.site.chart import LABEL_HEIGHT, Label, Series, cut, px

_WIDTH, _HEIGHT = 360, 246
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 218, 12, 206
_LABELS_X = 232
_MOST_LABELS = 14


@dataclass(frozen=True)
class Line:
    """A policy's line: an SVG path through its values, then along each interval."""

    series: Series
    path: str


@dataclass(frozen=True)
class Panel:
    """A chart of lines against N."""

    title: str
    width: int
    height: int
    x_axis: Axis
    y_axis: Axis
    lines: tuple[Line, ...]
    labels: tuple[Label, ...]


def line_panel(
    title: str,
    all_series: Sequence[Series],
    queries_per_model: Sequence[float],
    values: Sequence[Sequence[Estimate]],
    *,
    is_share: bool,
) -> Panel:
    """A panel of values [P, N] against N: shares in [0, 1], of which the highest is best, or ranks, the lowest."""
    x_axis = axis_of(queries_per_model, _LEFT, _RIGHT, room_for_text=30)
    if is_share:
        y_axis = share_axis(_BOTTOM, _TOP)
    else:
        ends = (end for line in values for each in line for end in (each.value, *each.span))
        y_axis = log_axis(ends, _TOP, _BOTTOM)
    order = sorted(range(len(queries_per_model)), key=lambda place: queries_per_model[place])
    lines, tips = [], []
    for series, line in zip(all_series, values, strict=True):
        points = [(x_axis.at(queries_per_model[place]), line[place]) for place in order]
        lines.append(Line(series, _path(points, y_axis)))
        tips.append(y_axis.at(points[-1][1].value))
    labels = _labels(all_series, tips, x_axis.at(queries_per_model[order[-1]]))
    return Panel(title, _WIDTH, _HEIGHT, x_axis, y_axis, tuple(lines), labels)


def _path(points: Sequence[tuple[float, Estimate]], y_axis: Axis) -> str:
    through = "L".join(f"{px(x)},{px(y_axis.at(each.value))}" for x, each in points)
    bars = "".join(
        f"M{px(x)},{px(y_axis.at(each.interval[0]))}V{px(y_axis.at(each.interval[1]))}"
        for x, each in points
        if each.interval is not None
    )
    return f"M{through}{bars}"


def _labels(all_series: Sequence[Series], tips: Sequence[float], tip_x: float) -> tuple[Label, ...]:
    """Labels in a column, as near to the tips of their lines as they can be without touching each other."""
    shown = [series for series in all_series if series.is_reference or series.place < _MOST_LABELS - 1]
    shown.sort(key=lambda series: tips[series.place])
    labels, free = [], float(_TOP)
    for number, series in enumerate(shown):
        tip = tips[series.place]
        y = min(max(tip, free), _BOTTOM - LABEL_HEIGHT * (len(shown) - 1 - number))
        free = y + LABEL_HEIGHT
        leader = f"M{px(tip_x + 2)},{px(tip)}L{_LABELS_X - 2},{px(y)}"
        labels.append(Label(series, cut(series.name, _WIDTH - _LABELS_X), _LABELS_X, y, "start", leader))
    return tuple(labels)
