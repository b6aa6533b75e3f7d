"""Whether a program that a stranger exported may run here: that it computes on its arguments, and does nothing else.

A program is refused unless it takes and gives arrays of the right types, and consists of operations that can do no
more than compute. Operations that reach out of the program (calls of foreign routines, among which are callbacks into
Python, feeds, messages between devices) are not on the list, nor is the generator whose numbers nobody can repeat.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import ShapeDtypeStruct
from jax.export import Exported, deserialize
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import chlo, sdy, stablehlo

from gembench.errors import ContractError

# fmt: off
_STABLEHLO = (
    "abs", "add", "and", "atan2", "bitcast_convert", "broadcast_in_dim", "case", "cbrt", "ceil", "clamp", "compare",
    "complex", "composite", "concatenate", "constant", "convert", "convolution", "cosine", "count_leading_zeros",
    "divide", "dot_general", "dynamic_slice", "dynamic_update_slice", "exponential", "exponential_minus_one",
    "floor", "gather", "get_tuple_element", "if", "imag", "iota", "is_finite", "log", "log_plus_one", "logistic",
    "map", "maximum", "minimum", "multiply", "negate", "not", "optimization_barrier", "or", "pad", "popcnt",
    "power", "real", "reduce", "reduce_precision", "reduce_window", "remainder", "reshape", "return", "reverse",
    "round_nearest_afz", "round_nearest_even", "rsqrt", "scatter", "select", "select_and_scatter", "shift_left",
    "shift_right_arithmetic", "shift_right_logical", "sign", "sine", "slice", "sort", "sqrt", "subtract", "tan",
    "tanh", "transpose", "tuple", "while", "xor",
)
# fmt: on
OPERATIONS = frozenset(
    ("builtin.module", "func.call", "func.func", "func.return", *(f"stablehlo.{name}" for name in _STABLEHLO))
)
"""What a program may consist of: https://openxla.org/stablehlo/spec defines each."""


def check_program(
    content: bytes, what: str, takes: Sequence[ShapeDtypeStruct], gives: Sequence[ShapeDtypeStruct] | None
) -> Exported:
    """The program, once it is known to be harmless.

    Args:
        content: what `jax.export` serialized, or anybody else.
        what: what messages call it, such as "ask of stage 2".
        takes: its arguments.
        gives: its results; None to leave them open.

    Raises:
        ContractError: it is no program, takes or gives something else, or may not run here.
    """
    try:
        program = deserialize(bytearray(content))
        is_for_here = program.platforms == ("cpu",) and program.nr_devices == 1
        has_effects = bool(program.ordered_effects or program.unordered_effects)
        taken, given = _shapes(program.in_avals), _shapes(program.out_avals)
        operations = _operations(program.mlir_module_serialized)
    except Exception as error:  # Whatever the readers of damaged bytes may raise.
        raise ContractError(f"{what}: is no exported program ({type(error).__name__}).") from error
    if not is_for_here or has_effects:
        raise ContractError(f"{what}: is a program with side effects, or for other devices than one CPU.")
    if taken != _shapes(takes):
        raise ContractError(f"{what}: takes {taken}, where the contract gives {_shapes(takes)}.")
    if gives is not None and given != _shapes(gives):
        raise ContractError(f"{what}: gives {given}, where the contract wants {_shapes(gives)}.")
    if strange := sorted(operations - OPERATIONS):
        raise ContractError(
            f"{what}: contains {', '.join(strange)}, which may reach out of the program; compute with jax.numpy alone, "
            f"without callbacks and linear algebra routines."
        )
    return program


def results_of(program: Exported) -> tuple[ShapeDtypeStruct, ...]:
    """The types of a program's results."""
    return tuple(ShapeDtypeStruct(aval.shape, aval.dtype) for aval in program.out_avals)


def _shapes(arrays: Sequence[object]) -> str:
    """Such as "int32[3], float32[]"."""
    return ", ".join(f"{jnp.dtype(array.dtype)}{list(array.shape)}" for array in arrays) or "nothing"  # type: ignore[attr-defined]


def _operations(artifact: bytes) -> set[str]:
    context = ir.Context()
    for dialect in (stablehlo, chlo, sdy):  # The others stand in attributes alone.
        dialect.register_dialect(context)
    module = stablehlo.deserialize_portable_artifact(context, artifact)
    names: set[str] = set()

    def note(operation: ir.Operation) -> ir.WalkResult:
        name = operation.name
        if name == "stablehlo.custom_call":
            name = f"the foreign routine {operation.attributes['call_target_name']}"
        names.add(name)
        return ir.WalkResult.ADVANCE

    module.operation.walk(note)
    return names
