"""Runs inside the sandbox: makes a policy of a stranger's file and exports its functions, as programs of arrays.

Nothing imports this file. Its text is handed to a sandbox in which jax and gembench's contract can be imported, and
nothing else of gembench: there is no tensor to find. What comes out is no more trusted than what went in.

The output is a line of JSON and then the programs, one after the other. Each is a `jax.export`ed function of one run,
as text of StableHLO; `gembench.exported_policy` says what they take and give.
"""

import dataclasses
import json
import os
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any

_FILE = "policy.py"
_MODULE = "submitted_policy"


def main(order: str, write_output: Callable[[bytes], None]) -> None:
    """Carry out an order, and write what came of it.

    Args:
        order: a JSON object with the file's `text`, `policy_class` or null, `settings` as `key=value,...`, and
            `problems` as [M, Q, B].
        write_output: where the output goes.
    """
    os.environ["JAX_PLATFORMS"] = "cpu"
    wanted = json.loads(order)
    programs: list[bytes] = []
    try:
        policy = _make_policy(wanted["text"], wanted["policy_class"], wanted["settings"])
        answer = _describe(policy)
        answer["problems"] = [_export(policy, problem, programs) for problem in wanted["problems"]]
        answer["sizes"] = [len(program) for program in programs]
    except Exception as error:
        answer, programs = _explain(error), []
    write_output(b"".join((json.dumps(answer).encode(), b"\n", *programs)))


def _make_policy(text: str, class_name: str | None, settings: str) -> Any:
    from gembench.errors import ContractError
    from gembench.policy_settings import parse_settings

    module = types.ModuleType(_MODULE)
    sys.modules[_MODULE] = module
    exec(compile(text, _FILE, "exec"), module.__dict__)
    policies = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == _MODULE and hasattr(value, "plan") and hasattr(value, "ask")
    }
    if class_name is None:
        public = [name for name in policies if not name.startswith("_")]
        if len(public) != 1:
            there = f"there are {', '.join(public)}; name one as FILE:CLASS" if public else "there is none"
            raise ContractError(f"the file should have one policy, a class with plan and ask; {there}.")
        (class_name,) = public
    elif class_name not in policies:
        raise ContractError(f"there is no policy {class_name} in the file, but {', '.join(policies) or 'none'}.")
    policy_class = policies[class_name]
    missing = [
        name
        for name in ("sampling", "plan", "start", "ask", "learn", "recommend", "withdraw")
        if not hasattr(policy_class, name)
    ]
    if missing:
        raise ContractError(f"{class_name} has no {', '.join(missing)}; derive it from TallyOnly or write it.")
    parameters = getattr(policy_class, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise ContractError(f"{class_name} should be a frozen dataclass: @dataclass(frozen=True).")
    return policy_class(**parse_settings(policy_class, class_name, settings))


def _describe(policy: Any) -> dict[str, Any]:
    first_paragraph = (type(policy).__doc__ or "").strip().partition("\n\n")[0]
    return {
        "policy_class": type(policy).__name__,
        "description": " ".join(first_paragraph.split()),
        "sampling": policy.sampling,
        "hyper_parameters": {field.name: getattr(policy, field.name) for field in dataclasses.fields(policy)},
    }


def _export(policy: Any, sizes: list[int], programs: list[bytes]) -> list[dict[str, Any]]:
    """The stages of the plan; the programs are appended: start, ask and learn of each stage, recommend, withdraw."""
    import jax
    import jax.numpy as jnp
    from jax.export import export

    from gembench.errors import ContractError
    from gembench.policy import Ask, Problem, Step, Tally
    from gembench.prng import make_key
    from gembench.turn import Setting

    problem = Problem(*sizes)
    plan = policy.plan(problem)
    seen = Setting(policy, problem, policy.sampling).seen_problem
    num_models, key_kind = problem.num_models, jax.random.key_impl(make_key(0))

    def array(*shape: int, dtype: Any = jnp.int32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype)

    memory = jax.eval_shape(lambda: policy.start(seen))
    leaves, structure = jax.tree.flatten(memory)
    if any(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves):
        raise ContractError("start keeps a random key in the memory; keep its words instead: jax.random.key_data(key).")
    kept = [array(*leaf.shape, dtype=leaf.dtype) for leaf in leaves]
    books = (array(num_models), array(num_models))
    key, one = array(2, dtype=jnp.uint32), array()

    def keep(function: Callable[..., Any], *arguments: Any) -> None:
        exported = export(jax.jit(function, keep_unused=True), platforms=["cpu"])(*arguments)
        programs.append(exported.mlir_module().encode())

    def remember(leaves: tuple[Any, ...]) -> Any:
        return jax.tree.unflatten(structure, leaves)

    keep(lambda: tuple(jax.tree.leaves(policy.start(seen))))
    for index, stage in enumerate(plan):

        def ask(repeat: Any, words: Any, left: Any, pulls: Any, correct: Any, *leaves: Any, index: int = index) -> Any:
            rng_key = jax.random.wrap_key_data(words, impl=key_kind)
            step = Step(seen, index, repeat, left)
            models, num_queries = policy.ask(rng_key, step, Tally(pulls, correct), remember(leaves))
            return jnp.asarray(models), jnp.asarray(num_queries)

        def learn(
            repeat: Any,
            left: Any,
            models: Any,
            num_queries: Any,
            num_correct: Any,
            pulls: Any,
            correct: Any,
            *leaves: Any,
            index: int = index,
        ) -> Any:
            step, asked = Step(seen, index, repeat, left), Ask(models, num_queries)
            return tuple(
                jax.tree.leaves(policy.learn(step, asked, num_correct, Tally(pulls, correct), remember(leaves)))
            )

        asked = array(stage.num_models)
        keep(ask, one, key, one, *books, *kept)
        keep(learn, one, one, asked, asked, asked, *books, *kept)

    def recommend(words: Any, pulls: Any, correct: Any, *leaves: Any) -> Any:
        rng_key = jax.random.wrap_key_data(words, impl=key_kind)
        return (jnp.asarray(policy.recommend(rng_key, seen, Tally(pulls, correct), remember(leaves))),)

    def withdraw(is_out: Any, *leaves: Any) -> Any:
        return tuple(jax.tree.leaves(policy.withdraw(is_out, remember(leaves))))

    keep(recommend, key, *books, *kept)
    keep(withdraw, array(num_models, dtype=jnp.bool_), *kept)
    return [dataclasses.asdict(stage) for stage in plan]


def _explain(error: Exception) -> dict[str, Any]:
    """The error in one line, with its place in the file: the last that is there."""
    lines = [
        (frame.lineno, frame.name) for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _FILE
    ]
    if isinstance(error, SyntaxError) and error.filename == _FILE:
        lines = [(error.lineno, "")]
    place = ""
    if lines:
        number, name = lines[-1]
        place = f"line {number}" + (f", in {name}" if name.isidentifier() else "")
    is_ours = type(error).__module__ == "gembench.errors"
    first_line = next(iter(str(error).strip().splitlines()), "")
    message = str(error) if is_ours else f"{type(error).__name__}: {first_line}"
    return {"error": message, "place": place, "is_usage": is_ours and getattr(error, "exit_code", 1) == 2}
