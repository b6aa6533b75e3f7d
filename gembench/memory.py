"""How much memory the runs in flight may take, and what is free given back."""

import ctypes
import sys

import psutil


def memory_for_runs(limit: int | None) -> int:
    """The bytes that the arrays of runs in flight may take: `limit`, by default a quarter of the machine's memory."""
    return limit or int(psutil.virtual_memory().total) // 4


def memory_for_strangers() -> int:
    """The bytes of address space that a replay of a stranger's policy may take: 3/4 of the memory, at most 16 GiB."""
    return min(16 * 2**30, int(psutil.virtual_memory().total) * 3 // 4)


def give_back_free_memory() -> None:
    """Return freed pages to the system where the C library keeps them: a compiler leaves 100 MB and more behind."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own.
        if trim is not None:
            trim(0)
