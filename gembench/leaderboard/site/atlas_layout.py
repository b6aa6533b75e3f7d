"""Where the models of a tree lie in its atlas: a dandelion around every model that others were made from.

Children are packed around their parent, those without children of their own next to it and the more downloaded of them
first, then the smaller dandelions before the larger ones. Nothing is drawn at random, no two models overlap, and a
change to one branch leaves the shape of the others as it is; a force-directed layout has none of the three.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

GAP, _GAP_OF_BRANCHES, _GAP_OF_TREES = 1.5, 4.0, 12.0
"""Left free around a model, around one with its descendants, and around a whole tree."""
_NUM_ANGLES = 720
_FLATNESS = 1.4
"""Trees lie beside each other rather than above: screens on which there is much to see are wide."""


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
    circles = np.zeros((len(parents), 3))
    circles[:, 2] = radii
    branches: dict[int, list[int]] = {}
    for model in _children_first(children, roots):
        branches[model] = [model]
        inner = [child for child in children[model] if not children[child]]
        outer = [child for child in children[model] if children[child]]
        inner.sort(key=lambda child: -radii[child])
        outer.sort(key=lambda child: _extent(circles[branches[child]]))
        for child in inner:
            _attach(circles, branches[model], branches.pop(child), GAP)
        for child in outer:
            _attach(circles, branches[model], branches.pop(child), _GAP_OF_BRANCHES)
    roots.sort(key=lambda root: -_extent(circles[branches[root]]))
    forest = branches[roots[0]]
    for root in roots[1:]:
        _attach(circles, forest, branches[root], _GAP_OF_TREES, _FLATNESS)
    return circles[:, :2]


def _children_first(children: Sequence[Sequence[int]], roots: Sequence[int]) -> list[int]:
    """All models, each after its children. Trees may be deeper than Python's stack."""
    order, waiting = list[int](), list(roots)
    while waiting:
        model = waiting.pop()
        order.append(model)
        waiting.extend(children[model])
    return order[::-1]


def _extent(circles: NDArray[np.float64]) -> float:
    """How far some circles, [n, 3] of x, y and radius, reach from the origin."""
    return float((np.hypot(circles[:, 0], circles[:, 1]) + circles[:, 2]).max())


def _attach(
    circles: NDArray[np.float64], placed: list[int], branch: list[int], gap: float, flatness: float = 1.0
) -> None:
    """Move a branch to where it is closest to the origin, beyond all that is placed, and place it.

    Its root lies at the origin, and so does the hub that it is attached to. It is turned so that what was to the right
    of its root points outwards. Of places that are as close, the one nearest to the right of the hub is taken.

    Args:
        circles: [M, 3], x, y and radius; the branch's are changed.
        placed: models that lie where they are to be; the branch's are added.
        branch: the models to move.
        gap: to be left free.
        flatness: how many times farther a place above or below the hub seems than one beside it.
    """
    steps = np.arange(_NUM_ANGLES)
    turns = np.where(steps % 2, (steps + 1) // 2, -(steps // 2)) * (2 * math.pi / _NUM_ANGLES)
    cos, sin = np.cos(turns)[:, None], np.sin(turns)[:, None]
    x, y, radius = circles[placed].T
    along, across = cos * x + sin * y, cos * y - sin * x  # from the hub in every direction, and to its left
    distance = np.zeros(_NUM_ANGLES)
    for ahead, aside, size in circles[branch]:
        reach = radius + size + gap
        room = reach * reach - (across - aside) ** 2
        beyond = np.where(room > 0, along - ahead + np.sqrt(np.maximum(room, 0.0)), 0.0)
        np.maximum(distance, beyond.max(axis=1), out=distance)
    seeming = distance * np.hypot(cos[:, 0], flatness * sin[:, 0])
    best = int(np.argmin(seeming.round(6)))  # sines differ in their last bits from one library to the next
    turned = circles[branch, :2] @ np.array([[cos[best, 0], sin[best, 0]], [-sin[best, 0], cos[best, 0]]])
    circles[branch, :2] = turned + distance[best] * np.array([cos[best, 0], sin[best, 0]])
    placed += branch
