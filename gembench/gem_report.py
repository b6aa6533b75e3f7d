"""The hidden gems of a tensor: which models are, how surely, and which nearly are."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gembench.data.coordinates import coordinates_of
from gembench.data.coverage import complete_part
from gembench.data.metadata import LookUp, MetadataReport, annotate_all
from gembench.errors import UsageError
from gembench.gem_bootstrap import gem_counts
from gembench.gems import hidden_gems, is_at_top, num_top
from gembench.intervals import Interval, probability_interval
from gembench.load_race import open_any

NEARLY = 0.05
"""A model that is a gem in at least this share of the resamples, but not over the queries as they are, nearly is."""


@dataclass(frozen=True)
class GemCandidate:
    """A model, and how surely it is a hidden gem.

    Attributes:
        model: its name.
        downloads: how often it is.
        accuracy: over all queries, in [0, 1].
        rank: 1 + models strictly more accurate.
        lead: its accuracy minus that of the best popular model.
        probability: share of the resamples in which it is a gem.
        probability_ci: exact 95% interval of that, for the number of resamples; None for a single one.
    """

    model: str
    downloads: int
    accuracy: float
    rank: int
    lead: float
    probability: float
    probability_ci: Interval | None


@dataclass(frozen=True)
class GemReport:
    """The hidden gems of the complete part of a tensor.

    Attributes:
        tensor: an embedded name, or the path or URL that was given.
        num_models: M.
        num_queries: Q.
        left_out: models whose downloads are unknown.
        num_top: how many models the top 1% are, before ties: ceil(M / 100).
        accuracy_to_reach: of the last of the top 1% by accuracy.
        downloads_to_stay_below: of the last of the top 1% by downloads.
        popular: the top 1% by downloads, the most accurate first.
        gems: all hidden gems, the most accurate first.
        nearly: models that are none, but are in 5% of the resamples or more; the most probable first.
        num_resamples: B of the bootstrap over queries.
        seed: of the bootstrap.
        metadata: what other sources said of the models.
    """

    tensor: str
    num_models: int
    num_queries: int
    left_out: Sequence[str]
    num_top: int
    accuracy_to_reach: float
    downloads_to_stay_below: int
    popular: Sequence[GemCandidate]
    gems: Sequence[GemCandidate]
    nearly: Sequence[GemCandidate]
    num_resamples: int
    seed: int
    metadata: Sequence[MetadataReport]

    @property
    def best_popular(self) -> GemCandidate:
        """The most accurate of the top 1% by downloads."""
        return self.popular[0]

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps({"version": 1, **asdict(self)}, indent=1, allow_nan=False) + "\n"


def find_gems(
    location: str,
    *,
    look_up: LookUp | None = None,
    known_only: bool = False,
    min_coverage: float = 0.5,
    num_resamples: int = 10_000,
    seed: int = 0,
) -> GemReport:
    """Say which models of a tensor are hidden gems, by the definition of `gems.hidden_gems`, and how surely.

    Args:
        location: an embedded tensor's name, a path or URL of a store, or an `.npz`.
        look_up: what says more of the models than the tensor does, and stands over it.
        known_only: leave out models whose downloads are unknown.
        min_coverage: leave out models, then queries, as `complete_part` does.
        num_resamples: B of the bootstrap over queries.
        seed: of the bootstrap.

    Raises:
        TensorError: nothing lies there, it cannot be read, or too little of it is complete.
        UsageError: the downloads of a model are unknown, and it is not to be left out.
    """
    dataset = open_any(location)
    models = [str(model) for model in dataset["model"].values]
    dataset, metadata = annotate_all(dataset, look_up(models) if look_up is not None else ())
    dataset, left_out = _of_known_downloads(dataset, models, location, known_only=known_only)
    part = complete_part(dataset, min_coverage=min_coverage)
    downloads = np.array([row["downloads"] for row in coordinates_of(dataset, "model", part.models)], np.float64)
    num_found = gem_counts(part.correct, downloads, num_resamples=num_resamples, seed=seed)
    is_gem, is_popular = hidden_gems(part.accuracy, downloads), is_at_top(downloads)
    is_nearly = ~is_gem & (num_found >= NEARLY * num_resamples)
    best_popular = part.accuracy[is_popular].max()

    def candidates(chosen: NDArray[np.bool_], order: NDArray[np.float64]) -> list[GemCandidate]:
        positions = np.flatnonzero(chosen)
        return [
            GemCandidate(
                model=part.models[model],
                downloads=int(downloads[model]),
                accuracy=float(part.accuracy[model]),
                rank=1 + int((part.accuracy > part.accuracy[model]).sum()),
                lead=float(part.accuracy[model] - best_popular),
                probability=int(num_found[model]) / num_resamples,
                probability_ci=probability_interval(int(num_found[model]), num_resamples),
            )
            for model in positions[np.argsort(-order[positions], kind="stable")].tolist()
        ]

    return GemReport(
        tensor=location,
        num_models=len(part.models),
        num_queries=len(part.queries),
        left_out=left_out,
        num_top=num_top(len(part.models)),
        accuracy_to_reach=float(part.accuracy[is_at_top(part.accuracy)].min()),
        downloads_to_stay_below=int(downloads[is_popular].min()),
        popular=candidates(is_popular, part.accuracy),
        gems=candidates(is_gem, part.accuracy),
        nearly=candidates(is_nearly, num_found.astype(np.float64)),
        num_resamples=num_resamples,
        seed=seed,
        metadata=metadata,
    )


def _of_known_downloads(
    dataset: xr.Dataset, models: Sequence[str], location: str, *, known_only: bool
) -> tuple[xr.Dataset, list[str]]:
    """The tensor without the models whose downloads are unknown, and those; nothing is left out unless asked."""
    is_known = np.array(["downloads" in row for row in coordinates_of(dataset, "model", models)])
    unknown = [model for model, known in zip(models, is_known, strict=True) if not known]
    if not unknown:
        return dataset, []
    if not is_known.any():
        raise UsageError(
            f"{location}: says nothing of downloads, without which no model is hidden; give them by --metadata "
            f"FILE.csv or --hub-metadata."
        )
    if not known_only:
        raise UsageError(
            f"{location}: the downloads of {len(unknown):,} of {len(models):,} models are unknown, first of "
            f"{unknown[0]!r}, and any may be the most downloaded; give them by --metadata FILE.csv or --hub-metadata, "
            f"or leave those models out by --known-only."
        )
    return dataset.isel(model=np.flatnonzero(is_known)), unknown
