"""Logs with something wrong in them, and what must hold of whatever an importer makes of a log."""

import copy
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gembench.data.outcomes import Outcome
from gembench.data.sources.source import Choice, ModelLog, SourceFormat
from gembench.errors import SourceError

JUNK = (
    *(None, True, False, 0, -1, 2, 0.5, 1.5, 1e308, 10**30, -(10**400), math.nan, math.inf),
    *("", "x", "C", "I", "1", "NaN", "../x", "a/b", "a\0b", "\ud800", "ä|é", "[/]", "x" * 300),
    *([], {}, [[]], [None], [1, 2], ["a"], {"": 0}, {"value": "C"}, {"a": {"b": [1]}}, [{}]),
)
SEEDS = st.integers(0, 2**64 - 1)
HOWEVER_SLOW: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


def with_some(**spoiled: st.SearchStrategy[Any]) -> Callable[[Any], Any]:
    """A test that is run with some hundred spoiled logs, the same each time."""
    return lambda test: settings(max_examples=300, derandomize=True, **HOWEVER_SLOW)(given(**spoiled)(test))


def with_very_many(**spoiled: st.SearchStrategy[Any]) -> Callable[[Any], Any]:
    """A test that is run with others each time, where fuzzing is asked for."""
    return lambda test: pytest.mark.fuzz(settings(max_examples=100_000, **HOWEVER_SLOW)(given(**spoiled)(test)))


def spoiled_json(document: Any) -> st.SearchStrategy[bytes]:
    """A document with up to three values replaced or left out, as JSON that is sometimes cut or has changed bytes.

    Drawn by a seed: a draw of hypothesis for each choice takes longer than to read what is made.
    """

    def spoil(seed: int) -> bytes:
        rng = random.Random(seed)
        spoiled = copy.deepcopy(document)
        for _ in range(rng.randrange(4)):
            _spoil(rng, spoiled)
        return _spoil_bytes(rng, json.dumps(spoiled, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass"))

    return SEEDS.map(spoil)


def spoiled_bytes(data: bytes) -> st.SearchStrategy[bytes]:
    """Mostly the bytes as they are; else cut short, with some of them changed, or none of them left."""
    return SEEDS.map(lambda seed: _spoil_bytes(random.Random(seed), data))


def _spoil(rng: random.Random, document: Any) -> None:
    while isinstance(document, dict | list) and document:
        key = rng.choice(list(document)) if isinstance(document, dict) else rng.randrange(len(document))
        below = document[key]
        if isinstance(below, dict | list) and below and rng.random() < 0.8:
            document = below
            continue
        if rng.random() < 0.7:
            document[key] = copy.deepcopy(rng.choice(JUNK))
        else:
            del document[key]
        return


def _spoil_bytes(rng: random.Random, data: bytes) -> bytes:
    how = rng.random()
    if how < 0.1:
        return data[: rng.randrange(len(data) + 1)]
    if how < 0.25:
        changed = bytearray(data)
        for _ in range(rng.randrange(1, 5) if changed else 0):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        return bytes(changed)
    return rng.randbytes(rng.randrange(40)) if how < 0.28 else data


def read_all(source_format: SourceFormat, *places: Path | str, choice: Choice | None = None) -> list[ModelLog]:
    """What a format says of all logs that it finds, each checked."""
    logs = source_format.find_logs([str(place) for place in places])
    models = [model for log in logs for model in source_format.read_log(log, choice or Choice())]
    for model in models:
        check(model)
    return models


def survives(source_format: SourceFormat, place: Path, choice: Choice | None = None) -> bool:
    """Whether a log can be read. Where it cannot, the message names the file in one line that can be printed."""
    message = ""
    try:
        read_all(source_format, place, choice=choice)
    except SourceError as error:
        message = str(error)
    assert not message or str(place) in message
    assert "\n" not in message
    message.encode()
    return not message


def check(log: ModelLog) -> None:
    """What the contract says of a log, whatever was in its file."""
    num_rows = len(log.queries)
    columns = [log.queries, log.tasks, *log.query_columns.values()]
    assert all(len(column) == num_rows for column in columns)
    for text in [*(text for column in columns for text in column), *log.identity.values(), log.date]:
        assert isinstance(text, str)
        text.encode()
    assert log.identity["model"]
    assert all(log.queries)
    assert len(set(log.queries)) == num_rows
    assert log.score.shape == log.outcome.shape == (num_rows,)
    assert (log.score.dtype, log.outcome.dtype) == (np.float64, np.uint8)
    has_score = np.isin(log.outcome, (Outcome.ANSWERED, Outcome.TRUNCATED))
    assert (np.isnan(log.score) == ~has_score).all()
    assert ((log.score[has_score] >= 0) & (log.score[has_score] <= 1)).all()
    assert log.num_rows >= num_rows
    assert set(log.reported) <= set(log.tasks)
    assert all(math.isfinite(value) for value in log.reported.values())
    if log.seconds is not None:
        assert log.seconds.shape == (num_rows,)
    if log.repeats is not None:
        assert log.repeats.shape == (num_rows,)
        assert (log.repeats >= 1).all()
    for remark in log.remarks:
        assert remark.file
        assert "\n" not in remark.message
        remark.message.encode()
    json.dumps([dict(log.settings), dict(log.model_columns), dict(log.identity)])
