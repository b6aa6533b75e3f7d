"""What a policy achieved on a benchmark, cell by cell and run by run. A cell is one tensor at one number of queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gembench.leaderboard.benchmark import Benchmark
    from gembench.load_race import LoadedRace
    from gembench.measures import Measures
    from gembench.policy import Policy
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
    """

    cell: Cell
    rank: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    recall: Mapping[int, NDArray[np.float64]]
    pulls: NDArray[np.int64]
    model_loads: NDArray[np.int64]
    cost_seconds: NDArray[np.float64]


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


def score_cell(loaded: LoadedRace, queries_per_model: float, runs: Runs, measures: Measures) -> CellScore:
    """The score of runs that were made and measured on a race."""
    return CellScore(
        cell=Cell(loaded.tensor, loaded.digest, queries_per_model),
        rank=measures.rank,
        accuracy=measures.accuracy,
        recall=measures.recall,
        pulls=runs.pulls,
        model_loads=runs.model_loads,
        cost_seconds=np.round(runs.cost_seconds, SECONDS_DIGITS),
    )


def score_policies(
    benchmark: Benchmark,
    races: Sequence[LoadedRace],
    policies: Mapping[str, Policy],
    *,
    memory_bytes: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[PolicyScores, ...]:
    """Replay policies in every cell of a benchmark, on the same runs.

    Args:
        benchmark: budgets, runs, seed and ks.
        races: its races, as `open_races` gives them.
        policies: by the name that the scores shall bear; any object that keeps the contract.
        memory_bytes: what all replays running at once may use together; None for the simulator's own default.
        on_progress: told, from any thread, how many runs have just finished.

    Raises:
        BudgetError: a policy cannot spend a budget of the benchmark.
        ContractError: a policy asked for what the contract forbids.
    """
    from gembench.experiment import Settings, plan_contests, run_contests

    settings = Settings(num_runs=benchmark.runs, seed=benchmark.seed, top_k=benchmark.top_k, memory_bytes=memory_bytes)
    contests = plan_contests(races, policies, benchmark.queries_per_model)
    cells: dict[str, list[CellScore]] = {name: [] for name in policies}
    for result in run_contests(contests, settings, on_progress):
        contest = result.contest
        cells[contest.specification].append(
            score_cell(contest.loaded, contest.queries_per_model, result.runs, result.measures)
        )
    return tuple(PolicyScores(name, tuple(of_policy)) for name, of_policy in cells.items())
