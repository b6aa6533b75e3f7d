"""Scoring a policy of a stranger's file on a benchmark: two processes, neither of which can do harm.

The sandbox runs the file and sees no tensor; all that comes out of it are programs. A process of ours, which can be
killed, checks them, replays them against the tensors, and tells the result. A policy is given the models, and the
queries if it chooses them, under other numbers (see `renumbering`).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from types import MappingProxyType

from gembench.background import LoadedBackground
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
    known: Mapping[str, LoadedBackground] = MappingProxyType({}),
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
        known: what is known beforehand, by the race's tensor, as `open_backgrounds` gives it.
        seconds: the longest that the replay may take.
        memory_bytes: the most address space of the process that replays; None for `memory_for_strangers`.
        on_progress: told how many runs have just finished.

    Raises:
        PolicyFileError: the file holds no policy that keeps the contract, or it takes too long or too much memory.
        UsageError: the policy refuses its settings, or cannot spend a budget.
    """
    parts: dict[int, list[LoadedRace]] = {}
    for loaded in races:
        parts.setdefault(num_histories_of(loaded, known), []).append(loaded)
    problems = {size: problems_of(benchmark, of_size) for size, of_size in parts.items()}
    outputs = [export_policy(file, those, num_histories=size) for size, those in problems.items()]
    answer = read_answer(outputs[0])
    order = {
        "benchmark": asdict(benchmark),
        "problems": {
            size: [[problem.num_models, problem.num_queries, problem.budget] for problem in those]
            for size, those in problems.items()
        },
        "name": name or one_line(":".join(filter(None, (answer.policy_class, file.settings)))),
        "file_sha256": file.sha256,
        "memory_bytes": memory_bytes or memory_for_strangers(),
    }
    text = _replay((json.dumps(order).encode(), *outputs), file.path, seconds, on_progress)
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


def num_histories_of(loaded: LoadedRace, known: Mapping[str, LoadedBackground]) -> int:
    """H, the models of a race's history; `known` is what is known beforehand, by the race's tensor."""
    return len(known[loaded.tensor].background.history) if loaded.tensor in known else 0


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
