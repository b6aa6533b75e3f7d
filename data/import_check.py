"""What a format's reader hands over keeps to its contract: a mistake there, or in a log, must not reach a tensor."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gembench.data.outcomes import Outcome
from gembench.data.sources.source import ModelLog
from gembench.errors import SourceError


def check_model_log(log: ModelLog) -> None:
    """Checks shapes, ids, outcomes and scores.

    Raises:
        SourceError: with the log, the query and what is wrong.
    """
    if not log.identity.get("model"):
        raise SourceError(f"{log.file}: it does not say which model it is of.")
    _check_lengths(log)
    num_queries = len(log.queries)
    if len(set(log.queries)) < num_queries or not all(log.queries):
        raise SourceError(f"{log.file}: a query has no id, or two have the same; this is a mistake of the importer.")
    answered = log.outcome == Outcome.ANSWERED
    _refuse(log, log.outcome > max(Outcome), log.outcome, "an outcome that does not exist")
    in_range = (log.score >= 0) & (log.score <= 1)  # Also false for NaN.
    _refuse(log, answered & ~in_range, log.score, "a score that is not in [0, 1]; choose another metric")
    may_have_score = answered | (log.outcome == Outcome.TRUNCATED)
    _refuse(log, ~np.isnan(log.score) & ~(may_have_score & in_range), log.score, "a score without an answer")
    if log.correct is not None:
        wrong = answered & (log.correct != 0) & (log.correct != 1)
        _refuse(log, wrong, log.correct, "neither right (1) nor wrong (0)")


def _check_lengths(log: ModelLog) -> None:
    columns = {
        "tasks": log.tasks,
        "score": log.score,
        "outcome": log.outcome,
        "seconds": log.seconds,
        "repeats": log.repeats,
        "correct": log.correct,
        **log.query_columns,
    }
    for name, column in columns.items():
        if column is not None and len(column) != len(log.queries):
            raise SourceError(
                f"{log.file}: {len(column)} values of {name!r} for {len(log.queries)} queries; this is a mistake of "
                f"the importer."
            )


def _refuse(log: ModelLog, is_wrong: NDArray[np.bool_], values: NDArray[Any], what: str) -> None:
    if is_wrong.any():
        first = int(is_wrong.argmax())
        raise SourceError(f"{log.file}: {values[first]} for query {log.queries[first]!r} is {what}.")
