"""Whether the programs that a stranger's policy came to for one problem fit each other and the contract."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import ShapeDtypeStruct
from jax.export import Exported

from gembench.errors import ContractError
from gembench.exported_policy import Programs
from gembench.exported_query_policy import QueryPrograms
from gembench.leaderboard.program_check import check_program, results_of
from gembench.policy import Problem, Stage

LARGEST_KNOWLEDGE = 2**28
"""The most bytes that `study` may give: some hundred times what a factor model of a benchmark takes."""


def check_programs(problem: Problem, plan: tuple[Stage, ...], programs: Sequence[bytes]) -> Programs:
    """The programs of a policy that takes queries as they come, in the order of `export_programs`.

    Raises:
        ContractError: a stage is larger than the race, or a program does not keep the contract or may not run here.
    """
    num_models = problem.num_models
    key, one, books = _array(2, dtype=jnp.uint32), _array(), (_array(num_models), _array(num_models))
    start = check_program(programs[0], "start", (), None)
    memory = results_of(start)
    asks, learns = [], []
    for index, stage in enumerate(plan):
        _check_stage(problem, index, stage)
        asked = _array(stage.num_models)
        ask, learn = programs[2 * index + 1 : 2 * index + 3]
        asks.append(check_program(ask, f"ask in stage {index}", (one, key, one, *books, *memory), (asked, asked)))
        taken = (one, one, asked, asked, asked, *books, *memory)
        learns.append(check_program(learn, f"learn in stage {index}", taken, memory))
    recommend, withdraw = _check_ends(problem, programs[-2:], books, memory)
    return Programs(plan, start, tuple(asks), tuple(learns), recommend, withdraw)


def check_query_programs(
    problem: Problem, num_histories: int, plan: tuple[Stage, ...], programs: Sequence[bytes]
) -> QueryPrograms:
    """The programs of a policy that chooses queries, in the order of `export_programs`.

    Raises:
        ContractError: as `check_programs`; or `study` gives more than `LARGEST_KNOWLEDGE`.
    """
    num_models, num_queries = problem.num_models, problem.num_queries
    key, one = _array(2, dtype=jnp.uint32), _array()
    background = _array(num_histories, num_queries, dtype=jnp.int8), _array(num_models, dtype=jnp.float32)
    study = check_program(programs[0], "study", background, None)
    known = results_of(study)
    num_bytes = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in known)
    if num_bytes > LARGEST_KNOWLEDGE:
        raise ContractError(
            f"study: gives {num_bytes:,} bytes, where {LARGEST_KNOWLEDGE:,} are the most; keep what the asks need."
        )
    answers = _array(num_models, num_queries, dtype=jnp.int8)
    seen = (_array(num_models), _array(num_models), answers, _array(num_queries), *known)
    start = check_program(programs[1], "start", (key, *seen), None)
    memory = results_of(start)
    asks, learns = [], []
    for index, stage in enumerate(plan):
        _check_stage(problem, index, stage)
        asked = _array(stage.num_models), _array(1 if stage.in_step else stage.num_models, stage.max_queries)
        given = _array(stage.num_models, stage.max_queries, dtype=jnp.int8)
        ask, learn = programs[2 * index + 2 : 2 * index + 4]
        asks.append(check_program(ask, f"ask in stage {index}", (one, key, one, *seen, *memory), asked))
        taken = (one, one, *asked, given, *seen, *memory)
        learns.append(check_program(learn, f"learn in stage {index}", taken, memory))
    recommend, withdraw = _check_ends(problem, programs[-2:], seen, memory)
    return QueryPrograms(plan, study, start, tuple(asks), tuple(learns), recommend, withdraw)


def _check_stage(problem: Problem, index: int, stage: Stage) -> None:
    if stage.num_models > problem.num_models or stage.max_queries > problem.budget:
        raise ContractError(
            f"plan: stage {index} is of {stage.num_models} models and {stage.max_queries} queries each, where there "
            f"are {problem.num_models} models and {problem.budget} pulls."
        )


def _check_ends(
    problem: Problem,
    programs: Sequence[bytes],
    seen: Sequence[ShapeDtypeStruct],
    memory: Sequence[ShapeDtypeStruct],
) -> tuple[Exported, Exported]:
    """The programs of `recommend` and `withdraw`."""
    num_models = problem.num_models
    recommend = check_program(programs[0], "recommend", (_array(2, dtype=jnp.uint32), *seen, *memory), None)
    scores = results_of(recommend)
    if [score.shape for score in scores] != [(num_models,)] or scores[0].dtype not in (jnp.float32, jnp.int32):
        given = ", ".join(f"{score.dtype}{list(score.shape)}" for score in scores)
        raise ContractError(f"recommend: gives {given or 'nothing'}, where the contract wants float32[{num_models}].")
    withdraw = check_program(programs[1], "withdraw", (_array(num_models, dtype=jnp.bool_), *memory), memory)
    return recommend, withdraw


def _array(*shape: int, dtype: Any = jnp.int32) -> ShapeDtypeStruct:
    return ShapeDtypeStruct(shape, dtype)
