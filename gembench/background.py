"""What is known before a race: what other models answered to its queries, and a number for each of its own models.

A history must not know what the race is about. One that holds a model of the race, under whatever revision, or a model
that answers just as one of the race does, is refused as a whole: leaving such models out in silence would hide that
the data were mixed up.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gembench.data.cells import checked_blocks, read_values
from gembench.data.metadata import name_before_revision
from gembench.errors import UsageError
from gembench.load_race import LoadedRace, digest_of, open_any, race_names
from gembench.prior import load_prior, read_prior
from gembench.query_policy import UNSEEN, Background, no_background

LEAST_SHARED = 0.5
"""A history knows at least this share of a race's queries. Fewer answers also do not tell a copy from a likeness."""


@dataclass(frozen=True, eq=False)
class History:
    """What H other models answered to the Q queries of a race.

    Attributes:
        answers: [H, Q] int8, 1 right, 0 wrong, `UNSEEN` where there is no answer.
        tensors: where they come from: the tensors' names, paths or URLs.
        digests: the content digests of these tensors.
        num_shared: queries of the race that one of the tensors has, or more.
    """

    answers: NDArray[np.int8]
    tensors: tuple[str, ...]
    digests: tuple[str, ...]
    num_shared: int


@dataclass(frozen=True, eq=False)
class LoadedBackground:
    """What is known before a race, and where it comes from.

    Attributes:
        background: as policies are given it.
        history: other models' answers; None where nobody gave any.
        prior: what the prior is, as it was asked for; None where nobody did.
    """

    background: Background
    history: History | None
    prior: str | None


def load_background(loaded: LoadedRace, histories: Sequence[str], prior: str | None = None) -> LoadedBackground:
    """What is known before a race, from tensors of other models (see `read_history`) and a prior (see `load_prior`).

    Raises:
        GembenchError: as these two.
    """
    background = no_background(loaded.num_models, loaded.num_queries)
    history = load_history(loaded, histories) if histories else None
    if history is not None:
        background = background._replace(history=history.answers)
    if prior is not None:
        background = background._replace(prior=load_prior(loaded, prior))
    return LoadedBackground(background, history, prior)


def read_background(
    source: str,
    models: Sequence[str],
    queries: Sequence[str],
    facts: Sequence[Mapping[str, Any]],
    histories: Sequence[str],
    prior: str | None = None,
) -> LoadedBackground:
    """What is known before models are asked that nobody has recorded, as `load_background` has it of a tensor's.

    Args:
        source: what the models answer, for messages.
        models: their M ids.
        queries: the Q ids of what they answer.
        facts: what is known of each model, by the names of a tensor's coordinates.
        histories: as `load_background`'s.
        prior: likewise.
    """
    background = no_background(len(models), len(queries))
    history = read_history(histories, models, queries) if histories else None
    if history is not None:
        background = background._replace(history=history.answers)
    if prior is not None:
        background = background._replace(prior=read_prior(prior, models, facts, source))
    return LoadedBackground(background, history, prior)


def load_history(loaded: LoadedRace, locations: Sequence[str]) -> History:
    """The history of a race; as `read_history`."""
    return read_history(locations, loaded.models, race_names(loaded).queries, loaded.race.correct)


