"""Scoring a policy of a stranger's file on a benchmark: two processes, neither of which can do harm.

The sandbox runs the file and sees no tensor; all that comes out of it are programs. A process of ours, which can be
killed, checks them, replays them against the tensors, and tells the result. A policy is given the models under other
numbers, drawn by the digest of its file: whoever has looked up which model is the best cannot write its number down.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, replace

import numpy as np

from gembench.errors import BudgetError
from gembench.leaderboard.benchmark import Benchmark
from gembench.leaderboard.export import export_policy
from gembench.leaderboard.policy_file import PolicyFile, PolicyFileError
from gembench.leaderboard.replay_process import ReplayDiedError, ReplayTimeoutError, follow
from gembench.leaderboard.result_file import Result, from_json
from gembench.leaderboard.unpack import Answer, one_line, read_answer
from gembench.load_race import LoadedRace
from gembench.memory import memory_for_strangers
from gembench.policy import Problem

SECONDS = 1800.0


def describe_file(file: PolicyFile) -> Answer:
    """What the policy in a file says of itself.

    Raises:
        PolicyFileError: the file holds no policy.
        UsageError: the policy refuses its settings.
    """
    return read_answer(export_policy(file, ()))


def score_file(
    benchmark: Benchmark,
    races: Sequence[LoadedRace],
    file: PolicyFile,
    name: str | None = None,
    *,
    seconds: float = SECONDS,
    memory_bytes: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Result:
    """Score a policy's file.

    Args:
        benchmark: what it is scored on.
        races: the benchmark's, as `open_races` gives them.
        file: the file.
        name: what the result calls the policy; by default its class with its settings.
        seconds: the longest that the replay may take.
        memory_bytes: the most address space of the process that replays; None for `memory_for_strangers`.
        on_progress: told how many runs have just finished.

    Raises:
        PolicyFileError: the file holds no policy that keeps the contract, or it takes too long or too much memory.
        UsageError: the policy refuses its settings, or cannot spend a budget.
    """
    problems = problems_of(benchmark, races)
    output = export_policy(file, problems)
    answer = read_answer(output)
    order = {
        "benchmark": asdict(benchmark),
        "problems": [[problem.num_models, problem.num_queries, problem.budget] for problem in problems],
        "name": name or one_line(":".join(filter(None, (answer.policy_class, file.settings)))),
        "file_sha256": file.sha256,
        "memory_bytes": memory_bytes or memory_for_strangers(),
    }
    text = _replay((json.dumps(order).encode(), output), file.path, seconds, on_progress)
    return from_json(text, file.path)


def problems_of(benchmark: Benchmark, races: Sequence[LoadedRace]) -> list[Problem]:
    """What a policy has to be exported for: the problem of every cell, but where the budget pays for everything.

    Raises:
        BudgetError: a budget is under one pull a model.
    """
    problems = []
    for loaded in races:
        for queries_per_model in benchmark.queries_per_model:
            budget = loaded.budget(queries_per_model)
            if budget < loaded.num_models:
                raise BudgetError(f"{queries_per_model:g} queries per model are under one pull a model.")
            if budget < loaded.num_models * loaded.num_queries:
                problems.append(Problem(loaded.num_models, loaded.num_queries, budget))
    return list(dict.fromkeys(problems))


def renumbered(loaded: LoadedRace, file_sha256: str) -> LoadedRace:
    """The race with its models in another order, drawn by the digests of the tensor and the policy's file."""
    draws = [
        hashlib.sha256(f"{loaded.digest} {file_sha256} {model}".encode()).digest() for model in range(loaded.num_models)
    ]
    order = np.array(sorted(range(loaded.num_models), key=draws.__getitem__))
    race = replace(
        loaded.race,
        correct=np.ascontiguousarray(loaded.race.correct[order]),
        load_seconds=loaded.race.load_seconds[order],
        query_seconds=loaded.race.query_seconds[order],
    )
    return replace(loaded, models=tuple(loaded.models[model] for model in order), race=race)


def _replay(messages: Sequence[bytes], path: str, seconds: float, on_progress: Callable[[int], None] | None) -> str:
    """The result that the child tells in the end."""
    try:
        with closing(follow("gembench.leaderboard.replay_worker", messages, seconds=seconds)) as told:
            while "result" not in (said := next(told)):
                if "error" in said:
                    raise PolicyFileError(f"{path}: {one_line(said['error'])}")
                if on_progress is not None:
                    on_progress(int(said["runs"]))
            return str(said["result"])
    except ReplayTimeoutError as error:
        raise PolicyFileError(f"{path}: its replay took longer than {seconds:g} s.") from error
    except ReplayDiedError as error:
        raise PolicyFileError(f"{path}: its replay died: {one_line(str(error))}.") from error
