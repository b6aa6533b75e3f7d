"""The rows of lm-evaluation-harness as they lie in a file: some hundred lines at a time, in bounded memory."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from gembench.data.sources.files import MAX_BYTES, parse_json, read_bytes
from gembench.data.sources.streams import open_unpacked, without_codec
from gembench.errors import SourceError

BLOCK_BYTES = 1 << 19
MAX_ROW_BYTES = 1 << 28
MAX_ARRAY_BYTES = 1 << 30
"""A file that is one JSON array is read whole."""


def read_blocks(path: str) -> Iterator[tuple[int, list[Any]]]:
    """The rows of a file, some hundred at a time, each block with the number of its first line.

    Rows are bytes, not parsed yet; those of an array are what it holds, and their line is 0.

    Raises:
        SourceError: the file cannot be read, is a broken array, or has no end of line where one should be.
    """
    with open_unpacked(path) as file:
        start = file.read(64)
        if start.lstrip()[:1] != b"[":
            yield from _lines(file, start, path)
            return
    array = parse_json(read_bytes(path, MAX_ARRAY_BYTES), path)
    if isinstance(array, list):
        yield 0, array


def _lines(file: BinaryIO, start: bytes, path: str) -> Iterator[tuple[int, list[bytes]]]:
    line, num_bytes, pieces = 1, 0, [start]
    is_packed = without_codec(path) != path
    while data := file.read(BLOCK_BYTES):
        num_bytes += len(data)
        if is_packed and num_bytes > MAX_BYTES:
            raise SourceError(f"{path}: unpacks to more than {MAX_BYTES:,} bytes; unpack it first if that is meant.")
        whole, newline, rest = data.rpartition(b"\n")
        if newline:
            block = b"".join([*pieces, whole]).split(b"\n")
            yield line, block
            line += len(block)
            pieces = [rest]
        else:
            pieces.append(data)
            if sum(map(len, pieces)) > MAX_ROW_BYTES:
                raise SourceError(f"{path}, line {line}: the row is longer than {MAX_ROW_BYTES:,} bytes; shorten it.")
    if last := b"".join(pieces):
        yield line, last.split(b"\n")
