"""How much memory the runs in flight may take."""

import psutil


def memory_for_runs(limit: int | None) -> int:
    """The bytes that the arrays of runs in flight may take: `limit`, by default a quarter of the machine's memory."""
    return limit or int(psutil.virtual_memory().total) // 4
