"""The picture of an atlas: where circles, lines and labels go, in the units of an SVG that is 1,000 wide."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gembench.leaderboard.site.atlas import Node
from gembench.leaderboard.site.atlas_layout import lay_out
from gembench.leaderboard.site.box import Box, overlap

WIDTH = 1000.0
NUM_COLOURS = 8
LETTER_HEIGHT = 32.0
"""Of the labels on the narrowest screens, where they take the most of these units."""
_MAX_HEIGHT = 760.0
_MAX_SCALE = 10.0
_MARGIN = 36.0
_LETTER_WIDTH = 0.56 * LETTER_HEIGHT
_LEADER = 16.0
_MARK_WIDTH = 9.0
"""Of the ring and the square around a model."""
_SIDES = (
    *((1, 0, "start"), (-1, 0, "end"), (0, -1, "middle"), (0, 1, "middle")),
    *((1, -1, "start"), (-1, -1, "end"), (1, 1, "start"), (-1, 1, "end")),
    *((0, -1, "start"), (0, -1, "end"), (0, 1, "start"), (0, 1, "end")),
)
"""Where a label may be: to the right or left, below or above, and which end of its text the line leads to."""
_REACHES = (1.0, 2.0, 4.0)
_OVER_LABEL, _OVER_MARK = 10_000, 20


@dataclass(frozen=True)
class Circle:
    """A model: its centre, its radius and the number of its colour, 0 for the least accurate."""

    x: float
    y: float
    radius: float
    colour: int


@dataclass(frozen=True)
class Label:
    """A text beside a model, and the line that joins them.

    Attributes:
        node: the model, by its place among the nodes.
        text: what the model is.
        line: a path's `d`.
        x: of the text's start, middle or end, as `anchor` says.
        y: of the text's middle.
        anchor: as SVG's `text-anchor`.
    """

    node: int
    text: str
    line: str
    x: float
    y: float
    anchor: str


@dataclass(frozen=True)
class SizeKey:
    """A circle of the legend: how many downloads have its size, and where its text starts."""

    x: float
    radius: float
    text_x: float
    text: str


@dataclass(frozen=True)
class Drawing:
    """The whole picture.

    Attributes:
        height: of the SVG, whose width is 1,000.
        circles: the M models, in the order of the nodes.
        edges: from every model to its parent, a path's `d`.
        labels: of the best model and the recommended one.
        size_keys: the legend of sizes; empty where all are alike.
        size_y: its middle.
    """

    height: float
    circles: tuple[Circle, ...]
    edges: str
    labels: tuple[Label, ...]
    size_keys: tuple[SizeKey, ...]
    size_y: float


def draw(nodes: Sequence[Node]) -> Drawing:
    """The picture of a model tree."""
    radii = [_radius(node.downloads) for node in nodes]
    centres = lay_out([node.parent for node in nodes], radii)
    size = np.asarray(radii)[:, None]
    low, high = (centres - size).min(axis=0), (centres + size).max(axis=0)
    extent = high - low
    scale = float(min((WIDTH - 2 * _MARGIN) / extent[0], _MAX_HEIGHT / extent[1], _MAX_SCALE))
    moved = (centres - low) * scale + ((WIDTH - scale * extent[0]) / 2, _MARGIN)
    colours = colour_numbers([node.accuracy for node in nodes])
    circles = tuple(
        Circle(round(float(x), 1), round(float(y), 1), round(radius * scale, 1), colour)
        for (x, y), radius, colour in zip(moved, radii, colours, strict=True)
    )
    height = float(extent[1]) * scale + 2 * _MARGIN
    keys = _size_keys(nodes, scale)
    keys_height = 2 * max((key.radius for key in keys), default=0.0)
    return Drawing(
        height=round(height + keys_height, 1),
        circles=circles,
        edges="".join(
            f"M{circles[node.parent].x:g} {circles[node.parent].y:g}L{circle.x:g} {circle.y:g}"
            for node, circle in zip(nodes, circles, strict=True)
            if node.parent is not None
        ),
        labels=_labels(nodes, circles, height),
        size_keys=keys,
        size_y=round(height - _MARGIN / 2 + keys_height / 2, 1),
    )


def colour_numbers(accuracies: Sequence[float]) -> list[int]:
    """The colour of each model: about an eighth of them have each, and models as accurate have the same one.

    Accuracies crowd together near the best, where the differences matter, so that equal steps would not show them.
    """
    ordered = sorted(accuracies)
    return [bisect_left(ordered, accuracy) * NUM_COLOURS // len(ordered) for accuracy in accuracies]


def _radius(downloads: int | None) -> float:
    """By the logarithm: downloads differ by a factor of a million."""
    return 2.2 + 1.7 * math.log10(1 + (downloads or 0))


def _size_keys(nodes: Sequence[Node], scale: float) -> tuple[SizeKey, ...]:
    known = {node.downloads or 0 for node in nodes}
    if len(known) == 1:
        return ()
    keys, x = [], _MARGIN + 10 * _LETTER_WIDTH
    for power in range(0, 1 + int(math.log10(max(known))), 2):
        radius = _radius(10**power) * scale
        text = ("1", "100", "10K", "1M", "100M", "10B")[power // 2]
        keys.append(SizeKey(round(x + radius, 1), round(radius, 1), round(x + 2 * radius + 6, 1), text))
        x += 2 * radius + 24 + len(text) * _LETTER_WIDTH
    return tuple(keys)


def _labels(nodes: Sequence[Node], circles: Sequence[Circle], height: float) -> tuple[Label, ...]:
    """Labels that cover each other nowhere, and as few models as may be, those that are marked least of all."""
    centres = np.array([(circle.x, circle.y) for circle in circles])
    radii = np.array([circle.radius for circle in circles])
    texts = {place: _text(node) for place, node in enumerate(nodes)}
    is_marked = [node.is_gem or node.is_base or texts[place] != "" for place, node in enumerate(nodes)]
    weights = np.where(is_marked, _OVER_MARK, 1)
    taken: list[Box] = []
    labels = []
    for place, text in texts.items():
        if not text:
            continue
        candidates = [_beside(place, circles[place], text, side, reach) for reach in _REACHES for side in _SIDES]
        costs = []
        for _, box, leader in candidates:
            is_out = box.left < 0 or box.top < 0 or box.right > WIDTH or box.bottom > height
            clashes = sum(overlap(part, other) for part in (box, leader) for other in taken) + is_out
            is_covered = _is_under(box, centres, radii) | _is_under(leader, centres, radii)
            costs.append(clashes * _OVER_LABEL + float(weights @ is_covered))
        label, box, leader = candidates[int(np.argmin(costs))]
        labels.append(label)
        taken += [box, leader]
    return tuple(labels)


def _text(node: Node) -> str:
    names = (("best", node.rank == 1), ("recommended", node.is_recommended))
    return ", ".join(name for name, is_so in names if is_so)


def _beside(place: int, circle: Circle, text: str, side: tuple[int, int, str], reach: float) -> tuple[Label, Box, Box]:
    """The label on one side of its model, and the boxes around its text and its line."""
    across, down, anchor = side
    length = math.hypot(across, down)
    start, end = circle.radius + _MARK_WIDTH, circle.radius + _MARK_WIDTH + _LEADER * reach
    first, last = (
        (circle.x + across / length * distance, circle.y + down / length * distance) for distance in (start, end)
    )
    width = len(text) * _LETTER_WIDTH
    x = last[0] + 4 * across
    y = last[1] + (0.5 * LETTER_HEIGHT * down if across == 0 else 0.0)
    left = x - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
    label = Label(
        node=place,
        text=text,
        line=f"M{first[0]:.1f} {first[1]:.1f}L{last[0]:.1f} {last[1]:.1f}",
        x=round(x, 1),
        y=round(y, 1),
        anchor=anchor,
    )
    (x_of_first, y_of_first), (x_of_last, y_of_last) = first, last
    leader = Box(
        min(x_of_first, x_of_last), min(y_of_first, y_of_last), max(x_of_first, x_of_last), max(y_of_first, y_of_last)
    )
    return label, Box(left, y - LETTER_HEIGHT / 2, left + width, y + LETTER_HEIGHT / 2), leader


def _is_under(box: Box, centres: NDArray[np.float64], radii: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which models a box covers, in part at least."""
    nearest = np.clip(centres, box[:2], box[2:])
    return np.asarray(np.hypot(*(centres - nearest).T) < radii)
