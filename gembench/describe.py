"""What a tensor holds, in the few figures that say whether a race on it is worth running."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr

from gembench.data.cells import checked_blocks
from gembench.data.coordinates import coordinates_of
from gembench.data.coverage import complete_part
from gembench.data.digest import ATTRIBUTE, content_digest
from gembench.data.outcomes import Outcome
from gembench.errors import NothingLeftError
from gembench.load_race import open_any
from gembench.race_summary import RaceSummary, summarize_race


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
        race = _summarize(dataset, min_coverage)
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


def _summarize(dataset: xr.Dataset, min_coverage: float) -> RaceSummary:
    part = complete_part(dataset, min_coverage=min_coverage)
    of_queries = coordinates_of(dataset, "query", part.queries)
    return summarize_race(
        part.correct,
        part.models,
        coordinates_of(dataset, "model", part.models),
        [str(row.get("task", "")) for row in of_queries],
    )


def _plain(value: Any) -> Any:
    """NumPy numbers and arrays, which attributes may hold, as Python's own."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form.")
