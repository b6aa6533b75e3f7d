"""Programs that nobody's policy would be exported to, in whatever corner of a program the harm stands."""

import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hostile import PROBLEM, export_here, failure_of, policy_text
from jax.export import DisabledSafetyCheck, export
from needs import needs_bwrap

from gembench.errors import ContractError
from gembench.leaderboard.program_check import check_program
from gembench.leaderboard.unpack import read_answer, unpack

INT = jax.ShapeDtypeStruct((3,), jnp.int32)


def check(content):
    return check_program(content, "ask", [INT], [INT])


def call(x):
    return jax.ffi.ffi_call("xla_ffi_python_cpu_callback", INT)(x)


def draw(x):
    return x + jax.lax.rng_bit_generator(jnp.zeros(4, jnp.uint32), (3,), jnp.uint32)[1].astype(jnp.int32)


REACHING = {
    "a routine by its name": call,
    "a routine in a branch": lambda x: jax.lax.cond(x[0] > 0, call, lambda y: y, x),
    "a routine in a loop": lambda x: jax.lax.fori_loop(0, 3, lambda _, y: call(y), x),
    "a routine in a condition": lambda x: jax.lax.while_loop(lambda y: call(y)[0] > 0, lambda y: y, x),
    "a routine in a function": lambda x: jax.jit(call)(x),
    "a routine in a composite": lambda x: jax.lax.composite(call, "chlo.harmless")(x),
    "a composite of another compiler": lambda x: jax.lax.composite(lambda y: y, "sdy.all_gather")(x),
    "linear algebra": lambda x: jnp.linalg.qr(jnp.diag(x.astype(jnp.float32)))[0][0].astype(jnp.int32),
    "numbers that nobody can repeat": lambda x: x + jax.lax.rng_uniform(0, 5, (3,)),
    "numbers of the machine": draw,
}


@pytest.mark.parametrize("kind", REACHING)
def test_a_program_that_reaches_out_of_itself_is_refused(kind):
    # A worker that was tampered with exports what JAX would rather not.
    checks = [DisabledSafetyCheck.custom_call("xla_ffi_python_cpu_callback")]
    exported = export(jax.jit(REACHING[kind], keep_unused=True), platforms=["cpu"], disabled_checks=checks)(INT)
    with pytest.raises(ContractError, match="which may reach out of the program"):
        check(exported.mlir_module().encode())


@needs_bwrap
@pytest.mark.parametrize(
    "callback",
    [
        "jax.pure_callback(lambda: 1, jax.ShapeDtypeStruct((), jnp.int32))",
        "io_callback(print, None, 1, ordered=True)",
        "io_callback(print, None, 1)",
        "jax.debug.print('{}', tally.pulls)",
        "jax.debug.callback(print, 1, ordered=True)",
    ],
)
def test_a_policy_with_a_callback_cannot_be_exported(callback):
    failure = failure_of(policy_text(at_import="from jax.experimental import io_callback", ask=callback))
    assert failure.startswith("attack.py, line ") or failure.startswith("attack.py: ")
    assert "callback" in failure
    assert failure.isprintable()


MAIN = "func.func public @main(%x: tensor<3xi32>{argument}) -> (tensor<3xi32>{result}) {{\n{body}\n}}"


def program(body, argument="", result="", beside="", module=""):
    main = MAIN.format(body=body, argument=argument, result=result)
    return f"module @jit_policy {module} {{\n{main}\n{beside}\n}}"


