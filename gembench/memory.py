"""How much memory the runs in flight may take."""

import psutil


def memory_for_runs(limit: int | None) -> int:
    """The bytes left for runs in a process that may grow to `limit`; by default to a quarter of the machine's memory.

    What the process holds already, tensors and libraries, counts. An eighth of the limit is always left, so that work
    goes on where the limit is lower than that.
    """
    limit = limit or psutil.virtual_memory().total // 4
    return max(limit - psutil.Process().memory_info().rss, limit // 8)
