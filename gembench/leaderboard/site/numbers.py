"""Numbers of the ranking as a person reads them: three digits, each with its interval."""

from gembench.gem_card.words import NONE, percent
from gembench.intervals import Interval


def number(value: float) -> str:
    """A positive number to three digits, such as 0.477, 2.40, 35.1 and 1,204."""
    text = f"{value:#.3g}".rstrip(".")
    if "e" not in text:
        return text
    return f"{value:,.0f}" if value >= 1 else f"{value:.4f}"


def number_interval(interval: Interval | None) -> str:
    """An interval of numbers, such as 0.447–0.509."""
    return NONE if interval is None else f"{number(interval[0])}–{number(interval[1])}"


def share_interval(interval: Interval | None) -> str:
    """An interval of shares, such as 61.0–68.3%."""
    return NONE if interval is None else f"{100 * interval[0]:.1f}–{percent(interval[1])}"
