"""From what came out of the sandbox to a policy that can be replayed: nothing in it is believed."""

import hashlib
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from gembench.errors import ContractError
from gembench.exported_policy import ExportedPolicy
from gembench.exported_query_policy import ExportedQueryPolicy
from gembench.leaderboard.problem_check import check_programs, check_query_programs
from gembench.policy import Problem, Sampling, Stage

_MOST_PULLS = 2**31 - 1
_LONGEST_LINE = 500
_LONGEST_HEAD = 4 * 2**20
_MOST_HYPER_PARAMETERS = 100
_OTHER_PROGRAMS, _OTHER_QUERY_PROGRAMS = 3, 4
"""Programs of a problem beside those of its stages."""


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
        chooses_queries: whether what is raced is of the second level of the contract.
        uses_history: whether it would be, where there is a history.
        plans: the stages for each problem.
        programs: of each problem, in the order of `export_programs`.
    """

    error: Failure | None
    policy_class: str = ""
    description: str = ""
    hyper_parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    sampling: Sampling = "shared"
    chooses_queries: bool = False
    uses_history: bool = False
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
            chooses_queries=answer.get("chooses_queries") is True,
            uses_history=answer.get("uses_history") is True,
            plans=tuple(tuple(map(_stage, stages)) for stages in answer["problems"]),
            programs=_cut(rest, answer["sizes"]),
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ContractError(f"what came out of the sandbox is no policy ({type(error).__name__}).") from error


def unpack(
    output: bytes, problems: Sequence[Problem], *, num_histories: int = 0
) -> ExportedPolicy | ExportedQueryPolicy:
    """The policy that came out of the sandbox, every program of it checked.

    Args:
        output: what `export_policy` gave.
        problems: what it was exported for, in that order.
        num_histories: the models of the history that it was exported for.

    Raises:
        ContractError: a plan or program does not keep the contract, or may not run here.
    """
    answer = read_answer(output)
    num_others = _OTHER_QUERY_PROGRAMS if answer.chooses_queries else _OTHER_PROGRAMS
    ends = list(itertools.accumulate((2 * len(plan) + num_others for plan in answer.plans), initial=0))
    if len(answer.plans) != len(problems) or len(answer.programs) != ends[-1]:
        raise ContractError(f"policy {answer.policy_class}: the programs are not those of its plans.")
    parts = [answer.programs[first:last] for first, last in itertools.pairwise(ends)]
    of_problems = list(zip(problems, answer.plans, parts, strict=True))
    digest = hashlib.sha256(output + repr((tuple(problems), num_histories)).encode()).hexdigest()
    if answer.chooses_queries:
        query_programs = {
            problem: check_query_programs(problem, num_histories, plan, part) for problem, plan, part in of_problems
        }
        return ExportedQueryPolicy(answer.policy_class, digest, answer.sampling, query_programs)
    programs = {problem: check_programs(problem, plan, part) for problem, plan, part in of_problems}
    return ExportedPolicy(answer.policy_class, digest, answer.sampling, programs)


def one_line(text: str) -> str:
    """A stranger's text as one line that can be printed: without control characters, and not too long.

    Raises:
        TypeError: it is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"a text is wanted, got {type(text).__name__}")
    return "".join(letter if letter.isprintable() else " " for letter in text[:_LONGEST_LINE]).strip()


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
