"""Whether a program that a stranger exported may run here: that it computes on its arguments, and does nothing else.

A program is refused unless it takes and gives arrays of the right types, and consists of operations that can do no
more than compute. Operations that reach out of the program (calls of foreign routines, among which are callbacks into
Python, feeds, messages between devices) are not on the list, nor is the generator whose numbers nobody can repeat.
Of what was exported only the operations are taken, as text: what `jax.export` says about them besides is written here
anew, and the reader of MLIR's binary form hangs and crashes on damaged bytes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
from jax import Array, ShapeDtypeStruct
from jax.export import Exported, export
from jax.interpreters.mlir import make_ir_context
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo

from gembench.errors import ContractError

# fmt: off
_STABLEHLO = (
    "abs", "add", "and", "atan2", "bitcast_convert", "broadcast_in_dim", "case", "cbrt", "ceil", "clamp", "compare",
    "complex", "composite", "concatenate", "constant", "convert", "convolution", "cosine", "count_leading_zeros",
    "divide", "dot_general", "dynamic_slice", "dynamic_update_slice", "exponential", "exponential_minus_one",
    "floor", "gather", "if", "imag", "iota", "is_finite", "log", "log_plus_one", "logistic",
    "map", "maximum", "minimum", "multiply", "negate", "not", "optimization_barrier", "or", "pad", "popcnt",
    "power", "real", "reduce", "reduce_precision", "reduce_window", "remainder", "reshape", "return", "reverse",
    "round_nearest_afz", "round_nearest_even", "rsqrt", "scatter", "select", "select_and_scatter", "shift_left",
    "shift_right_arithmetic", "shift_right_logical", "sign", "sine", "slice", "sort", "sqrt", "subtract", "tan",
    "tanh", "transpose", "while", "xor",
)
# Theirs, those of functions and of the module. Others speak to compilers: of devices, layouts and memories.
_ATTRIBUTES = frozenset((
    "algorithm", "base_dilations", "batch_group_count", "broadcast_dimensions", "compare_type", "comparison_direction",
    "composite_attributes", "decomposition", "dimension", "dimension_numbers", "dimensions", "dot_dimension_numbers",
    "edge_padding_high", "edge_padding_low", "exponent_bits", "feature_group_count", "indices_are_sorted",
    "interior_padding", "iota_dimension", "is_stable", "lhs_dilation", "limit_indices", "mantissa_bits", "name",
    "padding", "permutation", "precision_config", "result_accuracy", "rhs_dilation", "scatter_dimension_numbers",
    "slice_sizes", "start_indices", "strides", "unique_indices", "value", "version", "window_dilations",
    "window_dimensions", "window_reversal", "window_strides",
    "arg_attrs", "callee", "function_type", "res_attrs", "sym_name", "sym_visibility",
    "jax.uses_shape_polymorphism", "mhlo.num_partitions", "mhlo.num_replicas",
))
# fmt: on
OPERATIONS = frozenset(
    ("builtin.module", "func.call", "func.func", "func.return", *(f"stablehlo.{name}" for name in _STABLEHLO))
)
"""What a program may consist of: https://openxla.org/stablehlo/spec defines each."""

_OF_ARGUMENTS = frozenset(("jax.result_info",))
_COMPOSITES = '"chlo.'  # What JAX makes of top_k, for one.
_LAPACK = "lapack_"
_LONGEST_LIST = 300
_MOST_ELEMENTS = 2**31 - 1
_TYPES: dict[str, Any] = {
    "i1": jnp.bool_,
    "i8": jnp.int8,
    "i16": jnp.int16,
    "i32": jnp.int32,
    "ui8": jnp.uint8,
    "ui16": jnp.uint16,
    "ui32": jnp.uint32,
    "f16": jnp.float16,
    "bf16": jnp.bfloat16,
    "f32": jnp.float32,
}


