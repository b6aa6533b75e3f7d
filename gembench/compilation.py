"""How hard XLA works on a program: as hard as pays for itself, and never so that a bit of the result depends on it."""

import re
from functools import cache
from typing import Literal

import jax
from jax.export import Exported
from jax.stages import Compiled, Lowered

from gembench.policy import Problem, Stage

Effort = Literal["none", "some", "most"]
"""Compiling a replay, which is many small loops, takes XLA's newer emitter ("most") twice as long as its older one
("some"), and a third of that again without optimization ("none"). The newer one's code takes up to 0.8 of the time;
unoptimized code takes five to thirty times as long."""

_LITTLE_WORK = 6_000_000
_MUCH_TO_LOOK_UP = 4_000_000

_FLOATS = re.compile(r"f(16|32|64)>")
_OPERATION = re.compile(r"\b(?:stablehlo|chlo)\.(\w+)")
# These move numbers, compare them, or round the exact result.
_EXACT = frozenset(
    (
        "bitcast_convert",
        "broadcast_in_dim",
        "case",
        "compare",
        "composite",
        "concatenate",
        "constant",
        "convert",
        "divide",
        "gather",
        "maximum",
        "minimum",
        "pad",
        "reduce",
        "reshape",
        "return",
        "select",
        "slice",
        "sqrt",
        "top_k",
        "transpose",
        "while",
    )
)


def choose_effort(problem: Problem, plan: tuple[Stage, ...], num_runs: int) -> Effort:
    """The effort that is best for replaying so many runs.

    The work of a run is what its asks look up, and the models that a policy looks at before each of them.
    """
    work = sum(stage.repeats * (problem.num_models + stage.num_models * stage.max_queries) for stage in plan)
    if num_runs * work < _LITTLE_WORK:
        return "none"
    return "some" if num_runs * problem.budget < _MUCH_TO_LOOK_UP else "most"


def compile_lowered(lowered: Lowered, effort: Effort) -> Compiled:
    """Compile a program with this effort: "none" only for one of which `rounds_alike` is true."""
    return lowered.compile(compiler_options=_options(effort))


@cache
def _options(effort: Effort) -> dict[str, str | bool] | None:
    """XLA's options for a CPU; `None`, for its own, on another device or where this XLA no longer has them."""
    if jax.default_backend() != "cpu":
        return None
    options: dict[str, str | bool] = {
        # LLVM's level 2 and above make the loops of `ucb` run 3.6 times as long as level 1 does.
        "xla_backend_optimization_level": "0" if effort == "none" else "1",
        "xla_cpu_use_fusion_emitters": effort == "most",
        # A third off posterior sampling where a core has AVX-512; elsewhere it means the widest there is.
        "xla_cpu_prefer_vector_width": "512",
    }
    if effort == "none":
        options["xla_cpu_parallel_codegen_split_count"] = "1"  # Too little to share out.
    try:
        jax.jit(lambda: 0).lower().compile(compiler_options=options)
    except jax.errors.JaxRuntimeError:
        return None
    return options


def rounds_alike(exported: Exported) -> bool:
    """Whether the program's results are the same bits with and without optimization.

    Only with it are a product and a sum fused, and rounded once instead of twice.
    """
    of_floats = (line for line in exported.mlir_module().splitlines() if _FLOATS.search(line))
    return all(name in _EXACT for line in of_floats for name in _OPERATION.findall(line))
