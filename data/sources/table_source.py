"""What a table in a file is: named columns, read some rows at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import pyarrow as pa

from gembench.data.sources.texts import reason
from gembench.errors import SourceError

BLOCK_BYTES = 32 << 20
"""How much text is parsed at a time; no row of a CSV can be longer."""


class Table(Protocol):
    """A table in a file."""

    @property
    def file(self) -> str:
        """Its path or URL."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Of its columns."""
        ...

    @property
    def is_own(self) -> bool:
        """Whether gembench wrote it."""
        ...

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """These columns (each once) in this order, some rows at a time."""
        ...

    def place(self, row: int) -> str:
        """How messages name a row, counted from 0."""
        ...


@contextmanager
def explaining(location: str) -> Iterator[None]:
    """Turns what Arrow says of a file into one line about it."""
    try:
        yield
    except SourceError:
        raise
    # Arrow raises ValueError, KeyError, OSError, MemoryError and its own; on foreign bytes any of them.
    except Exception as error:
        raise SourceError(f"{location}: cannot be read: {reason(error)}; write the file again.") from error
