"""sha256 of files on disk, each computed once while the file stays as it is."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

_SAMPLED_BLOCKS = 16
_BLOCK_BYTES = 4096


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's content; computed again only when its size or time of change differ."""
    state = path.stat()
    return _file_sha256(path, state.st_ino, state.st_size, state.st_mtime_ns)


def sampled_sha256(path: Path) -> str:
    """Hex sha256 of 16 small blocks spread over a file: where it differs between files, so do they."""
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in range(_SAMPLED_BLOCKS):
            file.seek(max(0, size - _BLOCK_BYTES) * block // (_SAMPLED_BLOCKS - 1))
            digest.update(file.read(_BLOCK_BYTES))
    return digest.hexdigest()


def combined_sha256(digests: Iterable[str]) -> str:
    """Hex sha256 of several digests, whatever their order."""
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


@lru_cache(maxsize=65536)
def _file_sha256(path: Path, inode: int, size: int, changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
