"""Other numbers for models and queries, drawn by the digests of a tensor and of a policy's file.

Whoever has looked up in a public tensor which model is the best, or which queries tell models apart, cannot write
their numbers down.
"""

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gembench.background import LoadedBackground
from gembench.load_race import LoadedRace


def with_models_renumbered(loaded: LoadedRace, file_sha256: str) -> LoadedRace:
    """The race with its models in another order."""
    order = _order(f"{loaded.digest} {file_sha256}", loaded.num_models)
    race = replace(
        loaded.race,
        correct=np.ascontiguousarray(loaded.race.correct[order]),
        load_seconds=loaded.race.load_seconds[order],
        query_seconds=loaded.race.query_seconds[order],
    )
    return replace(loaded, models=tuple(loaded.models[model] for model in order), race=race)


def with_queries_renumbered(
    loaded: LoadedRace, known: LoadedBackground | None, file_sha256: str
) -> tuple[LoadedRace, LoadedBackground | None]:
    """The race, and what is known before it, with their queries in another order.

    The order in which a run's queries are offered stays as it was: drawn over the new numbers, it says nothing of them.
    """
    order = _order(f"{loaded.digest} {file_sha256} query", loaded.num_queries)
    race = replace(loaded.race, correct=np.ascontiguousarray(loaded.race.correct[:, order]))
    if known is not None:
        history = np.ascontiguousarray(np.asarray(known.background.history)[:, order])
        known = replace(known, background=known.background._replace(history=history))
    return replace(loaded, race=race), known


def _order(what: str, size: int) -> NDArray[np.int64]:
    draws = [hashlib.sha256(f"{what} {number}".encode()).digest() for number in range(size)]
    return np.array(sorted(range(size), key=draws.__getitem__))