CALL = "stablehlo.custom_call @evil(%{0}) {{api_version = 4 : i32}} : (tensor<{1}i32>) -> tensor<{1}i32>"
IDENTITY = "return %x : tensor<3xi32>"
REDUCER = f"""
%zero = stablehlo.constant dense<0> : tensor<i32>
%sum = stablehlo.reduce(%x init: %zero) across dimensions = [0] : (tensor<3xi32>, tensor<i32>) -> tensor<i32>
 reducer(%a: tensor<i32>, %b: tensor<i32>) {{
  %c = {CALL.format("a", "")}
  stablehlo.return %c : tensor<i32>
 }}
%all = stablehlo.broadcast_in_dim %sum, dims = [] : (tensor<i32>) -> tensor<3xi32>
return %all : tensor<3xi32>
"""
COMPARATOR = f"""
%sorted = "stablehlo.sort"(%x) <{{dimension = 0 : i64, is_stable = true}}> ({{
^bb0(%a: tensor<i32>, %b: tensor<i32>):
  %c = {CALL.format("a", "")}
  %d = stablehlo.compare LT, %c, %b : (tensor<i32>, tensor<i32>) -> tensor<i1>
  stablehlo.return %d : tensor<i1>
}}) : (tensor<3xi32>) -> tensor<3xi32>
return %sorted : tensor<3xi32>
"""
UNCALLED = f"""
func.func private @hidden(%x: tensor<3xi32>) -> tensor<3xi32> {{
  %y = {CALL.format("x", "3x")}
  return %y : tensor<3xi32>
}}
"""
REDUCED = (
    '%y = "stablehlo.all_reduce"(%x) <{replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>}> ({\n'
    "^bb0(%a: tensor<i32>, %b: tensor<i32>):\n %c = stablehlo.add %a, %b : tensor<i32>\n"
    " stablehlo.return %c : tensor<i32>\n}) : (tensor<3xi32>) -> tensor<3xi32>\nreturn %y : tensor<3xi32>"
)
BROADCAST = (
    "%one = stablehlo.constant dense<1> : tensor<i32>\n"
    "%wide = stablehlo.broadcast_in_dim %one, dims = [] : (tensor<i32>) -> tensor<{0}xi32>\n" + IDENTITY
)
TOKENS = (
    "%token = stablehlo.create_token : !stablehlo.token\n"
    '%in:2 = "stablehlo.infeed"(%token) <{infeed_config = ""}> : (!stablehlo.token) '
    "-> (tensor<3xi32>, !stablehlo.token)\n"
    "return %in#0 : tensor<3xi32>"
)
SHARDED = '%y = stablehlo.add %x, %x {mhlo.sharding = "{devices=[2]<=[2]}"} : tensor<3xi32>\nreturn %y : tensor<3xi32>'
ON_HOST = (
    '%y = stablehlo.add %x, %x {mhlo.frontend_attributes = {_xla_compute_type = "host"}} : tensor<3xi32>\n'
    "return %y : tensor<3xi32>"
)
CONFIGURED = '%y = stablehlo.add %x, %x {backend_config = "evil"} : tensor<3xi32>\nreturn %y : tensor<3xi32>'
DYNAMIC = "%y = stablehlo.convert %x : (tensor<3xi32>) -> tensor<?xi32>\n" + IDENTITY
TEXTS = {
    "a routine in a reducer": (program(REDUCER), "foreign routine"),
    "a routine in a comparator": (program(COMPARATOR), "foreign routine"),
    "a routine in a function that nobody calls": (program(IDENTITY, beside=UNCALLED), "foreign routine"),
    "a sum over devices": (program(REDUCED), "stablehlo.all_reduce"),
    "a feed": (program(TOKENS), "stablehlo.infeed"),
    "the number of its device": (
        program("%p = stablehlo.partition_id : tensor<ui32>\n" + IDENTITY),
        "stablehlo.partition_id",
    ),
    "other devices": (program(SHARDED), "the attribute mhlo.sharding"),
    "another compiler's say": (program(ON_HOST), "the attribute mhlo.frontend_attributes"),
    "a backend's settings": (program(CONFIGURED), "the attribute backend_config"),
    "an argument that it overwrites": (
        program(IDENTITY, argument=" {tf.aliasing_output = 0 : i32}"),
        "the attribute tf.aliasing_output",
    ),
    "a result elsewhere": (
        program(IDENTITY, result=' {mhlo.memory_kind = "pinned_host"}'),
        "the attribute mhlo.memory_kind",
    ),
    "a module of devices": (
        program(IDENTITY, module='attributes {mhlo.frontend_attributes = {xla.sdy.meshes = "{}"}}'),
        "the attribute mhlo.frontend_attributes",
    ),
    "a mesh": (program(IDENTITY, beside='sdy.mesh @mesh = <["x"=2]>'), "sdy.mesh|no exported program"),
    "a size that shows when it runs": (program(DYNAMIC), r"the type tensor<\?xi32>"),
    "a tebibyte": (program(BROADCAST.format(2**40)), "the type tensor<1099511627776xi32>"),
    "a size that overflows": (program(BROADCAST.format(f"{2**40}x{2**40}")), "the type tensor|no exported program"),
    "no main function": ("module { func.func public @other() { return } }", "no exported program"),
    "an argument too many": (
        program(IDENTITY, argument=", %y: tensor<i32>"),
        r"takes int32\[3\], int32\[\], where the contract gives int32\[3\]",
    ),
    "numbers of 64 bits": (
        "module { func.func public @main(%x: tensor<3xi64>) -> tensor<3xi64> { return %x : tensor<3xi64> } }",
        "takes tensor<3xi64>, which is no array of numbers of at most 32 bits",
    ),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_program_that_is_more_than_a_computation_is_refused(kind):
    text, message = TEXTS[kind]
    with pytest.raises(ContractError, match=message) as refused:
        check(text.encode())
    assert str(refused.value).isprintable()


def test_the_harmless_program_around_the_harm_is_let_through():
    ours = check(program(IDENTITY).encode())
    assert np.array_equal(ours.call(np.array([3, 1, 2], np.int32))[0], [3, 1, 2])


def test_what_an_export_says_besides_its_operations_counts_for_nothing():
    """The bytes of a whole export, with its devices, effects and types, are no program."""
    content = bytes(export(jax.jit(lambda x: x), platforms=["cpu"])(INT).serialize())
    with pytest.raises(ContractError, match="is no exported program"):
        check(content)


def test_programs_in_another_order_are_refused():
    head, _, rest = export_here(policy_text()).partition(b"\n")
    sizes = json.loads(head)["sizes"]
    ends = np.cumsum([0, *sizes])
    parts = [rest[first:last] for first, last in itertools.pairwise(ends)][::-1]
    forged = json.dumps({**json.loads(head), "sizes": sizes[::-1]}).encode() + b"\n" + b"".join(parts)
    assert read_answer(forged).programs == tuple(parts)
    with pytest.raises(ContractError, match="where the contract"):
        unpack(forged, (PROBLEM,))
