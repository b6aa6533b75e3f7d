"""An exported policy makes the decisions of the policy that it was, and what is not one is refused."""

import inspect
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.export import export

from gembench.errors import ContractError
from gembench.leaderboard import export_worker
from gembench.leaderboard.program_check import check_program
from gembench.leaderboard.unpack import read_answer, unpack
from gembench.policies.catalog import CATALOG
from gembench.policy import Problem
from gembench.race import Race
from gembench.simulate import simulate

INT = jax.ShapeDtypeStruct((3,), jnp.int32)


def export_here(text, problems, policy_class=None, settings="", num_histories=0):
    """What the worker writes, without a sandbox: for files that are ours."""
    written = []
    sizes = [[problem.num_models, problem.num_queries, problem.budget] for problem in problems]
    order = {
        "text": text,
        "policy_class": policy_class,
        "settings": settings,
        "problems": sizes,
        "num_histories": num_histories,
    }
    export_worker.main(json.dumps(order), written.append)
    (output,) = written
    return output


@pytest.fixture(scope="module")
def race():
    rng = np.random.default_rng(0)
    correct = rng.random((13, 40)) < np.linspace(0.3, 0.8, 13)[:, None]
    return Race(correct.astype(np.uint8), np.arange(13) + 1.0, np.full(13, 0.5))


@pytest.mark.parametrize("name", CATALOG)
def test_a_replay_of_an_exported_policy_makes_the_decisions_of_the_policy(name, race):
    problems = [Problem(13, 40, 13 * 3), Problem(13, 40, 13 * 11)]
    text = inspect.getsource(inspect.getmodule(CATALOG[name]))
    exported = unpack(export_here(text, problems, policy_class=CATALOG[name].__name__), problems)
    for problem in problems:
        settings = {"budget": problem.budget, "num_runs": 8, "seed": 5, "with_digests": True, "num_recommended": 13}
        original = simulate(CATALOG[name](), race, **settings)
        replayed = simulate(exported, race, **settings)
        assert replayed.decision_digests == original.decision_digests
        np.testing.assert_array_equal(replayed.recommended, original.recommended)


def test_the_settings_reach_the_policy():
    text = inspect.getsource(inspect.getmodule(CATALOG["ucb_e"]))
    output = export_here(text, [Problem(5, 7, 10)], settings="exploration=3")
    answer = read_answer(output)
    assert answer.hyper_parameters == {"exploration": 3.0}
    assert (answer.policy_class, answer.sampling, answer.description) == ("UCBE", "independent", "UCB-E.")


def test_two_settings_are_two_policies():
    text = inspect.getsource(inspect.getmodule(CATALOG["ucb_e"]))
    problems = [Problem(5, 7, 10)]
    first, second = (unpack(export_here(text, problems, settings=f"exploration={a}"), problems) for a in (1, 2))
    assert first != second
    assert hash(first) != hash(second)


def test_a_problem_that_was_not_exported_is_refused(race):
    problems = [Problem(13, 40, 39)]
    text = inspect.getsource(inspect.getmodule(CATALOG["uniform"]))
    exported = unpack(export_here(text, problems), problems)
    with pytest.raises(ContractError, match="was not exported for"):
        simulate(exported, race, budget=40, num_runs=3)


def blob(function, *takes, **settings):
    return export(jax.jit(function, keep_unused=True), platforms=["cpu"], **settings)(*takes).mlir_module().encode()


def test_a_program_that_only_computes_is_let_through():
    def function(x):
        return jax.lax.fori_loop(0, 3, lambda _, y: jnp.sort(y * 2), x)

    program = check_program(blob(function, INT), "it", [INT], [INT])
    (result,) = program.call(jnp.array([3, 1, 2], jnp.int32))
    assert result.tolist() == [8, 16, 24]


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda x: jnp.linalg.cholesky(jnp.diag(x.astype(jnp.float32))), "lapack_spotrf_ffi"),
        (lambda x: x + jax.lax.rng_uniform(0, 5, (3,)), "stablehlo.rng"),
    ],
)
def test_a_program_that_reaches_out_is_refused(function, named):
    with pytest.raises(ContractError, match=named):
        check_program(blob(function, INT), "it", [INT], None)


def test_a_call_of_a_foreign_routine_is_refused_whatever_it_is_called():
    def function(x):
        return jax.ffi.ffi_call("xla_ffi_python_cpu_callback", INT)(x)

    checks = [jax.export.DisabledSafetyCheck.custom_call("xla_ffi_python_cpu_callback")]
    with pytest.raises(ContractError, match="xla_ffi_python_cpu_callback"):
        check_program(blob(function, INT, disabled_checks=checks), "it", [INT], [INT])


def test_types_that_the_contract_does_not_want_are_named():
    content = blob(lambda x: x.astype(jnp.float32), INT)
    with pytest.raises(ContractError, match=r"ask: gives float32\[3\], where the contract wants int32\[3\]"):
        check_program(content, "ask", [INT], [INT])
    with pytest.raises(ContractError, match=r"ask: takes int32\[3\], where the contract gives nothing"):
        check_program(content, "ask", [], None)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"no program at all, but a text of some length" * 9])
def test_bytes_that_are_no_program_are_refused(content):
    with pytest.raises(ContractError, match="is no exported program"):
        check_program(content, "it", [INT], None)


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"[]",
        b"{}",
        b'{"error": 3}',
        b'{"policy_class": "A", "description": "", "sampling": "shared", "hyper_parameters": {}, "problems": 3}',
        b'{"policy_class": "A", "description": "", "sampling": "shared", "hyper_parameters": {}, "problems": [],'
        b' "sizes": [-1, 1]}\n',
    ],
)
def test_what_is_no_answer_is_refused(output):
    with pytest.raises(ContractError, match="what came out of the sandbox is"):
        read_answer(output)
