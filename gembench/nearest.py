"""Which tensors stand for a search that somebody plans: cut to its size, given its costs, and the nearest of them.

What can be made equal is: a larger tensor is cut to the models and queries of the case, and stated costs take the place
of the tensor's own. What is left is a distance in doublings, the Euclidean one over

- log2 of the models, of the tensor as it is cut and of the case,
- log2 of the queries, likewise,
- log2 of the likeness: the share of queries that a model and the one most like it answer differently, which says how
  many queries it takes to tell models apart. It is measured on the tensor as it is cut, for the models left by a draw
  are farther apart than all of them.

What is not known of the case is left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gembench.errors import UsageError
from gembench.likeness import MOST_MODELS_TO_PAIR, nearest_difference
from gembench.load_race import LoadedRace
from gembench.race import Race

NUM_NEAREST = 3


@dataclass(frozen=True)
class Case:
    """A search that somebody plans.

    Attributes:
        queries_per_model: N.
        num_models: M; None to take the tensors' own.
        num_queries: Q; None to take the tensors' own.
        difference: share of queries that a model and the one most like it answer differently; None where unknown.
        seconds_per_load: seconds to load a model; None to take the tensors' own.
        seconds_per_query: seconds to answer a query; None where the other is.

    Raises:
        UsageError: a figure is out of its range, or N pays for every answer.
    """

    queries_per_model: float
    num_models: int | None = None
    num_queries: int | None = None
    difference: float | None = None
    seconds_per_load: float | None = None
    seconds_per_query: float | None = None

    def __post_init__(self) -> None:
        if self.num_models is not None and self.num_models < 2:
            raise UsageError(f"a search needs 2 models or more, got {self.num_models}.")
        if self.num_queries is not None:
            if self.num_queries < 1:
                raise UsageError(f"a search needs queries, got {self.num_queries}.")
            self.check_that_a_choice_is_left(self.num_queries, "the case")
        if self.difference is not None and not 0 < self.difference <= 1:
            raise UsageError(f"the difference is a share of queries above 0 and up to 1, got {self.difference:g}.")
        costs = (self.seconds_per_load, self.seconds_per_query)
        if (costs[0] is None) != (costs[1] is None):
            raise UsageError("give the seconds of both a load and a query, or of neither.")
        for seconds in costs:
            if seconds is not None and not 0 <= seconds < math.inf:
                raise UsageError(f"seconds must be 0 or more, got {seconds:g}.")

    def check_that_a_choice_is_left(self, num_queries: int, where: str) -> None:
        """Raise UsageError if N buys every answer: all policies are then the same."""
        if self.queries_per_model >= num_queries:
            raise UsageError(
                f"{self.queries_per_model:g} queries per model buy every answer of {where}, which has {num_queries:,} "
                f"queries: there is nothing to choose; give fewer queries per model."
            )


@dataclass(frozen=True, eq=False)
class StandIn:
    """A tensor as it stands for a case.

    Attributes:
        loaded: the race, cut to the case and with its costs.
        num_models_uncut: models of the tensor's race before the cut.
        num_queries_uncut: queries before it.
        difference: share of queries that a model and the one most like it answer differently, the median over the
            models of the cut race; None where these are too many to pair.
        distance: from the case, in doublings.
    """

    loaded: LoadedRace
    num_models_uncut: int
    num_queries_uncut: int
    difference: float | None
    distance: float

    @property
    def seconds_per_load(self) -> float:
        """The mean over models."""
        return float(self.loaded.race.load_seconds.mean())

    @property
    def seconds_per_query(self) -> float:
        """The mean over models."""
        return float(self.loaded.race.query_seconds.mean())


def stand_in(loaded: LoadedRace, case: Case, *, seed: int = 0) -> StandIn:
    """The tensor as it stands for the case.

    Args:
        loaded: the whole race; where it has more models or queries than the case, as many are drawn, all alike likely,
            and keep their order.
        case: the case.
        seed: of the draw, which depends on nothing else but the sizes.
    """
    race = loaded.race
    rng = np.random.default_rng(seed)
    models = _draw(rng, loaded.num_models, case.num_models)
    queries = _draw(rng, loaded.num_queries, case.num_queries)
    correct = race.correct[np.ix_(models, queries)]
    load_seconds, query_seconds, cost_source = race.load_seconds[models], race.query_seconds[models], loaded.cost_source
    if case.seconds_per_load is not None and case.seconds_per_query is not None:
        load_seconds = np.full(len(models), case.seconds_per_load)
        query_seconds = np.full(len(models), case.seconds_per_query)
        cost_source = "given"
    cut = replace(
        loaded,
        models=tuple(loaded.models[model] for model in models),
        race=Race(correct, load_seconds, query_seconds),
        cost_source=cost_source,
    )
    difference = nearest_difference(correct) if len(models) <= MOST_MODELS_TO_PAIR else None
    return StandIn(
        loaded=cut,
        num_models_uncut=loaded.num_models,
        num_queries_uncut=loaded.num_queries,
        difference=difference,
        distance=distance(case, cut.num_models, cut.num_queries, difference),
    )


def distance(case: Case, num_models: int, num_queries: int, difference: float | None) -> float:
    """How far a tensor, as it is cut, is from the case: doublings, 0 where nothing is known to differ."""
    doublings = []
    if case.num_models is not None:
        doublings.append(math.log2(case.num_models / num_models))
    if case.num_queries is not None:
        doublings.append(math.log2(case.num_queries / num_queries))
    if case.difference is not None and difference is not None:
        seen = max(difference, 0.5 / num_queries)  # no query differs: between none and one
        doublings.append(math.log2(case.difference / seen))
    return math.hypot(*doublings)


def nearest(stand_ins: Sequence[StandIn], case: Case) -> tuple[StandIn, ...]:
    """The `NUM_NEAREST` that are nearest to the case, nearest first; of two as near, the one that comes first.

    Raises:
        UsageError: N buys every answer of each of them.
    """
    usable = [each for each in stand_ins if each.loaded.num_queries > case.queries_per_model]
    if not usable:
        raise UsageError(
            f"{case.queries_per_model:g} queries per model buy every answer of every embedded tensor; make a larger "
            f"one with gembench synth --queries and give it with --tensor."
        )
    return tuple(sorted(usable, key=lambda each: each.distance)[:NUM_NEAREST])


def _draw(rng: np.random.Generator, num_all: int, num_wanted: int | None) -> NDArray[np.int64]:
    if num_wanted is None or num_wanted >= num_all:
        return np.arange(num_all)
    return np.sort(rng.choice(num_all, num_wanted, replace=False))
