"""Where policies stand on a benchmark: one number each, which differences are real, places, and both costs.

A policy's number is its mean rank relative to the reference's, as a geometric mean over all cells (see `relative`).
Its place is 1 + the policies that are better for certain: those whose number is lower by an interval that holds for
all pairs at once, with 95% confidence. Policies that share a place are a group that these runs do not order. With 95%
confidence nobody who is truly best of all has a place other than 1. A place is about the field: who is compared with
more policies needs a clearer lead.
"""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from gembench.errors import BenchmarkError
from gembench.intervals import CONFIDENCE, Interval, mean_interval
from gembench.leaderboard.benchmark import Benchmark
from gembench.leaderboard.relative import Estimate, log_means, ratio_intervals, relative_means
from gembench.leaderboard.scores import Cell, CellScore, PolicyScores, cells_of
from gembench.result import recall_interval


@dataclass(frozen=True)
class CellSummary:
    """The means of one policy's runs in one cell; each field as in `CellScore`."""

    cell: Cell
    rank: Estimate
    accuracy: Estimate
    recall: Mapping[int, Estimate]
    pulls: Estimate
    model_loads: Estimate
    cost_seconds: Estimate
    distinct_queries: Estimate | None


@dataclass(frozen=True)
class Entry:
    """One policy of a standing. What is relative is so to the reference's, as a geometric mean over cells.

    Attributes:
        name: the policy.
        place: 1 + the policies that are better for certain.
        rank: its number: the relative mean rank over all cells; lower is better.
        pulls: relative mean pulls.
        cost_seconds: relative mean seconds.
        is_on_front: whether no policy is as good and as quick, and better in one of the two: by `rank` and
            `cost_seconds` as they were seen.
        rank_by_tensor: the relative mean rank over the cells of each tensor.
        rank_by_queries_per_model: the relative mean rank over the cells of each N.
        cells: its means, by tensor, then by N.
    """

    name: str
    place: int
    rank: Estimate
    pulls: Estimate
    cost_seconds: Estimate
    is_on_front: bool
    rank_by_tensor: Mapping[str, Estimate]
    rank_by_queries_per_model: Mapping[float, Estimate]
    cells: tuple[CellSummary, ...]


@dataclass(frozen=True)
class Pair:
    """Two policies of a standing.

    Attributes:
        better: the policy with the lower number, as it was seen.
        worse: the other.
        ratio: how many times the number of `better` that of `worse` is; at least 1.
        interval: of the ratio, simultaneous over all pairs of the standing; None where the runs are too few.
        is_certain: whether the interval lies above 1.
    """

    better: str
    worse: str
    ratio: float
    interval: Interval | None
    is_certain: bool


@dataclass(frozen=True)
class Standing:
    """All policies on one benchmark.

    Attributes:
        benchmark: its version.
        reference: the policy whose number is 1.
        runs: R, of every policy in every cell.
        seed: of the runs.
        confidence: how often the intervals of all pairs hold at once.
        entries: by place, and within one by number.
        pairs: every two policies, by the number of the better, then of the worse.
    """

    benchmark: str
    reference: str
    runs: int
    seed: int
    confidence: float
    entries: tuple[Entry, ...]
    pairs: tuple[Pair, ...]

    def pairs_of(self, name: str) -> tuple[Pair, ...]:
        """The pairs that a policy is in, from the best to the worst of the others."""
        return tuple(pair for pair in self.pairs if name in (pair.better, pair.worse))


