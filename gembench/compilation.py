"""How hard XLA works on a program: as hard as pays for itself, and never so that a bit of the result depends on it."""

import re
from functools import cache

import jax
from jax.export import Exported

from gembench.policy import Problem, Stage

_LITTLE_WORK = 6_000_000
_WORTH_OPTIMIZING = 4_000_000

_FLOATS = re.compile(r"f(16|32|64)>")
_OPERATION = re.compile(r"\b(?:stablehlo|chlo)\.(\w+)")
# These move numbers, compare them, or round the exact result.
_EXACT = frozenset(
    "bitcast_convert broadcast_in_dim case compare composite concatenate constant convert divide gather maximum minimum "
    "pad reduce reshape return select slice sqrt top_k transpose while".split()
)


def choose_level(exported: Exported, problem: Problem, plan: tuple[Stage, ...], num_runs: int) -> int | None:
    """The optimization level that is best for replaying so many runs: 0, 1, or `None` for all that XLA can do.

    Level 0 compiles in 0.2 of the time, and its code takes five to thirty times as long; level 1 compiles in 0.6 of the
    time, and its code takes up to 1.3 times as long. The work of a run is what its asks look up, and the models that a
    policy looks at before each of them.
    """
    work = sum(stage.repeats * (problem.num_models + stage.num_models * stage.max_queries) for stage in plan)
    if num_runs * work < _LITTLE_WORK and _rounds_alike(exported):
        return 0
    return 1 if num_runs * problem.budget < _WORTH_OPTIMIZING else None


@cache
def options_of(level: int | None) -> dict[str, str | bool] | None:
    """XLA's options for a CPU. A replay is many small loops, and XLA's newer emitter takes its time over each."""
    if level is None or jax.default_backend() != "cpu":
        return None
    options: dict[str, str | bool] = {
        "xla_cpu_use_fusion_emitters": False,
        "xla_backend_optimization_level": str(level),
    }
    if level == 0:
        options["xla_cpu_parallel_codegen_split_count"] = "1"  # Too little to share out.
    try:
        jax.jit(lambda: 0).lower().compile(compiler_options=options)
    except jax.errors.JaxRuntimeError:
        return None  # This XLA no longer has them.
    return options


def _rounds_alike(exported: Exported) -> bool:
    """Whether the program's results are the same bits at level 0 as above it.

    Only above it are a product and a sum fused, and rounded once instead of twice.
    """
    of_floats = (line for line in exported.mlir_module().splitlines() if _FLOATS.search(line))
    return all(name in _EXACT for line in of_floats for name in _OPERATION.findall(line))
