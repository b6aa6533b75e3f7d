"""Runs inside the sandbox: makes a policy of a stranger's file and exports its functions, as programs of arrays.

Nothing imports this file. Its text is handed to a sandbox in which jax and gembench's contract can be imported, and
nothing else of gembench: there is no tensor to find. What comes out is no more trusted than what went in.

The output is a line of JSON and then the programs, one after the other. Each is a `jax.export`ed function of one run,
as text of StableHLO; see `gembench.policy_export`.
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
        order: a JSON object with the file's `text`, `policy_class` or null, `settings` as `key=value,...`, `problems`
            as [M, Q, B], and `num_histories`, the models of the history.
        write_output: where the output goes.
    """
    os.environ["JAX_PLATFORMS"] = "cpu"
    wanted = json.loads(order)
    programs: list[bytes] = []
    try:
        policy = _make_policy(wanted["text"], wanted["policy_class"], wanted["settings"])
        num_histories = wanted["num_histories"]
        answer, raced = _describe(policy, num_histories), _raced(policy, num_histories)
        answer["problems"] = [_export(raced, problem, num_histories, programs) for problem in wanted["problems"]]
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
    members = ("sampling", "plan", "start", "ask", "learn", "recommend", "withdraw")
    missing = [name for name in members if not hasattr(policy_class, name)]
    if missing:
        way_out = "write it" if hasattr(policy_class, "study") else "derive it from TallyOnly or write it"
        raise ContractError(f"{class_name} has no {', '.join(missing)}; {way_out}.")
    parameters = getattr(policy_class, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise ContractError(f"{class_name} should be a frozen dataclass: @dataclass(frozen=True).")
    return policy_class(**parse_settings(policy_class, class_name, settings))


def _raced(policy: Any, num_histories: int) -> Any:
    """What is raced: where there is a history, a policy of the first level may name another."""
    from gembench.query_policy import informed

    return informed(policy, has_history=num_histories > 0)


def _describe(policy: Any, num_histories: int) -> dict[str, Any]:
    from gembench.query_policy import chooses_queries

    first_paragraph = (type(policy).__doc__ or "").strip().partition("\n\n")[0]
    return {
        "policy_class": type(policy).__name__,
        "description": " ".join(first_paragraph.split()),
        "sampling": _raced(policy, num_histories).sampling,
        "hyper_parameters": {field.name: getattr(policy, field.name) for field in dataclasses.fields(policy)},
        "chooses_queries": chooses_queries(_raced(policy, num_histories)),
        "uses_history": chooses_queries(_raced(policy, 1)),
    }


def _export(policy: Any, sizes: list[int], num_histories: int, programs: list[bytes]) -> list[dict[str, Any]]:
    """The stages of the plan; the programs are appended."""
    from gembench.policy import Problem
    from gembench.policy_export import export_programs

    problem = Problem(*sizes)
    programs += export_programs(policy, problem, num_histories)
    return [dataclasses.asdict(stage) for stage in policy.plan(problem)]


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
