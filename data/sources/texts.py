"""Texts of logs: made fit to be stored, hashed, and told apart."""

import hashlib
from collections import Counter
from collections.abc import Sequence


def clean_text(text: str) -> str:
    """A text that can be stored: half a surrogate pair, which JSON can hold and UTF-8 cannot, becomes `?`."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def one_line(text: str) -> str:
    """The text with every run of white space as one blank."""
    return " ".join(text.split())


def text_of(value: object) -> str:
    """A text of JSON, fit to be stored; "" if it is something else."""
    return clean_text(value) if isinstance(value, str) else ""


def reason(error: Exception) -> str:
    """What another library says went wrong, in one line of some length."""
    return clean_text(one_line(str(error)))[:300] or type(error).__name__


def date_of_name(stamp: str) -> str:
    """The date in a file's name as ISO 8601: names have hyphens for colons."""
    day, _, time = stamp.partition("T")
    return f"{day}T{time.replace('-', ':')}" if time else day


def text_hash(*texts: str) -> str:
    """The sha256 of texts, in hexadecimal; where each ends counts."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def numbered(names: Sequence[str], mark: str = "#") -> Sequence[str]:
    """The names, those that were there before with their occurrence: `a`, `b`, `a#2`."""
    if len(set(names)) == len(names):
        return names
    seen: Counter[str] = Counter()
    different = []
    for name in names:
        seen[name] += 1
        different.append(f"{name}{mark}{seen[name]}" if seen[name] > 1 else name)
    return different
