"""From a tensor to the race that a replay runs: the complete part of it, its digest, and what its cells cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gembench.data.coordinates import coordinates_of
from gembench.data.coverage import complete_part
from gembench.data.digest import ATTRIBUTE, content_digest, verify_digest
from gembench.data.embedded import EMBEDDED, load_embedded
from gembench.data.tensor import open_tensor
from gembench.errors import TensorNotFoundError, UsageError
from gembench.race import Race
from gembench.result import CostSource

ASSUMED_LOAD_SECONDS = 30.0
"""For tensors that know no times: seconds to load a model of some 7 billion parameters to a GPU..."""
ASSUMED_QUERY_SECONDS = 0.5
"""...and answering one short question with it."""


@dataclass(frozen=True, eq=False)
class LoadedRace:
    """A race with its name and origin.

    Attributes:
        tensor: an embedded tensor's name, or the path or URL that was given.
        digest: content digest of the whole tensor.
        min_coverage: least share of answered cells for a model or query to be in the race.
        models: the M names of the models in the race.
        race: their answers and costs.
        cost_source: whether the costs were recorded, come from a cost model that the tensor states, or are assumed.
        left_out_models: models left out because too many of their cells are missing.
        num_left_out_queries: queries left out because a model of the race never answered them.
    """

    tensor: str
    digest: str
    min_coverage: float
    models: tuple[str, ...]
    race: Race
    cost_source: CostSource
    left_out_models: tuple[str, ...]
    num_left_out_queries: int

    @property
    def num_models(self) -> int:
        """M."""
        return len(self.race.correct)

    @property
    def num_queries(self) -> int:
        """Q."""
        return int(self.race.correct.shape[1])

    @cached_property
    def accuracy(self) -> NDArray[np.float64]:
        """The truth: [M] float64."""
        return self.race.accuracy

    def budget(self, queries_per_model: float) -> int:
        """B for N queries per model.

        Raises:
            UsageError: N is not a positive number.
        """
        return budget_of(queries_per_model, self.num_models, self.num_queries)


def budget_of(queries_per_model: float, num_models: int, num_queries: int) -> int:
    """B for N queries per model: the pulls, rounded down, and no more than there are cells.

    N is taken as the decimal number that it prints as: 0.29 over 100 models is 29 pulls.

    Raises:
        UsageError: N is not a positive number.
    """
    if not (math.isfinite(queries_per_model) and queries_per_model > 0):
        raise UsageError(f"queries per model must be a positive number, got {queries_per_model:g}.")
    pulls = math.floor(Fraction(str(queries_per_model)) * num_models)
    return min(pulls, num_models * num_queries)


def open_any(location: str) -> xr.Dataset:
    """The tensor of an embedded name, or at a path or URL.

    Raises:
        TensorError: nothing lies there, or it cannot be read.
    """
    if location in EMBEDDED:
        return load_embedded(location)
    try:
        return open_tensor(location)
    except TensorNotFoundError as error:
        raise TensorNotFoundError(f"{error} Embedded tensors are {', '.join(EMBEDDED)}.") from error


def digest_of(dataset: xr.Dataset) -> str:
    """The content digest of a tensor, all of which is read.

    Raises:
        CorruptTensorError: the tensor carries a digest, and is not what that says was written.
        SchemaError: a cell holds a value that the schema forbids.
    """
    return verify_digest(dataset) if ATTRIBUTE in dataset.attrs else content_digest(dataset)


def load_race(location: str, *, min_coverage: float = 0.5) -> LoadedRace:
    """Open a tensor and keep its complete part.

    Args:
        location: an embedded tensor's name, a path or URL of a store, or an `.npz`.
        min_coverage: a model or query with a smaller share of answered cells is left out first; then every query that
            a remaining model has not answered.

    Raises:
        TensorError: nothing lies there, it cannot be read, it is not what its own digest says was written, or no race
            is left of it.
    """
    dataset = open_any(location)
    digest = digest_of(dataset)
    part = complete_part(dataset, min_coverage=min_coverage)
    load_seconds, query_seconds = part.load_seconds, part.query_seconds
    cost_source: CostSource = "stated" if "cost_model" in dataset.attrs else "recorded"
    if load_seconds is None or query_seconds is None:
        load_seconds = np.full(len(part.models), ASSUMED_LOAD_SECONDS)
        query_seconds = np.full(len(part.models), ASSUMED_QUERY_SECONDS)
        cost_source = "assumed"
    return LoadedRace(
        tensor=location,
        digest=digest,
        min_coverage=min_coverage,
        models=part.models,
        race=Race(correct=part.correct, load_seconds=load_seconds, query_seconds=query_seconds),
        cost_source=cost_source,
        left_out_models=part.left_out_models,
        num_left_out_queries=part.num_left_out_queries,
    )


@dataclass(frozen=True)
class RaceNames:
    """Who is in a race, and what the tensor says of them.

    Attributes:
        queries: the Q ids.
        of_models: M times the known coordinates.
        of_queries: Q times the known coordinates.
    """

    queries: tuple[str, ...]
    of_models: Sequence[Mapping[str, Any]]
    of_queries: Sequence[Mapping[str, Any]]


def race_names(loaded: LoadedRace) -> RaceNames:
    """Read the names of a race's queries, and what is known of its models and queries."""
    dataset = open_any(loaded.tensor)
    queries = complete_part(dataset, min_coverage=loaded.min_coverage).queries
    return RaceNames(
        queries, coordinates_of(dataset, "model", loaded.models), coordinates_of(dataset, "query", queries)
    )


def load_races(locations: Sequence[str], *, min_coverage: float = 0.5) -> tuple[LoadedRace, ...]:
    """The races of several tensors, in their order; a location named twice counts once."""
    return tuple(load_race(location, min_coverage=min_coverage) for location in dict.fromkeys(locations))
