"""One row of the tensor from all that logs say of a model.

Other queries are added. Where two logs know the same query, an answer stands over none; two answers that agree are one;
two that do not are a conflict, and a person says whether it ends the import or the first or last run counts.

Q queries of the table; n of a log.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gembench.data.import_naming import differing_fields, suggested_pattern
from gembench.data.import_queries import QueryTable
from gembench.data.import_spool import Columns, Part, Spool
from gembench.data.outcomes import Outcome
from gembench.errors import SourceError

OnConflict = Literal["error", "first", "last"]
IN_STORE = -1
"""The holder of a cell that the tensor had before: it counts as first of all."""
NOBODY = -2


@dataclass(frozen=True)
class Conflict:
    """Two logs that disagree on a model.

    Attributes:
        model: its name.
        num_queries: on how many queries.
        first_query: one of them.
        earlier: the log, or the tensor appended to, that was the first.
        later: the other.
        earlier_score: of that query.
        later_score: of that query.
        kept: "first" or "last"; "error" for neither.
        remedy: what would tell the two runs apart, if anything does.
    """

    model: str
    num_queries: int
    first_query: str
    earlier: str
    later: str
    earlier_score: float
    later_score: float
    kept: OnConflict
    remedy: str = ""

    def __str__(self) -> str:
        return (
            f"{self.model}: {self.earlier} and {self.later} disagree on {self.num_queries:,} queries, first "
            f"{self.first_query!r}: {self.earlier_score:g} and {self.later_score:g}"
        )


@dataclass(eq=False)
class Row:
    """A model's cells, [Q] each, and which part of the model each comes from, as its number, or `IN_STORE`."""

    correct: NDArray[np.int8]
    score: NDArray[np.float32]
    outcome: NDArray[np.uint8]
    seconds: NDArray[np.float32]
    repeats: NDArray[np.int32]
    holder: NDArray[np.int32]

    @classmethod
    def empty(cls, num_queries: int) -> "Row":
        """Nothing was asked yet."""
        return cls(
            np.full(num_queries, -1, np.int8),
            np.full(num_queries, np.nan, np.float32),
            np.full(num_queries, Outcome.NOT_ASKED, np.uint8),
            np.full(num_queries, np.nan, np.float32),
            np.zeros(num_queries, np.int32),
            np.full(num_queries, NOBODY, np.int32),
        )


def in_order_of_date(parts: Sequence[Part]) -> list[Part]:
    """The first run first; those without a date before all others."""
    return sorted(parts, key=lambda part: (_moment(part) or datetime.min.replace(tzinfo=UTC), part.file))


def merge(
    model: str,
    row: Row,
    parts: Sequence[Part],
    table: QueryTable,
    spool: Spool,
    *,
    threshold: float,
    on_conflict: OnConflict,
) -> list[Conflict]:
    """Put what the parts say, which are in order of their dates, into a model's row; returns where they disagreed.

    With `on_conflict` "error" the row is not to be used where there is a conflict.

    Raises:
        SourceError: the first or last of two runs is asked for, and their dates do not tell which that is.
    """
    conflicts = []
    for number, part in enumerate(parts):
        positions = table.positions(part.query_list)
        new = _cells(spool.columns(part), threshold)
        was_asked, is_asked = row.outcome[positions] != Outcome.NOT_ASKED, new.outcome != Outcome.NOT_ASKED
        was_answered, is_answered = row.outcome[positions] == Outcome.ANSWERED, new.outcome == Outcome.ANSWERED
        disagree = (was_answered & is_answered) & (
            (row.score[positions] != new.score) | (row.correct[positions] != new.correct)
        )
        for holder in np.unique(row.holder[positions[disagree]]).tolist():
            earlier = None if holder == IN_STORE else parts[holder]
            where = np.flatnonzero(disagree & (row.holder[positions] == holder))
            first = int(where[0])
            if on_conflict != "error" and earlier is not None:
                _check_dates(model, earlier, part)
            conflicts.append(
                Conflict(
                    model,
                    len(where),
                    table.ids[positions[first]],
                    "the tensor" if earlier is None else earlier.file,
                    part.file,
                    float(row.score[positions[first]]),
                    float(new.score[first]),
                    on_conflict,
                    _remedy(earlier, part),
                )
            )
        is_better = is_answered & ~was_answered
        is_newer = (is_answered == was_answered) & (on_conflict != "first")
        takes = is_asked & (~was_asked | is_better | is_newer)
        taken = positions[takes]
        for name in ("correct", "score", "outcome", "seconds", "repeats"):
            getattr(row, name)[taken] = getattr(new, name)[takes]
        row.holder[taken] = number
    return conflicts


def _cells(columns: Columns, threshold: float) -> Row:
    """A part's cells as the tensor has them, [n]: only an answered one has a score, and is right or wrong."""
    answered = columns.outcome == Outcome.ANSWERED
    correct = columns.score >= threshold if columns.correct is None else columns.correct
    cells = Row.empty(len(answered))
    cells.correct[answered] = correct[answered]
    cells.score[answered] = columns.score[answered]
    cells.outcome = columns.outcome
    if columns.seconds is not None:
        cells.seconds[:] = columns.seconds
    cells.repeats[:] = columns.outcome != Outcome.NOT_ASKED if columns.repeats is None else columns.repeats
    return cells


def _moment(part: Part) -> datetime | None:
    """When a log was made; None where it does not say, or not as ISO 8601."""
    try:
        moment = datetime.fromisoformat(part.date)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_dates(model: str, earlier: Part, later: Part) -> None:
    first, last = _moment(earlier), _moment(later)
    if first is None or last is None or first == last:
        raise SourceError(
            f"{model}: {earlier.file} and {later.file} disagree, and their dates ({earlier.date or 'unknown'}, "
            f"{later.date or 'unknown'}) do not say which was first; import one of them alone."
        )


def _remedy(earlier: Part | None, later: Part) -> str:
    """What would tell the two runs apart."""
    fields = differing_fields([earlier.identity, later.identity]) if earlier is not None else []
    if not fields:
        return "import one of them, or choose by --on-conflict first or last"
    return f"tell them apart by --model-name '{suggested_pattern(later.identity, fields)}', or choose by --on-conflict"
