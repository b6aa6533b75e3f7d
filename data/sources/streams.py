"""Files of any size, unpacked as they are read: `.gz`, `.zst` and `.bz2`, from any path or fsspec URL."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import fsspec
import pyarrow as pa

from gembench.data.stores import is_url, local_path
from gembench.errors import SourceError

CODECS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
MAX_LINE_BYTES = 64 << 20
"""The longest line that is read: a hostile archive can unpack to one of terabytes."""
BUFFER_BYTES = 1 << 20


def without_codec(location: str) -> str:
    """A location without the ending that names its compression."""
    return next((location.removesuffix(ending) for ending in CODECS if location.endswith(ending)), location)


@contextmanager
def open_unpacked(location: str) -> Iterator[BinaryIO]:
    """A file's bytes, unpacked where its name says that it is packed; not seekable then.

    Raises:
        SourceError: it cannot be opened, or (also while it is open) not be read.
    """
    codec = next((codec for ending, codec in CODECS.items() if location.endswith(ending)), None)
    path = location if is_url(location) else str(local_path(location))
    try:
        with fsspec.open(path, "rb") as file:
            if codec is None:
                yield file
            else:
                # Arrow's streams have no `readline`, which the buffer adds.
                unpacked = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), codec)
                with io.BufferedReader(cast(Any, unpacked), BUFFER_BYTES) as buffered:
                    yield cast(BinaryIO, buffered)
    except (OSError, ImportError, EOFError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(f"{location}: cannot be read: {reason}; is it whole?") from error


def read_lines(location: str) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that hold anything, each with its number from 1.

    Raises:
        SourceError: the file cannot be read, or a line is longer than `MAX_LINE_BYTES`.
    """
    number = 0
    with open_unpacked(location) as file:
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise SourceError(f"{location}, line {number}: it is longer than {MAX_LINE_BYTES:,} bytes.")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.isspace():
                yield number, line