def make_standing(benchmark: Benchmark, scores: Sequence[PolicyScores]) -> Standing:
    """Where policies stand that were all scored on a benchmark, its reference among them.

    Raises:
        BenchmarkError: a policy is there twice, was scored on other cells or runs, the reference is missing, or it
            paid nothing in some cell.
    """
    _check(benchmark, scores)
    names = [each.name for each in scores]
    reference, cells = names.index(benchmark.reference), cells_of(benchmark)
    ranks, pulls, seconds = (_values(scores, name) for name in ("rank", "pulls", "cost_seconds"))
    if not (pulls[:, reference].any(axis=0) & seconds[:, reference].any(axis=0)).all():
        raise BenchmarkError(f"{benchmark.reference}: paid nothing in some cell, so that no cost is relative to its.")
    everywhere = range(len(cells))
    logs = log_means(ranks)
    relative_rank = relative_means(logs, reference, everywhere)
    relative_pulls = relative_means(log_means(pulls), reference, everywhere)
    relative_seconds = relative_means(log_means(seconds), reference, everywhere)
    by_tensor = {
        tensor.name: relative_means(
            logs, reference, [place for place, cell in enumerate(cells) if cell.tensor == tensor.name]
        )
        for tensor in benchmark.tensors
    }
    by_queries_per_model = {
        num_each: relative_means(
            logs, reference, [place for place, cell in enumerate(cells) if cell.queries_per_model == num_each]
        )
        for num_each in benchmark.queries_per_model
    }
    numbers = [estimate.value for estimate in relative_rank]
    intervals = ratio_intervals(ranks)
    is_worse = intervals[..., 0] > 1
    front = pareto_front(numbers, [estimate.value for estimate in relative_seconds])
    entries = [
        Entry(
            name=each.name,
            place=1 + int(is_worse[place].sum()),
            rank=relative_rank[place],
            pulls=relative_pulls[place],
            cost_seconds=relative_seconds[place],
            is_on_front=front[place],
            rank_by_tensor={name: estimates[place] for name, estimates in by_tensor.items()},
            rank_by_queries_per_model={num: estimates[place] for num, estimates in by_queries_per_model.items()},
            cells=tuple(map(summarize_cell, each.cells)),
        )
        for place, each in enumerate(scores)
    ]
    return Standing(
        benchmark=benchmark.version,
        reference=benchmark.reference,
        runs=benchmark.runs,
        seed=benchmark.seed,
        confidence=CONFIDENCE,
        entries=tuple(sorted(entries, key=lambda entry: (entry.place, entry.rank.value, entry.name))),
        pairs=_pairs(names, numbers, intervals),
    )


def to_json(standing: Standing) -> str:
    """The standing as JSON text."""
    return json.dumps(asdict(standing), indent=1, allow_nan=False) + "\n"


def summarize_cell(score: CellScore) -> CellSummary:
    """The means of a cell's runs."""
    return CellSummary(
        cell=score.cell,
        rank=_mean(score.rank),
        accuracy=_mean(score.accuracy),
        recall={k: Estimate(float(share.mean()), recall_interval(k, share)) for k, share in score.recall.items()},
        pulls=_mean(score.pulls),
        model_loads=_mean(score.model_loads),
        cost_seconds=_mean(score.cost_seconds),
        distinct_queries=None if score.distinct_queries is None else _mean(score.distinct_queries),
    )


def pareto_front(first: Sequence[float], second: Sequence[float]) -> list[bool]:
    """Which of n points no other is as low as in both, and lower in one. Equal points share their fate."""
    points = list(zip(first, second, strict=True))
    is_on_front = {}
    lowest = math.inf
    for point in sorted(set(points)):  # whatever is as low in the first comes before
        is_on_front[point] = point[1] < lowest
        lowest = min(lowest, point[1])
    return [is_on_front[point] for point in points]


def _pairs(names: Sequence[str], numbers: Sequence[float], intervals: NDArray[np.float64]) -> tuple[Pair, ...]:
    """The pairs, from the intervals of the number of i over that of j, [P, P, 2]."""
    pairs = []
    by_number = sorted(range(len(names)), key=lambda place: (numbers[place], names[place]))
    for better, worse in itertools.combinations(by_number, 2):
        low, high = (float(end) for end in intervals[worse, better])
        pairs.append(
            Pair(
                better=names[better],
                worse=names[worse],
                ratio=numbers[worse] / numbers[better],
                interval=(low, high) if math.isfinite(high) else None,
                is_certain=low > 1,
            )
        )
    return tuple(pairs)


def _values(scores: Sequence[PolicyScores], name: str) -> NDArray[np.float64]:
    """One measure of all scores, [R, P, C]."""
    values = [[getattr(score, name) for score in each.cells] for each in scores]
    return np.ascontiguousarray(np.moveaxis(np.asarray(values, dtype=np.float64), 2, 0))


def _mean(values: NDArray[np.int64] | NDArray[np.float64]) -> Estimate:
    return Estimate(float(np.mean(values, dtype=np.float64)), mean_interval(values))


def _check(benchmark: Benchmark, scores: Sequence[PolicyScores]) -> None:
    names = [each.name for each in scores]
    if benchmark.reference not in names:
        raise BenchmarkError(f"the reference, {benchmark.reference}, is not among the scores; score it too.")
    cells = cells_of(benchmark)
    for each in scores:
        if names.count(each.name) > 1:
            raise BenchmarkError(f"two of the scores are called {each.name}; give one of them another name.")
        scored = tuple(score.cell for score in each.cells)
        is_alike = all(
            len(score.rank) == benchmark.runs and set(score.recall) == set(benchmark.top_k) for score in each.cells
        )
        if scored != cells or not is_alike:
            raise BenchmarkError(
                f"{each.name}: was not scored on the cells, {benchmark.runs} runs and top ks of benchmark "
                f"{benchmark.version}; score it again."
            )
