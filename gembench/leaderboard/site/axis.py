"""Axes of charts: where a number lies, in pixels, and which round numbers are written beside."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

_STEPS = (
    (1.0,),
    (1.0, 3.0),
    (1.0, 2.0, 5.0),
    (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
    tuple(1 + place / 10 for place in range(90)),
)
"""What is written in each power of ten, from the coarsest to the finest."""
_FEWEST_TICKS = 3
_MOST_TICKS = 8
_MARGIN = 0.04


@dataclass(frozen=True)
class Axis:
    """A stretch of numbers on a stretch of pixels.

    Attributes:
        low: the number at `start`.
        high: the number at `end`.
        start: in pixels.
        end: in pixels; less than `start` where the axis points left or up.
        is_log: whether equal factors have equal lengths.
        ticks: round numbers within.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """The pixel of a number; beyond the axis, its end."""
        inside = min(max(value, self.low), self.high)
        low, high, inside = (math.log(each) if self.is_log else each for each in (self.low, self.high, inside))
        return self.start + (self.end - self.start) * (inside - low) / (high - low)


def log_axis(values: Iterable[float], start: float, end: float) -> Axis:
    """A logarithmic axis for the positive ones of some numbers, which has a little room at both ends."""
    logs = [math.log10(value) for value in values if value > 0]
    low, high = min(logs, default=0.0), max(logs, default=0.0)
    room = max(_MARGIN * (high - low), 0.03)
    low, high = 10 ** (low - room), 10 ** (high + room)
    return Axis(low, high, start, end, is_log=True, ticks=_round_numbers(low, high))


def axis_of(values: Sequence[float], start: float, end: float, *, room_for_text: float) -> Axis:
    """A logarithmic axis on which the positive values themselves are written, but for those too near to another."""
    axis = log_axis(values, start, end)
    ticks: list[float] = []
    for value in sorted(values):
        if not ticks or abs(axis.at(value) - axis.at(ticks[-1])) >= room_for_text:
            ticks.append(value)
    return replace(axis, ticks=tuple(ticks))


def share_axis(start: float, end: float) -> Axis:
    """From 0 to 1."""
    return Axis(0.0, 1.0, start, end, is_log=False, ticks=(0.0, 0.25, 0.5, 0.75, 1.0))


def _round_numbers(low: float, high: float) -> tuple[float, ...]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for steps in _STEPS:
        finer = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
        if len(finer) > _MOST_TICKS and ticks:
            break
        ticks = finer[:: max(1, math.ceil(len(finer) / _MOST_TICKS))]
        if len(ticks) >= _FEWEST_TICKS:
            break
    return tuple(ticks)
