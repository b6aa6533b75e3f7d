"""Parts of a picture that labels and marks take up."""

from typing import NamedTuple


class Box(NamedTuple):
    """A part of a picture."""

    left: float
    top: float
    right: float
    bottom: float


def overlap(box: Box, other: Box) -> bool:
    """Whether two boxes share more than an edge."""
    return box.left < other.right and other.left < box.right and box.top < other.bottom and other.top < box.bottom
