"""Files of any size, unpacked as they are read: `.gz`, `.zst` and `.bz2`, from any path or fsspec URL."""

import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import fsspec
import orjson
import pyarrow as pa

from gembench.data.sources.texts import clean_text, one_line
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
    # Arrow's streams have no `readline`, which the buffer adds.
    with open_for_arrow(location) as stream, io.BufferedReader(cast(Any, stream), BUFFER_BYTES) as buffered:
        yield cast(BinaryIO, buffered)


@contextmanager
def open_for_arrow(location: str) -> Iterator[pa.NativeFile]:
    """As `open_unpacked`, for Arrow's readers.

    Their threads read ahead, and must not meet the end of Python in a Python file: local files are Arrow's own.

    Raises:
        SourceError: as `open_unpacked`.
    """
    codec = next((codec for ending, codec in CODECS.items() if location.endswith(ending)), None)
    try:
        with contextlib.ExitStack() as stack:
            if is_url(location):
                file = pa.PythonFile(stack.enter_context(fsspec.open(location, "rb")), mode="r")
            else:
                file = stack.enter_context(pa.OSFile(str(local_path(location))))
            yield file if codec is None else stack.enter_context(pa.CompressedInputStream(file, codec))
    except (OSError, ImportError, EOFError) as error:
        reason = one_line(str(error)) or type(error).__name__
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
            if not line.isspace():
                yield number, line


def parse_object(line: bytes, place: str, watched: Sequence[bytes]) -> dict[str, Any]:
    """The JSON object of a line. NaN and Infinity, which Python's writer makes of such numbers, are read as those.

    Its keys, and its texts outside of lists, can be stored as UTF-8.

    Args:
        line: one line.
        place: what messages call it.
        watched: keys in their quotes that must not stand twice in one object, of which a reader keeps one in silence.

    Raises:
        SourceError: it is no JSON object, or one with such keys.
    """
    is_twice = False
    for key in watched:
        is_twice |= line.count(key) > 1
    if not is_twice:
        with contextlib.suppress(orjson.JSONDecodeError):  # Python's own reader is slower, and takes more.
            return _object(orjson.loads(line), place)

    def clean(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = {clean_text(key): clean_text(value) if isinstance(value, str) else value for key, value in pairs}
        if len(content) < len(pairs):
            raise SourceError(f"{place}: a key stands twice in one object; keep one of {', '.join(sorted(content))}.")
        return content

    try:
        return _object(json.loads(line, object_pairs_hook=clean), place)
    except UnicodeDecodeError as error:
        raise SourceError(f"{place}: it is not UTF-8; write the file again.") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{place}: it is cut short, or not JSON; copy the file again.") from error


def _object(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SourceError(f"{place}: no JSON object stands there.")
    return value
