"""What a policy achieved on a benchmark, cell by cell and run by run. A cell is one tensor at one number of queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gembench.background import LoadedBackground
    from gembench.experiment import Contest
    from gembench.leaderboard.benchmark import Benchmark
    from gembench.load_race import LoadedRace
    from gembench.measures import Measures
    from gembench.query_policy import AnyPolicy
    from gembench.runs import Runs

SECONDS_DIGITS = 3
"""Seconds are kept to the millisecond: no recorded time is truer, and a result file stays short."""


@dataclass(frozen=True)
class Cell:
    """Where runs took place.

    Attributes:
        tensor: its name in the benchmark.
        tensor_digest: its content digest.
        queries_per_model: N.
    """

    tensor: str
    tensor_digest: str
    queries_per_model: float


@dataclass(frozen=True, eq=False)
class CellScore:
    """The R runs of one policy in one cell.

    Attributes:
        cell: where.
        rank: [R] int64, rank of the recommended model; 1 is best.
        accuracy: [R] float64, its true accuracy, in [0, 1].
        recall: for each k, [R] float64, the share of the true top k among the first k recommended.
        pulls: [R] int64, pulls paid for.
        model_loads: [R] int64, how often a model was loaded.
        cost_seconds: [R] float64, seconds of loading and answering, to the millisecond.
        distinct_queries: [R] float64, queries that any model was asked, of a policy that chooses them; else None.
    """

    cell: Cell
    rank: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    recall: Mapping[int, NDArray[np.float64]]
    pulls: NDArray[np.int64]
    model_loads: NDArray[np.int64]
    cost_seconds: NDArray[np.float64]
    distinct_queries: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class PolicyScores:
    """One policy in all cells of a benchmark, by tensor, then by N."""

    name: str
    cells: tuple[CellScore, ...]


def cells_of(benchmark: Benchmark) -> tuple[Cell, ...]:
    """The cells of a benchmark, by tensor, then by N."""
    return tuple(
        Cell(tensor.name, tensor.digest, num_each)
        for tensor in benchmark.tensors
        for num_each in benchmark.queries_per_model
    )


def score_cell(
    loaded: LoadedRace, queries_per_model: float, runs: Runs, measures: Measures, *, has_chosen: bool = False
) -> CellScore:
    """The score of runs that were made and measured on a race, by a policy that chose the queries or took them."""
    return CellScore(
        cell=Cell(loaded.tensor, loaded.digest, queries_per_model),
        rank=measures.rank,
        accuracy=measures.accuracy,
        recall=measures.recall,
        pulls=runs.pulls,
        model_loads=runs.model_loads,
        cost_seconds=np.round(runs.cost_seconds, SECONDS_DIGITS),
        distinct_queries=runs.distinct_queries if has_chosen else None,
    )


def score_policies(
    benchmark: Benchmark,
    races: Sequence[LoadedRace],
    policies: Mapping[str, AnyPolicy],
    *,
    known: Mapping[str, LoadedBackground] = MappingProxyType({}),
    memory_bytes: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[PolicyScores, ...]:
    """Replay policies in every cell of a benchmark, on the same runs.

    Args:
        benchmark: budgets, runs, seed and ks.
        races: its races, as `open_races` gives them.
        policies: by the name that the scores shall bear; any object that keeps the contract.
        known: what is known beforehand, by the race's tensor, as `open_backgrounds` gives it.
        memory_bytes: what all replays running at once may use together; None for the simulator's own default.
        on_progress: told, from any thread, how many runs have just finished.

    Raises:
        BudgetError: a policy cannot spend a budget of the benchmark.
        ContractError: a policy asked for what the contract forbids.
    """
    from gembench.experiment import plan_contests

    contests = plan_contests(races, policies, benchmark.queries_per_model, known=known)
    return score_contests(benchmark, contests, memory_bytes=memory_bytes, on_progress=on_progress)


def score_contests(
    benchmark: Benchmark,
    contests: Sequence[Contest],
    *,
    memory_bytes: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[PolicyScores, ...]:
    """The scores that contests in the cells of a benchmark come to; the rest as in `score_policies`."""
    from gembench.experiment import Settings, run_contests
    from gembench.query_policy import chooses_queries, informed

    settings = Settings(num_runs=benchmark.runs, seed=benchmark.seed, top_k=benchmark.top_k, memory_bytes=memory_bytes)
    cells: dict[str, list[CellScore]] = {contest.specification: [] for contest in contests}
    for result in run_contests(contests, settings, on_progress):
        contest, has_history = result.contest, bool(result.row.history)
        raced = informed(contest.policy, has_history=has_history)
        cells[contest.specification].append(
            score_cell(
                contest.loaded,
                contest.queries_per_model,
                result.runs,
                result.measures,
                has_chosen=chooses_queries(raced),
            )
        )
    return tuple(PolicyScores(name, tuple(of_policy)) for name, of_policy in cells.items())
