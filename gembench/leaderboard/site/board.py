"""All that the site shows, and the standing on tensors that nobody else has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gembench.errors import BenchmarkError
from gembench.intervals import mean_interval, probability_interval
from gembench.leaderboard.benchmark import Benchmark
from gembench.leaderboard.entry import Published
from gembench.leaderboard.private import hidden_benchmark
from gembench.leaderboard.relative import Estimate
from gembench.leaderboard.result_file import Result, check_benchmark
from gembench.leaderboard.scores import PolicyScores
from gembench.leaderboard.standing import Standing, make_standing
from gembench.result import recall_interval

if TYPE_CHECKING:
    from gembench.leaderboard.site.atlas import Atlas


@dataclass(frozen=True, eq=False)
class Private:
    """The standing on hidden tensors, which are named by their digests alone."""

    benchmark: Benchmark
    standing: Standing


@dataclass(frozen=True, eq=False)
class Board:
    """Everything that the pages show.

    Attributes:
        benchmark: the public one.
        standing: of all that is published.
        published: the policies, in the standing's order.
        private: None where nothing was scored on hidden tensors.
        atlases: the trees to draw.
    """

    benchmark: Benchmark
    standing: Standing
    published: tuple[Published, ...]
    private: Private | None
    atlases: tuple[Atlas, ...]


def make_board(
    benchmark: Benchmark, published: Sequence[Published], private: Sequence[Result], atlases: Sequence[Atlas]
) -> Board:
    """The board of published policies.

    Raises:
        BenchmarkError: results are not all of the benchmark, or of one private benchmark with the same reference; a
            card and its result bear different names; a private result names a tensor by more than its digest.
    """
    for each in published:
        name = each.result.scores.name
        if each.card.name != name:
            raise BenchmarkError(f"the card of {each.card.name} comes with the result of {name}; publish it again.")
        check_benchmark(each.result, benchmark, name)
    standing = make_standing(benchmark, [each.result.scores for each in published])
    by_name = {each.card.name: each for each in published}
    return Board(
        benchmark=benchmark,
        standing=standing,
        published=tuple(by_name[entry.name] for entry in standing.entries),
        private=_private(benchmark, private) if private else None,
        atlases=tuple(atlases),
    )


def mean_recall(scores: PolicyScores, queries_per_model: float, k: int) -> Estimate:
    """The mean top-k recall over all tensors at one N, each tensor counting alike.

    Its interval is one bootstrap over runs, for the runs of all tensors are related. Where all R runs did the same, no
    resample differs; but a run that does otherwise, if it happened less often than the exact interval of 0 of R says,
    may well be missing, and the interval is as wide as such runs could move the mean.
    """
    shares = [score.recall[k] for score in scores.cells if score.cell.queries_per_model == queries_per_model]
    if len(shares) == 1:
        return Estimate(float(shares[0].mean()), recall_interval(k, shares[0]))
    per_run = np.mean(shares, axis=0)
    mean = float(per_run.mean())
    unseen = probability_interval(0, len(per_run)) if np.ptp(per_run) == 0 else None
    if unseen is None:
        return Estimate(mean, mean_interval(per_run))
    return Estimate(mean, (mean * (1 - unseen[1]), mean * (1 - unseen[1]) + unseen[1]))


def _private(benchmark: Benchmark, results: Sequence[Result]) -> Private:
    """The standing on the cells that the results have, which must be the same for all."""
    hidden = hidden_benchmark(benchmark, results[0])
    for result in results:
        check_benchmark(result, hidden, result.scores.name)
    return Private(hidden, make_standing(hidden, [result.scores for result in results]))
