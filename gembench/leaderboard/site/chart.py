"""What charts have in common: the policies they show, and labels beside what they name.

Charts are geometry that a template draws. The best is on top, and every point has its 95% interval. All lengths are
pixels of the drawing, which a page scales a little. Labels stand where they fit; a script shows all other names.
"""

from collections.abc import Sequence
from dataclasses import dataclass

LABEL_HEIGHT = 12.0
LABEL_LETTER = 6.1
"""Of the label's font, as wide as most texts need."""
_NUM_COLOURS = 10


@dataclass(frozen=True)
class Series:
    """One policy of a chart.

    Attributes:
        place: its number among all, from 0, the best, up.
        name: the policy.
        colour: one of ten, from that of the best to that of the worst.
        is_submission: whether it was submitted.
        is_reference: whether it is the reference.
    """

    place: int
    name: str
    colour: int
    is_submission: bool
    is_reference: bool


@dataclass(frozen=True)
class Label:
    """A text beside a line or point.

    Attributes:
        series: what it names.
        text: its name, cut where it is too long.
        x: of its start, or of its end where `anchor` says so.
        y: of its middle.
        anchor: `start` or `end`.
        leader: an SVG path from what is named to the text; empty where they touch.
    """

    series: Series
    text: str
    x: float
    y: float
    anchor: str
    leader: str


def series_of(names: Sequence[str], submissions: frozenset[str], reference: str) -> tuple[Series, ...]:
    """The series of all policies, given from the best to the worst."""
    return tuple(
        Series(place, name, place * _NUM_COLOURS // len(names), name in submissions, name == reference)
        for place, name in enumerate(names)
    )


def cut(name: str, width: float) -> str:
    """A name, or as much of it as a width has room for."""
    most = int(width / LABEL_LETTER)
    return name if len(name) <= most else f"{name[: most - 1]}…"


def px(pixels: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{pixels:.1f}".removesuffix(".0")
