"""The sample records of Every Eval Ever, gathered by the result that each belongs to."""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gembench.data.outcomes import Outcome
from gembench.data.sources.files import clean_text
from gembench.data.sources.streams import read_lines
from gembench.errors import SourceError

OUTCOMES = {outcome.name.lower(): outcome for outcome in Outcome}
TEXTS = ("subject", "doc_hash", "target_hash")


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
    for number, record in _records(file):
        place = f"{file}, line {number}"
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


def _records(file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in read_lines(file):
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise SourceError(
                f"{file}, line {number}: {error.msg}; the file is cut short there, or not JSON."
            ) from error
        if not isinstance(record, dict):
            raise SourceError(f"{file}, line {number}: no object; is this a samples file of Every Eval Ever?")
        yield number, record


def _add(samples: Samples, record: Mapping[str, Any], line: int, place: str, *, is_own: bool) -> None:
    evaluation = record.get("evaluation")
    score = evaluation.get("score") if isinstance(evaluation, dict) else None
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise SourceError(f"{place}: no number 'evaluation.score'; is this a samples file of Every Eval Ever?")
    metadata = record.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    outcome = Outcome.FAILED if _text(record.get("error")) else Outcome.ANSWERED
    if is_own and "outcome" in metadata:
        if metadata["outcome"] not in OUTCOMES:
            raise SourceError(f"{place}: 'outcome' is {str(metadata['outcome'])[:40]!r}; one of {', '.join(OUTCOMES)}.")
        outcome = OUTCOMES[metadata["outcome"]]
    samples.ids.append(_required_text(record, "sample_id", place))
    samples.hashes.append(_text(record.get("sample_hash")))
    samples.repeats.append(_repeats(metadata.get("repeats")) if is_own else 1)
    samples.scores.append(float(score))
    samples.is_correct.append(evaluation.get("is_correct") is True if isinstance(evaluation, dict) else 0)
    samples.outcomes.append(outcome)
    samples.seconds.append(_seconds(record.get("performance")))
    samples.lines.append(line)
    for name, texts in samples.texts.items():
        texts.append(_text(metadata.get(name)))
    samples.filters.add(_text(metadata.get("filter")))


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
