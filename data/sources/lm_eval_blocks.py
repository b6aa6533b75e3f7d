"""The rows of lm-evaluation-harness as they lie in a file: some hundred lines at a time, in bounded memory."""

import contextlib
from collections.abc import Iterator
from typing import IO, Any

import fsspec

from gembench.data.sources.files import MAX_BYTES, parse_json, read_bytes
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
    with _opened(path) as file:
        start = _read(file, 64, path)
        if start.lstrip()[:1] != b"[":
            yield from _lines(file, start, path)
            return
    array = parse_json(read_bytes(path, MAX_ARRAY_BYTES), path)
    if isinstance(array, list):
        yield 0, array


def _lines(file: IO[bytes], start: bytes, path: str) -> Iterator[tuple[int, list[bytes]]]:
    line, num_bytes, pieces = 1, 0, [start]
    is_packed = not path.endswith((".json", ".jsonl"))
    while data := _read(file, BLOCK_BYTES, path):
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
            if len(pieces) * BLOCK_BYTES > MAX_ROW_BYTES:
                raise SourceError(f"{path}, line {line}: the row is longer than {MAX_ROW_BYTES:,} bytes; shorten it.")
    if last := b"".join(pieces):
        yield line, last.split(b"\n")


@contextlib.contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    try:
        file = fsspec.open(path, "rb", compression="infer")
        opened = file.__enter__()
    except Exception as error:  # Each file system raises its own.
        raise SourceError(f"{path}: cannot be opened: {error or type(error).__name__}.") from error
    try:
        yield opened
    finally:
        file.close()


def _read(file: IO[bytes], num_bytes: int, path: str) -> bytes:
    try:
        return file.read(num_bytes)
    except Exception as error:  # Each file system and each decompressor raises its own.
        raise SourceError(f"{path}: cannot be read: {error or type(error).__name__}; copy it again.") from error
