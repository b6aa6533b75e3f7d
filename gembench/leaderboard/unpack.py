"""From what came out of the sandbox to a policy that can be replayed: nothing in it is believed."""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import jax.numpy as jnp
from jax import ShapeDtypeStruct

from gembench.errors import ContractError
from gembench.exported_policy import ExportedPolicy, Programs
from gembench.leaderboard.program_check import check_program, results_of
from gembench.policy import Problem, Sampling, Stage

_MOST_PULLS = 2**31 - 1
_LONGEST_LINE = 500
_LONGEST_HEAD = 4 * 2**20
_MOST_HYPER_PARAMETERS = 100


@dataclass(frozen=True)
class Failure:
    """Why no policy came out.

    Attributes:
        message: in one line.
        place: in the file, such as "line 12, in ask"; "" where that is not known.
        is_usage: whether the settings or the budgets were refused, rather than anything wrong with the file.
    """

    message: str
    place: str
    is_usage: bool


@dataclass(frozen=True)
class Answer:
    """The head of what came out: a failure, or what the policy says of itself.

    Attributes:
        error: the failure; None, then the rest is there.
        policy_class: the class.
        description: the first paragraph of its docstring.
        hyper_parameters: by name.
        sampling: how query orders are drawn.
        plans: the stages for each problem.
        programs: of each problem: start, ask and learn of each stage, recommend, withdraw.
    """

    error: Failure | None
    policy_class: str = ""
    description: str = ""
    hyper_parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    sampling: Sampling = "shared"
    plans: tuple[tuple[Stage, ...], ...] = ()
    programs: tuple[bytes, ...] = ()


