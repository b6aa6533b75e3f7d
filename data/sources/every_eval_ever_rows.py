"""The sample records of Every Eval Ever, gathered by the result that each belongs to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gembench.data.outcomes import Outcome
from gembench.data.sources.streams import parse_object, read_lines
from gembench.errors import SourceError

OUTCOMES = {outcome.name.lower(): outcome for outcome in Outcome}
TEXTS = ("subject", "doc_hash", "target_hash")
WATCHED = (b'"evaluation"', b'"score"', b'"sample_id"')
_NOTHING: Mapping[str, Any] = {}


class _Row(NamedTuple):
    sample_id: str
    prompt_hash: str
    score: float
    is_correct: bool
    outcome: int
    seconds: float
    repeats: int
    line: int
    subject: str
    doc_hash: str
    target_hash: str
    filter_name: str


@dataclass(frozen=True)
class Samples:
    """The records of one result, as columns.

    Attributes:
        ids: the samples' own.
        hashes: of prompt and reference; "" where there is none.
        scores: as they stand.
        is_correct: by the record's own word.
        outcomes: values of `Outcome`.
        seconds: what each took; NaN where it is not said.
        repeats: of how many answers the score is a mean, as `gembench export` says it.
        lines: where each stands.
        texts: further texts by name, those of `TEXTS`.
        filters: the harness's filters among them.
    """

    ids: Sequence[str]
    hashes: Sequence[str]
    scores: Sequence[float]
    is_correct: Sequence[bool]
    outcomes: Sequence[int]
    seconds: Sequence[float]
    repeats: Sequence[int]
    lines: Sequence[int]
    texts: Mapping[str, Sequence[str]]
    filters: frozenset[str]


def read_samples(file: str, model: str, *, is_own: bool) -> tuple[str, dict[tuple[str, str], Samples]]:
    """The model, and the records by evaluation and result id.

    Args:
        file: the samples file.
        model: of the aggregate record; "" where there is none, and the first record says it.
        is_own: whether `gembench export` wrote the file.

    Raises:
        SourceError: a line is no such record, or is of another model.
    """
    by_result: dict[tuple[str, str], list[_Row]] = {}
    for number, line in read_lines(file):
        place = f"{file}, line {number}"
        record = parse_object(line, place, WATCHED)
        of_model = _required_text(record, "model_id", place)
        model = model or of_model
        if of_model != model:
            raise SourceError(f"{place}: it is of the model {of_model!r}, the file of {model!r}; split it by models.")
        key = (_required_text(record, "evaluation_name", place), _text(record.get("evaluation_result_id")))
        row = _row(record, number, place, is_own=is_own)
        if key in by_result:
            by_result[key].append(row)
        else:
            by_result[key] = [row]
    if not by_result:
        raise SourceError(f"{file}: it holds no record.")
    return model, {key: _columns(rows) for key, rows in by_result.items()}


def _columns(rows: Sequence[_Row]) -> Samples:
    columns: dict[str, tuple[Any, ...]] = dict(zip(_Row._fields, zip(*rows, strict=True), strict=True))
    return Samples(
        ids=columns["sample_id"],
        hashes=columns["prompt_hash"],
        scores=columns["score"],
        is_correct=columns["is_correct"],
        outcomes=columns["outcome"],
        seconds=columns["seconds"],
        repeats=columns["repeats"],
        lines=columns["line"],
        texts={name: columns[name] for name in TEXTS},
        filters=frozenset(columns["filter_name"]),
    )


def _row(record: Mapping[str, Any], line: int, place: str, *, is_own: bool) -> _Row:
    evaluation = _object(record.get("evaluation"))
    metadata = _object(record.get("metadata"))
    score = _score(evaluation.get("score"), place)
    outcome = Outcome.UNGRADED if math.isnan(score) else Outcome.ANSWERED
    if _text(record.get("error")):
        outcome = Outcome.FAILED
    if is_own and "outcome" in metadata:
        outcome = _own_outcome(metadata["outcome"], place)
    return _Row(
        _required_text(record, "sample_id", place),
        _text(record.get("sample_hash")),
        score,
        evaluation.get("is_correct") is True,
        outcome,
        _seconds(_object(record.get("performance"))),
        _repeats(metadata.get("repeats")) if is_own else 1,
        line,
        _text(metadata.get("subject")),
        _text(metadata.get("doc_hash")),
        _text(metadata.get("target_hash")),
        _text(metadata.get("filter")),
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else _NOTHING


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _required_text(record: Mapping[str, Any], name: str, place: str) -> str:
    text = record.get(name)
    if not isinstance(text, str) or not text:
        raise SourceError(f"{place}: no text {name!r}; is this a samples file of Every Eval Ever?")
    return text


def _score(value: object, place: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    raise SourceError(f"{place}: no number 'evaluation.score'; is this a samples file of Every Eval Ever?")


def _own_outcome(name: object, place: str) -> Outcome:
    if not isinstance(name, str) or name not in OUTCOMES:
        raise SourceError(f"{place}: 'outcome' is {str(name)[:40]!r}; one of {', '.join(OUTCOMES)}.")
    return OUTCOMES[name]


def _repeats(text: object) -> int:
    return max(1, int(text)) if isinstance(text, str) and text.isdecimal() and len(text) < 10 else 1


def _seconds(performance: Mapping[str, Any]) -> float:
    """What answering took, without waiting where both are said."""
    for name in ("generation_time_ms", "latency_ms"):
        value = performance.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
            return value / 1000
    return math.nan
