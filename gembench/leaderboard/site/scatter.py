"""The chart of quality against seconds, with the Pareto front."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gembench.leaderboard.relative import Estimate
from gembench.leaderboard.site.axis import Axis, log_axis
from gembench.leaderboard.site.box import Box, overlap
from gembench.leaderboard.site.chart import LABEL_HEIGHT, LABEL_LETTER, Label, Series, cut, px

_LEFT, _TOP, _BELOW, _RIGHT = 44, 14, 44, 16
_LABEL_WIDTH = 200


@dataclass(frozen=True)
class Point:
    """A policy's point, and its two intervals as an SVG path around (0, 0)."""

    series: Series
    x: float
    y: float
    whiskers: str


@dataclass(frozen=True)
class Scatter:
    """A chart of points; `front` is an SVG path along those that no other one beats in both."""

    width: int
    height: int
    x_axis: Axis
    y_axis: Axis
    points: tuple[Point, ...]
    labels: tuple[Label, ...]
    front: str


def scatter(
    all_series: Sequence[Series],
    across: Sequence[Estimate],
    down: Sequence[Estimate],
    on_front: Sequence[bool],
    *,
    width: int,
    height: int,
) -> Scatter:
    """A chart of two measures [P], both logarithmic, the least of both in the upper left corner."""
    bottom = height - _BELOW
    x_axis = log_axis((end for each in across for end in (each.value, *each.span)), _LEFT, width - _RIGHT)
    y_axis = log_axis((end for each in down for end in (each.value, *each.span)), _TOP, bottom)
    points = []
    for series, first, second in zip(all_series, across, down, strict=True):
        x, y = x_axis.at(first.value), y_axis.at(second.value)
        left, right = (px(x_axis.at(end) - x) for end in first.span)
        top, low = (px(y_axis.at(end) - y) for end in second.span)
        points.append(Point(series, x, y, f"M{left},0H{right}M0,{top}V{low}"))
    corners = _corners(sorted((point.x, point.y) for point in points if on_front[point.series.place]))
    points_first = sorted(
        points, key=lambda point: (not on_front[point.series.place], not point.series.is_reference, point.series.place)
    )
    strokes = [_around(*first, *last) for first, last in itertools.pairwise(corners)]
    return Scatter(
        width=width,
        height=height,
        x_axis=x_axis,
        y_axis=y_axis,
        points=tuple(points),
        labels=_labels(points_first, strokes, Box(_LEFT, 0, width, bottom + 4)),
        front="M" + "L".join(f"{px(x)},{px(y)}" for x, y in corners),
    )


def _corners(front: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The steps along a front, from the quickest to the best: a rank is to be had from its own seconds on."""
    corners = list(front[:1])
    for x, y in front[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    return corners


def _labels(points: Sequence[Point], strokes: Sequence[Box], frame: Box) -> tuple[Label, ...]:
    """Labels beside, above or below their points, those of the first points first, where nothing else is."""
    taken = [_around(point.x, point.y, point.x, point.y) for point in points] + list(strokes)
    labels = []
    for point in points:
        text = cut(point.series.name, _LABEL_WIDTH)
        for anchor, x, y in _spots(point):
            left = x if anchor == "start" else x - len(text) * LABEL_LETTER
            box = Box(left, y - LABEL_HEIGHT / 2, left + len(text) * LABEL_LETTER, y + LABEL_HEIGHT / 2)
            is_across = frame.left <= box.left and box.right <= frame.right
            is_inside = is_across and frame.top <= box.top and box.bottom <= frame.bottom
            if is_inside and not any(overlap(box, other) for other in taken):
                taken.append(box)
                labels.append(Label(point.series, text, x, y, anchor, ""))
                break
    return tuple(labels)


def _spots(point: Point) -> Iterator[tuple[str, float, float]]:
    """Where a label may stand, the best first."""
    yield "start", point.x + 9, point.y
    yield "end", point.x - 9, point.y
    for y in (point.y - 14, point.y + 14):
        yield "start", point.x - 4, y
        yield "end", point.x + 4, y


def _around(x: float, y: float, other_x: float, other_y: float) -> Box:
    """The box around a stroke between two points, and a little room."""
    return Box(min(x, other_x) - 6, min(y, other_y) - 6, max(x, other_x) + 6, max(y, other_y) + 6)
