"""JAX as every test has it: nothing promoted in silence, two devices, compiled code kept between test runs."""

import os
import signal

# As the commands have it; it counts when JAX is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import jax
import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Before any test module is imported: the devices are fixed once a backend has started."""
    # A shell has its background jobs ignore Ctrl-C, and so would the commands that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_num_cpu_devices", 2)
    # `-p no:cacheprovider` leaves no place for compiled code.
    if hasattr(config, "cache"):
        jax.config.update("jax_compilation_cache_dir", str(config.cache.mkdir("xla")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
