"""What a report holds: a row for each policy, tensor and number of queries per model, and the policies compared.

A row carries all that its rerun needs, and every mean in it its 95% interval. A single run has none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from gembench.comparison import Comparison
from gembench.intervals import Interval, mean_interval, probability_interval
from gembench.measures import Measures
from gembench.runs import Runs

if TYPE_CHECKING:
    from gembench.policy import Sampling  # imports JAX, which reading a report does not need

CostSource = Literal["recorded", "stated", "assumed", "given"]
"""Where seconds come from: the tensor recorded them, states a cost model, or knows none and gembench assumes some; or
they were given in the place of the tensor's own."""


@dataclass(frozen=True)
class Replay:
    """What was replayed: the fields of a row that its rerun needs.

    Attributes:
        tensor: an embedded tensor's name, or the path or URL that was given.
        tensor_digest: the content digest of the whole tensor.
        min_coverage: the least share of answered cells for a model or query to be in the race.
        num_models: M, the models in the race.
        num_queries: Q, the queries in the race.
        policy: the policy's specification, `name` or `name:key=value,...` with the settings that are not defaults.
        sampling: whether all models met the queries in one order, or each in its own.
        queries_per_model: N.
        budget: B, the pulls that a run could spend.
        runs: R.
        seed: the seed of the runs.
        cost_source: where the seconds come from.
        history_tensors: what the policy knew of other models' answers beforehand: names, paths or URLs of tensors.
        history: the content digests of these tensors.
        prior: the number that it knew of each model beforehand, as it was asked for; None for none.
    """

    tensor: str
    tensor_digest: str
    min_coverage: float
    num_models: int
    num_queries: int
    policy: str
    sampling: Sampling
    queries_per_model: float
    budget: int
    runs: int
    seed: int
    cost_source: CostSource
    history_tensors: tuple[str, ...] = field(default=(), kw_only=True)
    history: tuple[str, ...] = field(default=(), kw_only=True)
    prior: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Row(Replay):
    """How well the runs did: means over runs, each with its 95% interval (`..._ci`, None for a single run).

    Attributes:
        mean_rank: of the recommended models; 1 is best.
        mean_accuracy: true accuracy of the recommended models, in [0, 1].
        simple_regret: mean shortfall in accuracy from the best model.
        recall: for each k, the mean share of the true top k among the first k recommended. k = 1 is the probability
            of finding the best model, and its interval is the exact binomial one.
        pulls_mean: pulls paid for.
        pulls_max: the most that any run paid for.
        distinct_queries_mean: queries that any model was asked: what is to be labelled where a label, and not an
            answer, is what costs. Where each model meets the queries in its own order, what is to be expected.
        model_loads_mean: how often a model was loaded.
        cost_seconds_mean: seconds of loading and answering.
        wall_seconds: what the replay itself took on this machine, compilation included.
    """

    mean_rank: float
    mean_rank_ci: Interval | None
    mean_accuracy: float
    mean_accuracy_ci: Interval | None
    simple_regret: float
    simple_regret_ci: Interval | None
    recall: Mapping[int, float]
    recall_ci: Mapping[int, Interval | None]
    pulls_mean: float
    pulls_mean_ci: Interval | None
    pulls_max: int
    distinct_queries_mean: float
    distinct_queries_mean_ci: Interval | None
    model_loads_mean: float
    model_loads_mean_ci: Interval | None
    cost_seconds_mean: float
    cost_seconds_mean_ci: Interval | None
    wall_seconds: float


@dataclass(frozen=True)
class Report:
    """The rows of an experiment and the comparisons of its policies, written by gembench `version`."""

    version: str
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]


def summarize_runs(replay: Replay, runs: Runs, measures: Measures, wall_seconds: float) -> Row:
    """The row of one policy's runs on one tensor at one budget."""
    return Row(
        **asdict(replay),
        **_mean_and_interval("mean_rank", measures.rank),
        **_mean_and_interval("mean_accuracy", measures.accuracy),
        **_mean_and_interval("simple_regret", measures.simple_regret),
        recall={k: float(share.mean()) for k, share in measures.recall.items()},
        recall_ci={k: recall_interval(k, share) for k, share in measures.recall.items()},
        **_mean_and_interval("pulls_mean", runs.pulls),
        pulls_max=int(runs.pulls.max()),
        **_mean_and_interval("distinct_queries_mean", runs.distinct_queries),
        **_mean_and_interval("model_loads_mean", runs.model_loads),
        **_mean_and_interval("cost_seconds_mean", runs.cost_seconds),
        wall_seconds=wall_seconds,
    )


def make_report(rows: Sequence[Row], comparisons: Sequence[Comparison]) -> Report:
    """A report by this version of gembench."""
    return Report(version=version("gembench"), rows=tuple(rows), comparisons=tuple(comparisons))


def to_json(report: Report) -> str:
    """The report as JSON text; NaN and infinities, which JSON lacks, are refused with a ValueError."""
    return json.dumps(asdict(report), indent=1, allow_nan=False) + "\n"


def _mean_and_interval(name: str, values: NDArray[Any]) -> dict[str, Any]:
    return {name: float(np.mean(values, dtype=np.float64)), f"{name}_ci": mean_interval(values)}


def recall_interval(k: int, share: NDArray[np.float64]) -> Interval | None:
    """The interval of the mean of a top-k recall [R]: for k = 1, which is a probability, the exact binomial one."""
    if k == 1:
        return probability_interval(int(share.sum()), len(share))
    return mean_interval(share)
