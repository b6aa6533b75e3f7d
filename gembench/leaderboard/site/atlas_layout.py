"""Where the models of a tree lie in its atlas: a dandelion around every model that others were made from.

Children are packed around their parent, those without children of their own next to it and the more downloaded of them
first, then the smaller dandelions before the larger ones. Nothing is drawn at random, no two models overlap, and a
change to one branch leaves the shape of the others as it is; a force-directed layout has none of the three.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

GAP = 1.4
"""Between any two models."""
_NUM_ANGLES = 720
_STEPS_TO_ENCLOSE = 200
_TOWARDS_ROOTS = math.pi / 6
"""The second tree lies to the right of the first and somewhat below: that suits both wide and narrow screens."""


class Disc(NamedTuple):
    """A round place: its centre and radius."""

    x: float
    y: float
    radius: float


def lay_out(parents: Sequence[int | None], radii: Sequence[float]) -> NDArray[np.float64]:
    """The centres of M models, [M, 2].

    Args:
        parents: each model's parent by its place in this sequence, None for a root. There is no cycle.
        radii: how large each model is drawn.
    """
    children: list[list[int]] = [[] for _ in parents]
    for model, parent in enumerate(parents):
        if parent is not None:
            children[parent].append(model)
    roots = [model for model, parent in enumerate(parents) if parent is None]
    centres = np.zeros((len(parents), 2))
    size = np.asarray(radii, dtype=np.float64)
    branch: dict[int, list[int]] = {}
    enclosing: dict[int, Disc] = {}
    for model in _children_first(children, roots):
        grown = _in_order(children[model], children, enclosing)
        members = _pack(centres, branch, enclosing, grown, Disc(0.0, 0.0, float(size[model])), 0.0)
        branch[model] = [model, *members]
        enclosing[model] = _enclose(centres[branch[model]], size[branch[model]])
    roots.sort(key=lambda root: -enclosing[root].radius)
    # A hub that leaves no distance to the largest tree: that one lies in the middle, the others around it.
    nowhere = Disc(0.0, 0.0, -GAP - enclosing[roots[0]].radius)
    _pack(centres, branch, enclosing, roots, nowhere, _TOWARDS_ROOTS)
    return centres


def _children_first(children: Sequence[Sequence[int]], roots: Sequence[int]) -> list[int]:
    """All models, each after its children. Trees may be deeper than Python's stack."""
    order, waiting = list[int](), list(roots)
    while waiting:
        model = waiting.pop()
        order.append(model)
        waiting.extend(children[model])
    return order[::-1]


def _in_order(models: Sequence[int], children: Sequence[Sequence[int]], enclosing: dict[int, Disc]) -> list[int]:
    """Models without children from the largest to the smallest, then the others from the smallest to the largest."""

    def key(model: int) -> tuple[bool, float, int]:
        radius = enclosing[model].radius
        return (True, radius, model) if children[model] else (False, -radius, model)

    return sorted(models, key=key)


def _pack(
    centres: NDArray[np.float64],
    branch: dict[int, list[int]],
    enclosing: dict[int, Disc],
    models: Sequence[int],
    hub: Disc,
    towards: float,
) -> list[int]:
    """Move the branches of some models to where they are closest to the hub; returns all models in those branches.

    Of places that are as close, the one nearest to the angle `towards` is taken.
    """
    steps = np.arange(_NUM_ANGLES)
    turns = np.where(steps % 2, (steps + 1) // 2, -(steps // 2)) * (2 * math.pi / _NUM_ANGLES) + towards
    directions = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    placed = np.zeros((len(models) + 1, 3))
    placed[0] = hub
    members: list[int] = []
    for count, model in enumerate(models, start=1):
        disc = enclosing[model]
        distance = _free_distance(placed[:count], directions, disc.radius)
        best = int(np.argmin(distance.round(6)))  # sines differ in their last bits from one library to the next
        place = distance[best] * directions[best]
        placed[count] = (*place, disc.radius)
        _move(centres, branch[model], disc, place, float(turns[best]))
        members += branch[model]
    return members


def _free_distance(placed: NDArray[np.float64], directions: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """How far out in each direction, [A], a disc is beyond all that are placed, [n, 3]."""
    along = directions @ placed[:, :2].T
    across = directions[:, [1]] * placed[:, 0] - directions[:, [0]] * placed[:, 1]
    reach = radius + placed[:, 2] + GAP
    room = reach * reach - across * across
    return np.asarray(np.where(room > 0, along + np.sqrt(np.maximum(room, 0.0)), 0.0).max(axis=1))


def _move(
    centres: NDArray[np.float64], models: list[int], disc: Disc, place: NDArray[np.float64], direction: float
) -> None:
    """Bring a branch, whose own root lies at the origin, to its place, its root towards the hub."""
    turn = direction - math.atan2(disc.y, disc.x) if math.hypot(disc.x, disc.y) > 1e-9 else 0.0
    cos, sin = math.cos(turn), math.sin(turn)
    offset = centres[models] - (disc.x, disc.y)
    centres[models] = offset @ np.array([[cos, sin], [-sin, cos]]) + place


def _enclose(centres: NDArray[np.float64], radii: NDArray[np.float64]) -> Disc:
    """A small disc around some others, by the steps of Badoiu and Clarkson, "Smaller core-sets for balls" (2003)."""
    middle = centres[0].copy()
    for step in range(1, _STEPS_TO_ENCLOSE if len(centres) > 1 else 1):
        offset = centres - middle
        distance = np.hypot(offset[:, 0], offset[:, 1])
        farthest = int(np.argmax((distance + radii).round(6)))
        reach = distance[farthest] + radii[farthest]
        middle += offset[farthest] * (reach / max(distance[farthest], 1e-9)) / (step + 1)
    offset = centres - middle
    return Disc(float(middle[0]), float(middle[1]), float((np.hypot(offset[:, 0], offset[:, 1]) + radii).max()))
