"""How much memory the runs in flight may take, and what is free given back."""

import ctypes
import resource
import sys
from pathlib import Path

import psutil


def memory_for_runs(limit: int | None) -> int:
    """The bytes that the arrays of runs in flight may take: `limit`, by default a quarter of the machine's memory."""
    return limit or int(psutil.virtual_memory().total) // 4


def memory_for_strangers() -> int:
    """The bytes of address space that a replay of a stranger's policy may take: 3/4 of the memory, at most 16 GiB."""
    return min(16 * 2**30, int(psutil.virtual_memory().total) * 3 // 4)


def bound_memory(num_bytes: int) -> None:
    """Let this process have so much address space, and be what the kernel ends first where memory runs out."""
    resource.setrlimit(resource.RLIMIT_AS, (num_bytes, num_bytes))
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def give_back_free_memory() -> None:
    """Return freed pages to the system where the C library keeps them: a compiler leaves 100 MB and more behind."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own.
        if trim is not None:
            trim(0)
