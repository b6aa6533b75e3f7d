"""What a tensor holds, in the few figures that say whether a race on it is worth running."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gembench.data.cells import checked_blocks
from gembench.data.coverage import complete_part
from gembench.data.digest import ATTRIBUTE, content_digest
from gembench.data.outcomes import Outcome
from gembench.errors import NothingLeftError
from gembench.load_race import open_any

NUM_BEST = 5
MOST_MODELS_TO_PAIR = 4000
"""The nearest model of each is sought among all pairs; beyond this many models that takes too long for a summary."""
_PERCENTILES = (0, 5, 25, 50, 75, 95, 100)


@dataclass(frozen=True)
class RaceSummary:
    """The complete part of a tensor.

    Attributes:
        num_models: M.
        num_queries: Q.
        mean_accuracy: over the M models, in [0, 1].
        accuracy_percentiles: of the M models.
        best: the most accurate models and their accuracies, best first.
        nearest_difference: share of queries that a model and the one most like it answer differently, the median over
            models; None where there are too many models to look. The lower, the fewer queries tell a policy anything.
    """

    num_models: int
    num_queries: int
    mean_accuracy: float
    accuracy_percentiles: Mapping[int, float]
    best: tuple[tuple[str, float], ...]
    nearest_difference: float | None


@dataclass(frozen=True)
class TensorSummary:
    """A tensor.

    Attributes:
        tensor: an embedded name, or the path or URL that was given.
        num_models: models, complete or not.
        num_queries: queries, complete or not.
        coverage: share of cells that are answered.
        outcomes: how many cells had each outcome.
        content_digest: of the content as it is now.
        is_digest_verified: whether the tensor carries that very digest; None where it carries none.
        race: the complete part; None where there is none.
        no_race_because: why there is none.
        attributes: as stored.
    """

    tensor: str
    num_models: int
    num_queries: int
    coverage: float
    outcomes: Mapping[str, int]
    content_digest: str
    is_digest_verified: bool | None
    race: RaceSummary | None
    no_race_because: str | None
    attributes: Mapping[str, Any]


def describe(location: str, *, min_coverage: float = 0.5) -> TensorSummary:
    """Read a whole tensor and sum it up.

    Raises:
        TensorError: nothing lies there, or it cannot be read.
    """
    dataset = open_any(location)
    counts = np.zeros(len(Outcome), dtype=np.int64)
    num_answered = 0
    for block in checked_blocks(dataset):
        counts += np.bincount(block.outcome.ravel(), minlength=len(Outcome))
        num_answered += int((block.correct >= 0).sum())
    digest = content_digest(dataset)
    stored = dataset.attrs.get(ATTRIBUTE)
    race, no_race_because = None, None
    try:
        part = complete_part(dataset, min_coverage=min_coverage)
        race = _describe_race(part.correct, part.models)
    except NothingLeftError as error:
        no_race_because = str(error)
    return TensorSummary(
        tensor=location,
        num_models=dataset.sizes["model"],
        num_queries=dataset.sizes["query"],
        coverage=num_answered / (dataset.sizes["model"] * dataset.sizes["query"]),
        outcomes={outcome.name.lower(): int(counts[outcome]) for outcome in Outcome},
        content_digest=digest,
        is_digest_verified=None if stored is None else stored == digest,
        race=race,
        no_race_because=no_race_because,
        attributes=dict(dataset.attrs),
    )


def summary_to_json(summary: TensorSummary) -> str:
    """The summary as JSON text."""
    return json.dumps(asdict(summary), indent=1, allow_nan=False, default=_plain) + "\n"


def nearest_difference(correct: NDArray[np.uint8]) -> float:
    """The median over models of the share of queries that a model and the one most like it answer differently.

    Args:
        correct: [M, Q] of 0 and 1, two models or more.
    """
    num_queries = correct.shape[1]
    answers = correct.astype(np.float32)  # counts up to 2**24 are exact
    num_right = answers.sum(axis=1)
    differing = num_right[:, None] + num_right[None, :] - 2 * (answers @ answers.T)
    np.fill_diagonal(differing, np.inf)
    return float(np.median(differing.min(axis=1)) / num_queries)


def _describe_race(correct: NDArray[np.uint8], models: tuple[str, ...]) -> RaceSummary:
    accuracy = correct.mean(axis=1, dtype=np.float64)
    best_first = np.argsort(-accuracy, kind="stable")[:NUM_BEST]
    percentiles = np.percentile(accuracy, _PERCENTILES)
    return RaceSummary(
        num_models=correct.shape[0],
        num_queries=correct.shape[1],
        mean_accuracy=float(accuracy.mean()),
        accuracy_percentiles={share: float(value) for share, value in zip(_PERCENTILES, percentiles, strict=True)},
        best=tuple((models[model], float(accuracy[model])) for model in best_first),
        nearest_difference=nearest_difference(correct) if len(models) <= MOST_MODELS_TO_PAIR else None,
    )


def _plain(value: Any) -> Any:
    """NumPy numbers and arrays, which attributes may hold, as Python's own."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form.")
