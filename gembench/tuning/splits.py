"""Races to tune on, to choose by, and to test on: tensors, or families cut out of them, in three parts.

A quarter of the races, and at least one, is for testing; as many are for validation; the others are for training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from gembench.background import History, LoadedBackground
from gembench.data.families import Family, make_family
from gembench.errors import UsageError
from gembench.load_race import LoadedRace
from gembench.query_policy import Background, no_background
from gembench.race import Race

PARTS = ("training", "validation", "test")
LEAST_TENSORS = 3
LEAST_FAMILIES = 8
"""Two families to test on are the fewest that say how much families differ."""
_ROOM = 2
"""A family is chosen as the nearest of at least so many times as many models."""


@dataclass(frozen=True)
class FamilySize:
    """What is cut out of each tensor.

    Attributes:
        num_families: of each tensor, over all three parts.
        num_models: in the race of a family.
        num_queries: drawn at random for each family; None for all of the tensor's.
        num_histories: other models, whose answers are known beforehand; 0 for no history.
    """

    num_families: int
    num_models: int
    num_queries: int | None = None
    num_histories: int = 0


@dataclass(frozen=True, eq=False)
class Part:
    """Some of the races.

    Attributes:
        races: the races.
        seed: of the runs on them, so that no part's query orders are another's.
    """

    races: tuple[LoadedRace, ...]
    seed: int

    @property
    def models(self) -> frozenset[str]:
        """The distinct models in the races, by name."""
        return frozenset(model for loaded in self.races for model in loaded.models)


@dataclass(frozen=True, eq=False)
class Splits:
    """The three parts.

    Attributes:
        training: races that every setting is measured on.
        validation: races that decide between the best settings.
        test: races that are used once, for the setting chosen.
        known: the history of each race that has one, by the race's name.
        are_drawn: whether the races are a random sample, as families are, and not the tensors that were named.
    """

    training: Part
    validation: Part
    test: Part
    known: Mapping[str, LoadedBackground]
    are_drawn: bool

    @property
    def parts(self) -> Mapping[str, Part]:
        """By name."""
        return dict(zip(PARTS, (self.training, self.validation, self.test), strict=True))

    @property
    def num_shared_models(self) -> int:
        """How many models of the test also race in training or validation, on whatever queries."""
        return len(self.test.models & (self.training.models | self.validation.models))


def part_sizes(num_races: int) -> tuple[int, int, int]:
    """How many races are for training, validation and testing."""
    quarter = max(1, num_races // 4)
    return num_races - 2 * quarter, quarter, quarter


def split_tensors(races: Sequence[LoadedRace], seed: int) -> Splits:
    """The tensors themselves, in their order: the last are to test on, those before them for validation.

    Args:
        races: the tensors.
        seed: of the runs.

    Raises:
        UsageError: there are fewer than three.
    """
    if len(races) < LEAST_TENSORS:
        raise UsageError(
            f"{len(races)} tensor{'s are' if len(races) > 1 else ' is'} too few for training, validation and test; "
            f"name {LEAST_TENSORS} or more, or cut families out of one by --families K --family-size M."
        )
    num_train, num_validation, _ = part_sizes(len(races))
    ends = (num_train, num_train + num_validation)
    parts = (races[: ends[0]], races[slice(*ends)], races[ends[1] :])
    return _splits(parts, seed, MappingProxyType({}), are_drawn=False)


def split_families(races: Sequence[LoadedRace], size: FamilySize, seed: int) -> Splits:
    """Families of each tensor (`gembench.data.families`), no two from the same random numbers.

    Where a tensor has so many models that families of a third of them are still chosen ones, its models are dealt out
    to the parts first, so that no model is in races or histories of two parts.

    Args:
        races: the tensors.
        size: how many families, and how large.
        seed: of all draws and runs.

    Raises:
        UsageError: a family does not fit into its tensor, or there are too few for three parts.
    """
    if size.num_families < LEAST_FAMILIES:
        raise UsageError(
            f"{size.num_families} families are too few for training, validation and test; {LEAST_FAMILIES} are enough."
        )
    parts: tuple[list[LoadedRace], ...] = ([], [], [])
    known = {}
    for number, loaded in enumerate(races):
        seeds = np.random.SeedSequence((seed, number)).generate_state(size.num_families + 1).tolist()
        pools = _pools(loaded.num_models, size, seeds.pop())
        part_of_family = np.repeat(range(3), part_sizes(size.num_families)).tolist()
        for family, (part, family_seed) in enumerate(zip(part_of_family, seeds, strict=True), start=1):
            cut, background = _cut(loaded, pools[part], size, family_seed)
            cut = replace(cut, tensor=f"{loaded.tensor}#{family}")
            parts[part].append(cut)
            if background is not None:
                known[cut.tensor] = background
    return _splits(parts, seed, MappingProxyType(known), are_drawn=True)


def _splits(
    races: Sequence[Sequence[LoadedRace]], seed: int, known: Mapping[str, LoadedBackground], *, are_drawn: bool
) -> Splits:
    run_seeds = np.random.SeedSequence(seed).generate_state(len(PARTS)).tolist()
    training, validation, test = (Part(tuple(part), run_seed) for part, run_seed in zip(races, run_seeds, strict=True))
    return Splits(training, validation, test, known, are_drawn)


def _pools(num_models: int, size: FamilySize, seed: int) -> tuple[NDArray[np.int64], ...]:
    """The models that each part's families are cut from: all, or disjoint ones where these are enough."""
    everyone = np.arange(num_models)
    ends = np.cumsum(part_sizes(size.num_families))[:-1] * num_models // size.num_families
    pools = tuple(np.split(np.random.default_rng(seed).permutation(everyone), ends))
    is_room = min(map(len, pools)) >= _ROOM * size.num_models + size.num_histories
    return pools if is_room else (everyone,) * len(pools)


def _cut(
    loaded: LoadedRace, pool: NDArray[np.int64], size: FamilySize, seed: int
) -> tuple[LoadedRace, LoadedBackground | None]:
    """A family as a race, and its history."""
    of_pool = loaded.race.correct[pool]
    try:
        family = make_family(
            of_pool,
            seed,
            num_models=size.num_models,
            num_queries=loaded.num_queries if size.num_queries is None else size.num_queries,
            num_histories=size.num_histories,
        )
    except UsageError as error:
        raise UsageError(f"{loaded.tensor}: {error}") from error
    models = pool[family.models]
    race = Race(
        np.ascontiguousarray(of_pool[np.ix_(family.models, family.queries)]),
        loaded.race.load_seconds[models],
        loaded.race.query_seconds[models],
    )
    cut = replace(loaded, models=tuple(loaded.models[model] for model in models), race=race)
    if not size.num_histories:
        return cut, None
    return cut, _background(loaded, family, of_pool)


def _background(loaded: LoadedRace, family: Family, of_pool: NDArray[np.uint8]) -> LoadedBackground:
    answers = of_pool[np.ix_(family.history, family.queries)].astype(np.int8)
    history = History(answers, (loaded.tensor,), (loaded.digest,), len(family.queries))
    nothing = no_background(len(family.models), len(family.queries))
    return LoadedBackground(Background(answers, nothing.prior), history, None)
