"""Models of a list whose weights are the very same, found without hashing more than must be."""

from collections import defaultdict
from pathlib import Path

from gembench.evaluate.file_digest import combined_sha256, file_sha256, sampled_sha256


class DuplicateWeights:
    """Remembers weights as they come by, and knows those that came before.

    Weights on the Hub are told apart by the digests that it publishes. Files here are read whole only where they agree
    in size and in a sample of their blocks. Weights here and on the Hub are not compared with each other.
    """

    def __init__(self) -> None:
        self._published: dict[str, str] = {}
        self._alike: defaultdict[tuple[str, ...], dict[str, tuple[Path, ...]]] = defaultdict(dict)

    def first_published(self, model: str, digests: tuple[str, ...]) -> str:
        """The model whose weight files, on the Hub, had the same digests before this one; "" if none had."""
        first = self._published.setdefault(combined_sha256(digests), model)
        return "" if first == model else first

    def first_on_disk(self, model: str, paths: tuple[Path, ...]) -> str:
        """The model whose weight files, here, had the same content before this one; "" if none had."""
        key = tuple(sorted(f"{path.stat().st_size} {sampled_sha256(path)}" for path in paths))
        alike = self._alike[key]
        same = next((other for other, others in alike.items() if _digest(others) == _digest(paths)), "")
        if not same:
            alike[model] = paths
        return same


def _digest(paths: tuple[Path, ...]) -> str:
    return combined_sha256(map(file_sha256, paths))
