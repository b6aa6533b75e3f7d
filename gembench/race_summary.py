"""The complete part of a tensor in figures: how hard it is, who is ahead, and how much of it says the same twice."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gembench.gems import hidden_gems
from gembench.likeness import MOST_MODELS_TO_PAIR, correlation, identical_models, nearest_difference

NUM_BEST = 5
_PERCENTILES = (0, 5, 25, 50, 75, 95, 100)


@dataclass(frozen=True)
class TaskSummary:
    """One task: its name, how many queries it has, and the mean accuracy over models and those, in [0, 1]."""

    task: str
    num_queries: int
    mean_accuracy: float


@dataclass(frozen=True)
class BaseSummary:
    """A model from which others descend.

    Attributes:
        base: as the models name it.
        num_descendants: how many other models name it as their base.
        accuracy: its own; None where it is not among the models itself.
        rank: 1 + models strictly more accurate; None likewise.
    """

    base: str
    num_descendants: int
    accuracy: float | None
    rank: int | None


@dataclass(frozen=True)
class RaceSummary:
    """The complete part of a tensor.

    Attributes:
        num_models: M.
        num_queries: Q.
        mean_accuracy: over the M models, in [0, 1].
        accuracy_percentiles: of the M models.
        best: the most accurate models and their accuracies, best first.
        tasks: each, those with the most queries first; none where the queries have no task.
        bases: those of the models, the one with the most descendants first; none where no model names its base.
        hidden_gems: the models that are; None where the downloads of some are unknown.
        num_unknown_downloads: of how many models they are.
        identical_models: the groups of models that answer every query alike.
        always_right: models that answer every query right.
        always_wrong: models that answer none right.
        num_queries_all_right: queries that every model answers right.
        num_queries_all_wrong: queries that no model answers right.
        mean_correlation: of two models' answers, the mean over pairs; see `likeness.correlation`.
        shared_variance: variance of the difference of two accuracies if models share the queries, over that if they
            do not; N shared queries tell as much as N over this many independent ones.
        nearest_difference: share of queries that a model and the one most like it answer differently, the median over
            models; None where there are too many models to look. The lower, the fewer queries tell a policy anything.
    """

    num_models: int
    num_queries: int
    mean_accuracy: float
    accuracy_percentiles: Mapping[int, float]
    best: tuple[tuple[str, float], ...]
    tasks: tuple[TaskSummary, ...]
    bases: tuple[BaseSummary, ...]
    hidden_gems: tuple[str, ...] | None
    num_unknown_downloads: int
    identical_models: tuple[tuple[str, ...], ...]
    always_right: tuple[str, ...]
    always_wrong: tuple[str, ...]
    num_queries_all_right: int
    num_queries_all_wrong: int
    mean_correlation: float | None
    shared_variance: float | None
    nearest_difference: float | None


def summarize_race(
    correct: NDArray[np.uint8],
    models: Sequence[str],
    of_models: Sequence[Mapping[str, Any]],
    tasks: Sequence[str],
) -> RaceSummary:
    """Sum up complete answers.

    Args:
        correct: [M, Q] of 0 and 1.
        models: their M names.
        of_models: M times what is known of them, by the names of the schema; what is unknown is left out.
        tasks: the task of each query, Q names; "" where unknown.
    """
    num_models, num_queries = correct.shape
    num_right = correct.sum(axis=1, dtype=np.int64)
    num_right_of_query = correct.sum(axis=0, dtype=np.int64)
    accuracy = num_right / num_queries
    percentiles = np.percentile(accuracy, _PERCENTILES)
    best_first = np.argsort(-num_right, kind="stable")[:NUM_BEST]
    downloads = np.array([row.get("downloads", np.nan) for row in of_models], dtype=np.float64)
    is_unknown = np.isnan(downloads)
    likeness = correlation(correct)
    return RaceSummary(
        num_models=num_models,
        num_queries=num_queries,
        mean_accuracy=float(accuracy.mean()),
        accuracy_percentiles={share: float(value) for share, value in zip(_PERCENTILES, percentiles, strict=True)},
        best=tuple((models[model], float(accuracy[model])) for model in best_first),
        tasks=_tasks(tasks, num_right_of_query, num_models),
        bases=_bases(models, of_models, num_right, num_queries),
        hidden_gems=None if is_unknown.any() else _named(models, hidden_gems(accuracy, downloads)),
        num_unknown_downloads=int(is_unknown.sum()),
        identical_models=tuple(tuple(models[model] for model in group) for group in identical_models(correct)),
        always_right=_named(models, num_right == num_queries),
        always_wrong=_named(models, num_right == 0),
        num_queries_all_right=int((num_right_of_query == num_models).sum()),
        num_queries_all_wrong=int((num_right_of_query == 0).sum()),
        mean_correlation=likeness.mean,
        shared_variance=likeness.shared_variance,
        nearest_difference=nearest_difference(correct) if num_models <= MOST_MODELS_TO_PAIR else None,
    )


def _named(models: Sequence[str], chosen: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(models[model] for model in np.flatnonzero(chosen).tolist())


def _tasks(tasks: Sequence[str], num_right: NDArray[np.int64], num_models: int) -> tuple[TaskSummary, ...]:
    if not any(tasks):
        return ()
    names, of_query, num_queries = np.unique(np.asarray(tasks, dtype=str), return_inverse=True, return_counts=True)
    num_right_of_task = np.bincount(of_query, weights=num_right)
    found = [
        TaskSummary(str(name), int(count), float(right / (count * num_models)))
        for name, count, right in zip(names, num_queries, num_right_of_task, strict=True)
    ]
    return tuple(sorted(found, key=lambda one: (-one.num_queries, one.task)))


def _bases(
    models: Sequence[str], of_models: Sequence[Mapping[str, Any]], num_right: NDArray[np.int64], num_queries: int
) -> tuple[BaseSummary, ...]:
    """A base is found among the models by its name, or by what comes before the `@` of theirs."""
    position = {name.partition("@")[0]: model for model, name in reversed(list(enumerate(models)))}
    position.update({name: model for model, name in enumerate(models)})
    own = {base: position.get(base) for row in of_models if (base := row.get("base"))}
    num_descendants = Counter(
        row["base"] for model, row in enumerate(of_models) if row.get("base") and own[row["base"]] != model
    )
    return tuple(
        BaseSummary(
            base=base,
            num_descendants=num_descendants[base],
            accuracy=None if model is None else float(num_right[model] / num_queries),
            rank=None if model is None else 1 + int((num_right > num_right[model]).sum()),
        )
        for base, model in sorted(own.items(), key=lambda one: (-num_descendants[one[0]], one[0]))
    )