def check_program(
    content: bytes, what: str, takes: Sequence[ShapeDtypeStruct], gives: Sequence[ShapeDtypeStruct] | None
) -> Exported:
    """The program, once it is known to be harmless.

    Args:
        content: StableHLO, as `mlir_module` of what `jax.export` gives, or anything else.
        what: what messages call it, such as "ask in stage 2".
        takes: its arguments.
        gives: its results; None to leave them open.

    Raises:
        ContractError: it is no program, takes or gives something else, or may not run here.
        MemoryError: there is too little to read it.
    """
    try:
        artifact, takes_types, gives_types, strange = _read(content.decode())
    except MemoryError:
        raise
    except Exception as error:  # Whatever the readers of damaged bytes may raise.
        raise ContractError(f"{what}: is no exported program ({type(error).__name__}).") from error
    if strange:
        linear_algebra = "; solve small systems by gembench.small_systems.solve" if _LAPACK in "".join(strange) else ""
        raise ContractError(
            f"{what}: contains {', '.join(sorted(strange))[:_LONGEST_LIST]}, which may reach out of the program; "
            f"compute with jax.numpy alone, without callbacks and linear algebra routines{linear_algebra}."
        )
    taken, given = _arrays(takes_types, f"{what}: takes"), _arrays(gives_types, f"{what}: gives")
    if _text(taken) != _text(takes):
        raise ContractError(f"{what}: takes {_text(taken)}, where the contract gives {_text(takes)}.")
    if gives is not None and _text(given) != _text(gives):
        raise ContractError(f"{what}: gives {_text(given)}, where the contract wants {_text(gives)}.")
    return _with_program(taken, given, artifact)


def results_of(program: Exported) -> tuple[ShapeDtypeStruct, ...]:
    """The types of a program's results."""
    return tuple(ShapeDtypeStruct(aval.shape, aval.dtype) for aval in program.out_avals)


def _with_program(takes: Sequence[ShapeDtypeStruct], gives: Sequence[ShapeDtypeStruct], artifact: bytes) -> Exported:
    """The export of a program of ours of these types, with its operations exchanged."""

    def policy(*_: Array) -> tuple[Array, ...]:
        return tuple(jnp.zeros(result.shape, result.dtype) for result in gives)

    ours = export(jax.jit(policy, keep_unused=True), platforms=["cpu"])(*takes)
    return replace(ours, mlir_module_serialized=artifact)


def _read(text: str) -> tuple[bytes, list[ir.Type], list[ir.Type], set[str]]:
    """The program in its portable form, the types that it takes and gives, and all that is strange in it."""
    strange: set[str] = set()

    def note(operation: ir.Operation) -> ir.WalkResult:
        strange.update(_strange(operation))
        return ir.WalkResult.ADVANCE

    with make_ir_context():
        module = ir.Module.parse(text)
        module.operation.walk(note)
        main: Any = ir.SymbolTable(module.operation)["main"].attributes["function_type"]
        version = stablehlo.get_current_version()
        # Not all that is strange has a portable form.
        artifact = b"" if strange else stablehlo.serialize_portable_artifact(module, version)
    return artifact, list(main.value.inputs), list(main.value.results), strange


def _strange(operation: ir.Operation) -> Iterator[str]:
    """What of an operation is not known to be harmless."""
    name, attributes = operation.name, dict(operation.attributes.items())
    if name == "stablehlo.custom_call":
        yield f"the foreign routine {attributes['call_target_name']}"
        return
    if name not in OPERATIONS:
        yield name
    yield from (f"the attribute {attribute}" for attribute in attributes if attribute not in _ATTRIBUTES)
    of_arguments: list[Any] = [attributes[group] for group in ("arg_attrs", "res_attrs") if group in attributes]
    for named in (named for group in of_arguments for argument in group for named in argument):
        if named.name not in _OF_ARGUMENTS:
            yield f"the attribute {named.name}"
    if name == "stablehlo.composite" and not str(attributes["name"]).startswith(_COMPOSITES):
        yield f"the composite {attributes['name']}"
    blocks = [block for region in operation.regions for block in region]
    for value in (*operation.results, *(argument for block in blocks for argument in block.arguments)):
        if not _is_array(value.type):
            yield f"the type {value.type}"


def _is_array(kind: ir.Type) -> TypeGuard[ir.RankedTensorType]:
    """Whether it is an array of a size that is known and can be indexed."""
    return (
        isinstance(kind, ir.RankedTensorType)
        and kind.has_static_shape
        and kind.encoding is None
        and not str(kind.element_type).startswith("!")
        and math.prod(kind.shape) <= _MOST_ELEMENTS
    )


def _arrays(kinds: Sequence[ir.Type], what: str) -> tuple[ShapeDtypeStruct, ...]:
    arrays = []
    for kind in kinds:
        if not _is_array(kind) or str(kind.element_type) not in _TYPES:
            raise ContractError(f"{what} {kind!s:.100}, which is no array of numbers of at most 32 bits.")
        arrays.append(ShapeDtypeStruct(tuple(kind.shape), _TYPES[str(kind.element_type)]))
    return tuple(arrays)


def _text(arrays: Sequence[ShapeDtypeStruct]) -> str:
    """Such as "int32[3], float32[]"."""
    return ", ".join(f"{jnp.dtype(array.dtype)}{list(array.shape)}" for array in arrays) or "nothing"