def read_answer(output: bytes) -> Answer:
    """What came out of the sandbox, its types checked but none of its programs.

    Raises:
        ContractError: it is nothing that a worker writes.
    """
    head, _, rest = output.partition(b"\n")
    if len(head) > _LONGEST_HEAD:
        raise ContractError(f"what came out of the sandbox is no policy: its head has {len(head):,} bytes.")
    try:
        answer = json.loads(head)
        if "error" in answer:
            failure = Failure(one_line(answer["error"]), one_line(answer["place"]), answer["is_usage"] is True)
            return Answer(failure)
        sampling = answer["sampling"]
        if sampling not in get_args(Sampling):
            raise ContractError(f"sampling should be {' or '.join(get_args(Sampling))}, got {sampling!r:.100}.")
        return Answer(
            error=None,
            policy_class=_identifier(answer["policy_class"]),
            description=one_line(answer["description"]),
            hyper_parameters=_hyper_parameters(answer["hyper_parameters"]),
            sampling=sampling,
            plans=tuple(tuple(map(_stage, stages)) for stages in answer["problems"]),
            programs=_cut(rest, answer["sizes"]),
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ContractError(f"what came out of the sandbox is no policy ({type(error).__name__}).") from error


def unpack(output: bytes, problems: Sequence[Problem]) -> ExportedPolicy:
    """The policy that came out of the sandbox, every program of it checked.

    Args:
        output: what `export_policy` gave.
        problems: what it was exported for, in that order.

    Raises:
        ContractError: a plan or program does not keep the contract, or may not run here.
    """
    answer = read_answer(output)
    programs = list(answer.programs)
    if len(answer.plans) != len(problems) or len(programs) != sum(2 * len(plan) + 3 for plan in answer.plans):
        raise ContractError(f"policy {answer.policy_class}: the programs are not those of its plans.")
    by_problem = {}
    for problem, plan in zip(problems, answer.plans, strict=True):
        count = 2 * len(plan) + 3
        by_problem[problem] = _check_problem(problem, plan, programs[:count])
        del programs[:count]
    digest = hashlib.sha256(output + repr(tuple(problems)).encode()).hexdigest()
    return ExportedPolicy(answer.policy_class, digest, answer.sampling, by_problem)


def one_line(text: str) -> str:
    """A stranger's text as one line that can be printed: without control characters, and not too long.

    Raises:
        TypeError: it is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"a text is wanted, got {type(text).__name__}")
    return "".join(letter if letter.isprintable() else " " for letter in text[:_LONGEST_LINE]).strip()


def _check_problem(problem: Problem, plan: tuple[Stage, ...], programs: Sequence[bytes]) -> Programs:
    def array(*shape: int, dtype: Any = jnp.int32) -> ShapeDtypeStruct:
        return ShapeDtypeStruct(shape, dtype)

    num_models = problem.num_models
    key, one, books = array(2, dtype=jnp.uint32), array(), (array(num_models), array(num_models))
    start = check_program(programs[0], "start", (), None)
    memory = results_of(start)
    asks, learns = [], []
    for index, stage in enumerate(plan):
        if stage.num_models > num_models or stage.max_queries > problem.budget:
            raise ContractError(
                f"plan: stage {index} is of {stage.num_models} models and {stage.max_queries} queries each, where "
                f"there are {num_models} models and {problem.budget} pulls."
            )
        asked = array(stage.num_models)
        ask, learn = programs[2 * index + 1 : 2 * index + 3]
        asks.append(check_program(ask, f"ask in stage {index}", (one, key, one, *books, *memory), (asked, asked)))
        taken = (one, one, asked, asked, asked, *books, *memory)
        learns.append(check_program(learn, f"learn in stage {index}", taken, memory))
    recommend = check_program(programs[-2], "recommend", (key, *books, *memory), None)
    scores = results_of(recommend)
    if [score.shape for score in scores] != [(num_models,)] or scores[0].dtype not in (jnp.float32, jnp.int32):
        given = ", ".join(f"{score.dtype}{list(score.shape)}" for score in scores)
        raise ContractError(f"recommend: gives {given or 'nothing'}, where the contract wants float32[{num_models}].")
    withdraw = check_program(programs[-1], "withdraw", (array(num_models, dtype=jnp.bool_), *memory), memory)
    return Programs(plan, start, tuple(asks), tuple(learns), recommend, withdraw)


def _stage(stage: Mapping[str, Any]) -> Stage:
    """A stage of a plan. The promise `until_spent` is dropped: the programs are those of one budget."""
    num_models, max_queries, repeats = sizes = stage["num_models"], stage["max_queries"], stage["repeats"]
    if not all(type(size) is int and 0 <= size <= _MOST_PULLS for size in sizes) or num_models < 1:
        raise ContractError(
            f"plan: has a stage of {num_models!r:.20} models, {max_queries!r:.20} queries and {repeats!r:.20} repeats; "
            f"these should be whole numbers from 0 up, and of models at least 1."
        )
    return Stage(num_models, max_queries, repeats, in_step=stage["in_step"] is True)


def _identifier(name: str) -> str:
    if not name.isidentifier() or len(name) > _LONGEST_LINE:
        raise ContractError(f"{one_line(name):.100} is no name of a class.")
    return name


def _hyper_parameters(values: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    if len(values) > _MOST_HYPER_PARAMETERS:
        raise ContractError(f"there are {len(values)} hyper-parameters; {_MOST_HYPER_PARAMETERS} are the most.")
    read: dict[str, str | int | float | bool] = {}
    for name, value in values.items():
        is_finite = isinstance(value, int | float) and abs(value) <= sys.float_info.max
        if not (isinstance(value, str) or is_finite):
            raise ContractError(f"hyper-parameter {one_line(name)} should be a finite number, a text or a truth value.")
        read[one_line(name)] = one_line(value) if isinstance(value, str) else value
    return read


def _cut(content: bytes, sizes: Sequence[int]) -> tuple[bytes, ...]:
    if sum(sizes) != len(content) or min(sizes, default=0) < 0:
        raise ContractError("what came out of the sandbox is not as long as it says.")
    parts, place = [], 0
    for size in sizes:
        parts.append(content[place : place + size])
        place += size
    return tuple(parts)
