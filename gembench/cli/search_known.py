"""What a live search knows before it begins, and that it is the same whenever the search is begun again."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gembench.background import LoadedBackground, read_background
from gembench.cli.contests import say_history
from gembench.errors import UsageError
from gembench.prior import is_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gembench.cli.search_setup import Beforehand


def know(
    beforehand: Beforehand,
    source: str,
    models: Sequence[str],
    queries: Sequence[str],
    facts: Mapping[str, Mapping[str, Any]],
) -> LoadedBackground | None:
    """What is known before a search, which is said on stderr; None for nothing.

    Args:
        beforehand: where it comes from.
        source: the suite's name.
        models: M ids, those that wait to join among them.
        queries: the Q ids.
        facts: by model, what is known of it.

    Raises:
        GembenchError: as `read_background`.
    """
    if not beforehand.is_something:
        return None
    known = read_background(source, models, queries, [facts.get(model, {}) for model in models], *beforehand)
    say_history(source, known.history)
    return known


def as_note(known: LoadedBackground | None, models: Sequence[str]) -> dict[str, Any] | None:
    """What the journal keeps of it: digests of the history, and the prior of each model."""
    if known is None:
        return None
    prior = None
    if known.prior is not None:
        values = np.asarray(known.background.prior).tolist()
        prior = {
            "name": None if is_table(known.prior) else known.prior,
            "values": {
                model: None if math.isnan(value) else value for model, value in zip(models, values, strict=True)
            },
        }
    return {"history": list(known.history.digests) if known.history is not None else [], "prior": prior}


def as_it_was(
    known: LoadedBackground | None, models: Sequence[str], written: Mapping[str, Any] | None, store: str
) -> LoadedBackground | None:
    """What a search that goes on knew when it began.

    What the Hub says of a model changes from day to day, and stays what it was; what the user gave must be the same.

    Args:
        known: what is known now.
        models: their ids, by their places in it.
        written: the note.
        store: the recording's place, for messages.

    Raises:
        UsageError: the history or the prior is another.
    """
    now = as_note(known, models) or {"history": [], "prior": None}
    then = written or {"history": [], "prior": None}
    if now["history"] != then["history"]:
        raise _other("history", now["history"], then["history"], store)
    if (now["prior"] is None) != (then["prior"] is None):
        raise _other("prior", now["prior"], then["prior"], store)
    if known is None or then["prior"] is None:
        return known
    before, today = then["prior"]["values"], now["prior"]["values"]
    is_changed = any(today[model] != before[model] for model in models if model in before)
    if now["prior"]["name"] != then["prior"]["name"] or (now["prior"]["name"] is None and is_changed):
        raise _other("prior", now["prior"], then["prior"], store)
    values = [before.get(model, today[model]) for model in models]
    prior = np.asarray([math.nan if value is None else value for value in values], np.float32)
    return replace(known, background=known.background._replace(prior=prior))


def _other(what: str, now: object, then: object, store: str) -> UsageError:
    began = f"with another {what}" if now and then else f"with a {what}" if then else f"without a {what}"
    return UsageError(
        f"{store}: this search began {began}, and would decide otherwise with this one; begin another by --run, or "
        f"search into another store."
        if now
        else f"{store}: this search began {began}, and would decide otherwise without; give it again, begin another "
        f"by --run, or search into another store."
    )
