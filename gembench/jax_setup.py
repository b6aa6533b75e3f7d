"""JAX as the commands want it: every core a device, and compiled code kept between commands."""

import logging
import os
from pathlib import Path

from gembench.cache_folder import cache_folder

logger = logging.getLogger(__name__)


def set_up_jax(*, cpu_only: bool = False) -> None:
    """Configure JAX before its first use. A cache folder that cannot be written costs time, nothing else.

    Args:
        cpu_only: whether accelerators are left to others, as to the engines of a live search.
    """
    # JAX leaves linear algebra to SciPy's OpenBLAS, whose threads wait for each other by spinning: on a busy machine
    # what takes a fraction of a second takes many. Counts when the library is loaded, with JAX.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import jax

    try:
        if cpu_only:
            jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", num_cores())
    except RuntimeError as error:
        logger.info("another part of this process has started JAX; it keeps its devices: %s", error)
    folder = cache_folder() / "xla"
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ and _can_write(folder):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def num_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        logger.info("compiled code is not kept: %s", error)
        return False
    return os.access(folder, os.W_OK)