def read_history(
    locations: Sequence[str],
    models: Sequence[str],
    queries: Sequence[str],
    correct: NDArray[np.uint8] | None = None,
) -> History:
    """What the models of some tensors answered to a race's queries, which are matched by their ids.

    A model that answered none of them is left out. So is a duplicate: one that answers just as an earlier one does, or
    whose id an earlier tensor has too.

    Args:
        locations: embedded tensors' names, paths or URLs; one or more.
        models: the M ids of the race's models.
        queries: the Q ids of its queries.
        correct: [M, Q], what the race's models answer; None in a live search, where nobody knows.

    Raises:
        UsageError: a tensor has fewer than half of the queries, or holds a model of the race, or one that answers all
            that it answered, half of the queries or more, just as a model of the race does; or nothing is left.
        TensorError: a tensor is not there, or cannot be read.
    """
    tensors = tuple(dict.fromkeys(locations))
    digests: list[str] = []
    parts = [np.zeros((0, len(queries)), np.int8)]
    known_rows: set[bytes] = set()
    known_models: set[str] = set()
    is_shared = np.zeros(len(queries), bool)
    for location in tensors:
        dataset = open_any(location)
        ids: list[str] = read_values(dataset, "model").tolist()
        _refuse_racers(location, ids, models)
        column = _columns(location, read_values(dataset, "query").tolist(), queries)
        is_shared |= column != UNSEEN
        digests.append(digest_of(dataset))
        for block in checked_blocks(dataset):
            answers = np.where(column == UNSEEN, np.int8(UNSEEN), block.correct[:, column])
            if correct is not None:
                _refuse_copies(location, ids[block.rows], answers, models, correct)
            is_new = [
                model not in known_models and bool((row != UNSEEN).any()) and _is_first(row, known_rows)
                for model, row in zip(ids[block.rows], answers, strict=True)
            ]
            parts.append(answers[is_new])
        known_models.update(ids)
    history = np.concatenate(parts)
    if not len(history):
        raise UsageError(f"no model of {', '.join(tensors)} answered a query of the race; leave the history out.")
    return History(history, tensors, tuple(digests), int(is_shared.sum()))


def _columns(location: str, ids: Sequence[str], queries: Sequence[str]) -> NDArray[np.int64]:
    """Where a tensor with these ids has each of the race's queries, [Q], `UNSEEN` where it has not."""
    place = {name: number for number, name in enumerate(ids)}
    column = np.asarray([place.get(query, UNSEEN) for query in queries])
    num_shared = int((column != UNSEEN).sum())
    if num_shared < LEAST_SHARED * len(queries):
        raise UsageError(
            f"{location}: {num_shared:,} of the race's {len(queries):,} queries are in it by their ids, and a history "
            f"needs half of them; name a tensor of the same suite."
        )
    return column


def _refuse_racers(location: str, ids: Sequence[str], models: Sequence[str]) -> None:
    in_race = {name_before_revision(model): model for model in models}
    found = [model for model in ids if name_before_revision(model) in in_race]
    if found:
        racer = in_race[name_before_revision(found[0])]
        others = f" (and {len(found) - 1:,} more are there)" if len(found) > 1 else ""
        raise UsageError(
            f"{location}: its model {found[0]!r} is {racer!r} of the race{others}; a history is of other models: write "
            f"a tensor without it."
        )


def _refuse_copies(
    location: str, ids: Sequence[str], answers: NDArray[np.int8], models: Sequence[str], correct: NDArray[np.uint8]
) -> None:
    racers = correct.astype(np.float32)
    is_right, is_wrong = ((answers == answer).astype(np.float32) for answer in (1, 0))
    # Whole numbers under 2**24, and so exact.
    num_differing = is_right @ (1 - racers).T + is_wrong @ racers.T
    num_answered = (answers != UNSEEN).sum(axis=1)
    is_copy = (num_differing == 0) & (num_answered >= LEAST_SHARED * correct.shape[1])[:, None]
    if is_copy.any():
        row, racer = np.argwhere(is_copy)[0]
        raise UsageError(
            f"{location}: its model {ids[row]!r} answers all of the {num_answered[row]:,} shared queries that it "
            f"answered just as {models[racer]!r} of the race does; a history is of other models: write a tensor "
            f"without it."
        )


def _is_first(row: NDArray[np.int8], known: set[bytes]) -> bool:
    """Whether no such row is known; it is from now on."""
    digest = hashlib.sha256(row.tobytes()).digest()
    is_new = digest not in known
    known.add(digest)
    return is_new
