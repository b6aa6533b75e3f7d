"""The rows of lm-evaluation-harness: a samples file becomes columns, some hundred rows at a time.

Nearly all of the time goes into parsing, so rows are taken apart by C code alone; a block in which that fails is read
again with care, row by row, to leave out what is broken and to say where it is.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter, methodcaller
from typing import Any, NamedTuple

import orjson

from gembench.data.sources.lm_eval_blocks import read_blocks
from gembench.data.sources.source import Remark
from gembench.data.sources.texts import clean_text

_MIN_HASH = 16


class _Reader(NamedTuple):
    """How rows are taken apart.

    Attributes:
        metric: of which the values are wanted.
        pick: the hashes, the filter and the value of a row.
        count: how often the metric's name is a key in the bytes of a row.
    """

    metric: str
    pick: Callable[[Any], tuple[Any, ...]]
    count: Callable[[bytes], int]

    @classmethod
    def of(cls, metric: str) -> "_Reader":
        key = json.dumps(metric, ensure_ascii=False).encode("utf-8", "surrogatepass") + b":"
        pick = itemgetter("doc_hash", "target_hash", "filter", metric)
        return cls(metric, pick, methodcaller("count", key))


class _BadRowError(Exception):
    """Why a row cannot be used."""


@dataclass
class Samples:
    """The columns of a samples file: n rows that can be used.

    Attributes:
        filters: of the rows; None where the file has none.
        documents: the tool's own numbers of the documents, where the file has no filters; else empty.
        values: of the metric, as JSON has them; None where a row has none.
        num_rows: rows of the file, the broken ones among them.
    """

    doc_hashes: list[str] = field(default_factory=list)
    target_hashes: list[str] = field(default_factory=list)
    filters: list[str] | None = None
    documents: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    num_rows: int = 0
    remarks: list[Remark] = field(default_factory=list)


def first_row(path: str) -> dict[str, Any]:
    """The first row that can be used; empty if there is none. Raises SourceError."""
    reader = _Reader.of("")
    for _, block in read_blocks(path):
        for raw in block:
            try:
                return _checked(raw, reader)
            except _BadRowError:
                continue
    return {}


def read_samples(path: str, metric: str, *, has_filters: bool) -> Samples:
    """The rows of a samples file.

    Args:
        path: a JSON object a line, or (before 0.4.3) one array of them; perhaps compressed.
        metric: of which the values are wanted.
        has_filters: whether rows say which filter they are of.

    Raises:
        SourceError: the file cannot be read.
    """
    samples = Samples(filters=[] if has_filters else None)
    problems: dict[str, Remark] = {}
    reader = _Reader.of(metric)
    for line, block in read_blocks(path):
        is_of_bytes = line > 0
        if not (has_filters and is_of_bytes and _append_quickly(block, reader, samples)):
            _append_with_care(block, line, reader, path, samples, problems)
    samples.remarks += problems.values()
    return samples


def _append_quickly(block: list[Any], reader: _Reader, samples: Samples) -> bool:
    """Takes in all rows of a block, or none."""
    try:
        if set(map(reader.count, block)) != {1}:
            return False
        docs, targets, filters, values = zip(*map(reader.pick, map(orjson.loads, block)), strict=True)
        hashes = [*docs, *targets]
        is_sound = "".join(hashes).encode("ascii").isalnum() and min(map(len, hashes)) >= _MIN_HASH
        "".join(filters)
    except (KeyError, TypeError, ValueError):  # A key is missing, a row is no object, a hash no text, or no JSON.
        return False
    if not is_sound:
        return False
    samples.doc_hashes += docs
    samples.target_hashes += targets
    if samples.filters is not None:
        samples.filters += filters
    samples.values += values
    samples.num_rows += len(block)
    return True


def _append_with_care(
    block: list[Any], line: int, reader: _Reader, path: str, samples: Samples, problems: dict[str, Remark]
) -> None:
    """Takes in the rows of a block that can be used. `line` is that of the first; array members have none."""
    for number, raw in enumerate(block, start=line):
        if isinstance(raw, bytes) and not raw.strip():
            continue
        samples.num_rows += 1
        try:
            row = _checked(raw, reader)
            if samples.filters is not None and not isinstance(row.get("filter"), str):
                raise _BadRowError("a row does not say which filter it is of, as others of its file do")
        except _BadRowError as error:
            _note(problems, Remark(path, number if line else None, f"{error}; it is left out"))
            continue
        samples.doc_hashes.append(row["doc_hash"])
        samples.target_hashes.append(row["target_hash"])
        if samples.filters is None:
            samples.documents.append(str(row.get("doc_id"))[:40])
        else:
            samples.filters.append(clean_text(row["filter"]))
        samples.values.append(row.get(reader.metric))


def _note(problems: dict[str, Remark], remark: Remark) -> None:
    """The first row of each kind is named, with the number of all."""
    first = problems.get(remark.message, remark)
    num_rows = first.num_rows + 1 if remark.message in problems else 1
    problems[remark.message] = Remark(first.file, first.line, first.message, num_rows)


def _checked(raw: Any, reader: _Reader) -> dict[str, Any]:
    """A row, with its hashes: old ones have none, so that they are made as the tool makes them now."""
    row = _parsed(raw, reader) if isinstance(raw, bytes) else raw
    if not isinstance(row, dict):
        raise _BadRowError("a row is no JSON object")
    if isinstance(row.get("doc_id"), list | dict):
        raise _BadRowError("the doc_id of a row is no number")
    if "doc_hash" not in row and "doc" in row:
        try:
            text = json.dumps(row["doc"], indent=2, ensure_ascii=False)
            target = str(row.get("target"))
        except RecursionError as error:
            raise _BadRowError("a row is nested too deep") from error
        row["doc_hash"], row["target_hash"] = _hash(text), _hash(target)
    for name in ("doc_hash", "target_hash"):
        value = row.get(name)
        if not isinstance(value, str) or len(value) < _MIN_HASH or not (value.isascii() and value.isalnum()):
            raise _BadRowError(f"a row has no {name}")
    return row


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _parsed(raw: bytes, reader: _Reader) -> Any:
    """Python's own reader takes the NaN that the tool writes, and tells of keys that stand twice."""
    if reader.count(raw) <= 1:
        with contextlib.suppress(ValueError):
            return orjson.loads(raw)
    twice: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
        content = dict(pairs)
        # The outermost object comes last.
        twice[:] = [key for key, _ in pairs if key == reader.metric] if len(content) < len(pairs) else []
        return content

    try:
        row = json.loads(raw, object_pairs_hook=note)
    except UnicodeDecodeError as error:
        raise _BadRowError("a row is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise _BadRowError("a row is cut short or not JSON") from error
    if len(twice) > 1:
        raise _BadRowError(f"a row has {reader.metric!r} twice")
    return row
