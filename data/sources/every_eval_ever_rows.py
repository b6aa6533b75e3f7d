"""The sample records of Every Eval Ever, gathered by the result that each belongs to."""

import math
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gembench.data.outcomes import Outcome
from gembench.data.sources.files import clean_text
from gembench.data.sources.streams import parse_object, read_lines
from gembench.errors import SourceError

OUTCOMES = {outcome.name.lower(): outcome for outcome in Outcome}
TEXTS = ("subject", "doc_hash", "target_hash")
WATCHED = (b'"evaluation"', b'"score"', b'"sample_id"', b'"error"')


@dataclass(frozen=True)
class Samples:
    """The records of one result, as columns.

    Attributes:
        ids: the samples' own.
        hashes: of prompt and reference; "" where there is none.
        repeats: of how many answers the score is a mean, as `gembench export` says it.
        scores: as they stand.
        is_correct: 1 or 0.
        outcomes: values of `Outcome`.
        seconds: what each took; NaN where it is not said.
        lines: where each stands.
        texts: further texts by name.
        filters: the harness's filters among them.
    """

    ids: list[str] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    repeats: "array[int]" = field(default_factory=lambda: array("q"))
    scores: "array[float]" = field(default_factory=lambda: array("d"))
    is_correct: "array[int]" = field(default_factory=lambda: array("b"))
    outcomes: "array[int]" = field(default_factory=lambda: array("B"))
    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    lines: "array[int]" = field(default_factory=lambda: array("q"))
    texts: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in TEXTS})
    filters: set[str] = field(default_factory=set)


def read_samples(file: str, model: str, *, is_own: bool) -> tuple[str, dict[tuple[str, str], Samples]]:
    """The model, and the records by evaluation and result id.

    Args:
        file: the samples file.
        model: of the aggregate record; "" where there is none, and the first record says it.
        is_own: whether `gembench export` wrote the file.

    Raises:
        SourceError: a line is no such record, or is of another model.
    """
    by_result: dict[tuple[str, str], Samples] = {}
    num_rows = 0
    for number, line in read_lines(file):
        place = f"{file}, line {number}"
        record = parse_object(line, place, WATCHED)
        of_model = _required_text(record, "model_id", place)
        model = model or of_model
        if of_model != model:
            raise SourceError(f"{place}: it is of the model {of_model!r}, the file of {model!r}; split it by models.")
        task = _required_text(record, "evaluation_name", place)
        key = (task, _text(record.get("evaluation_result_id")))
        _add(by_result.setdefault(key, Samples()), record, number, place, is_own=is_own)
        num_rows += 1
    if not num_rows:
        raise SourceError(f"{file}: it holds no record.")
    return model, by_result


def _add(samples: Samples, record: Mapping[str, Any], line: int, place: str, *, is_own: bool) -> None:
    evaluation = record.get("evaluation")
    score = _score(evaluation.get("score") if isinstance(evaluation, dict) else None, place)
    metadata = record.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    outcome = Outcome.UNGRADED if math.isnan(score) else Outcome.ANSWERED
    if _text(record.get("error")):
        outcome = Outcome.FAILED
    if is_own and "outcome" in metadata:
        if metadata["outcome"] not in OUTCOMES:
            raise SourceError(f"{place}: 'outcome' is {str(metadata['outcome'])[:40]!r}; one of {', '.join(OUTCOMES)}.")
        outcome = OUTCOMES[metadata["outcome"]]
    samples.ids.append(_required_text(record, "sample_id", place))
    samples.hashes.append(_text(record.get("sample_hash")))
    samples.repeats.append(_repeats(metadata.get("repeats")) if is_own else 1)
    samples.scores.append(score)
    samples.is_correct.append(evaluation.get("is_correct") is True if isinstance(evaluation, dict) else 0)
    samples.outcomes.append(outcome)
    samples.seconds.append(_seconds(record.get("performance")))
    samples.lines.append(line)
    for name, texts in samples.texts.items():
        texts.append(_text(metadata.get(name)))
    samples.filters.add(_text(metadata.get("filter")))


def _score(value: object, place: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    raise SourceError(f"{place}: no number 'evaluation.score'; is this a samples file of Every Eval Ever?")


def _required_text(record: Mapping[str, Any], name: str, place: str) -> str:
    text = _text(record.get(name))
    if not text:
        raise SourceError(f"{place}: no text {name!r}; is this a samples file of Every Eval Ever?")
    return text


def _text(value: object) -> str:
    return clean_text(value) if isinstance(value, str) else ""


def _repeats(text: object) -> int:
    return max(1, int(text)) if isinstance(text, str) and text.isdecimal() and len(text) < 10 else 1


def _seconds(performance: object) -> float:
    """What answering took, without waiting where both are said."""
    for name in ("generation_time_ms", "latency_ms"):
        value = performance.get(name) if isinstance(performance, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
            return value / 1000
    return float("nan")
