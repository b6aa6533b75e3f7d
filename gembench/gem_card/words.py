"""Numbers as a person reads them, and texts of strangers made fit for a page."""

import re
import unicodedata

from gembench.gem_card.facts import Interval

NONE = "–"
_MINUS = "−"
_HUB_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_HUB_MODEL = re.compile(rf"({_HUB_NAME}/{_HUB_NAME})(?:@[\w./-]+)?", re.ASCII)
_INVISIBLE = frozenset({"Cc", "Cf", "Cs"})
"""Control characters, marks that turn the direction of writing, halves of characters."""
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_MAGNITUDES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


def percent(share: float) -> str:
    """A share in [0, 1], such as 64.2%."""
    return f"{100 * share:.1f}%"


def percent_interval(interval: Interval) -> str:
    """An interval of shares, such as 61.0% to 68.3%."""
    return f"{percent(interval[0])} to {percent(interval[1])}"


def points(difference: float) -> str:
    """A difference of shares with its sign, such as +3.2 points."""
    return f"{_signed(difference)} points"


def points_interval(interval: Interval) -> str:
    """An interval of differences, such as −1.0 to +5.1 points."""
    return f"{_signed(interval[0])} to {_signed(interval[1])} points"


def chance(probability: float) -> str:
    """A probability out of some thousand draws, which cannot tell 0 and 1 for certain, such as 83%."""
    if probability in (0, 1):
        return "over 99.9%" if probability else "under 0.1%"
    if not 0.01 <= probability <= 0.99:
        return "over 99%" if probability > 0.5 else "under 1%"
    return f"{100 * probability:.0f}%"


def p_value(probability: float) -> str:
    """A p-value, such as p = 0.0031."""
    return "p < 0.0001" if probability < 0.0001 else f"p = {probability:.2g}"


def duration(seconds: float | None) -> str:
    """Seconds in the two largest units that they fill, such as 3 h 12 min."""
    if seconds is None:
        return NONE
    if 0 < seconds < 0.05:
        return "under 0.1 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    left, parts = round(seconds), list[str]()
    for unit, size in _UNITS:
        if parts or left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0 "))


def times(searched: float | None, exhaustive: float | None) -> str:
    """How a cost compares with the exhaustive one, such as 60× less."""
    if not searched or not exhaustive:
        return NONE
    ratio = exhaustive / searched
    if 0.95 < ratio < 1.05:
        return "the same"
    factor, word = (ratio, "less") if ratio > 1 else (1 / ratio, "more")
    return f"{factor:,.0f}× {word}" if factor >= 9.95 else f"{factor:.1f}× {word}"


def parameters(number: int) -> str:
    """A number of parameters, such as 3.1B."""
    for size, letter in _MAGNITUDES:
        if number >= 0.9995 * size:  # 999.9M reads 1B
            return f"{number / size:.3g}{letter}"
    return str(number)


def counted(number: int, noun: str) -> str:
    """A number of things, such as 1 query or 1,200 queries."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def one_line(text: str) -> str:
    """The text with every run of white space as one blank, and what cannot be seen as a replacement character."""
    return "".join("\ufffd" if unicodedata.category(c) in _INVISIBLE else c for c in " ".join(text.split()))


def encodable(text: str) -> str:
    """The very text, but for bytes of a file name that are no UTF-8: those become question marks."""
    return text.encode(errors="replace").decode()


def hub_url(model: str) -> str | None:
    """The model's page on the Hub, if its id has the form org/name[@revision]."""
    found = _HUB_MODEL.fullmatch(model)
    if found is None or ".." in found[1] or "--" in found[1]:
        return None
    return f"https://huggingface.co/{found[1]}"


def _signed(difference: float) -> str:
    tenths = f"{abs(100 * difference):.1f}"
    if tenths == "0.0":
        return tenths
    return f"{_MINUS if difference < 0 else '+'}{tenths}"
