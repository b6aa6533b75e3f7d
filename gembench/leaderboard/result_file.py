"""The file of one policy's result: every run's rank and costs, and all that is needed to score it again.

It is JSON with a line a cell, and the same bytes whenever the same runs are written by the same installation. A measure
that takes few values is written as these values and, for each run, the place of its value among them. Reading trusts
nothing in the file, for results come with submissions.
"""

import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Never

import numpy as np
from numpy.typing import NDArray

from gembench.errors import BenchmarkError, UsageError
from gembench.leaderboard.benchmark import DIGEST, Benchmark
from gembench.leaderboard.scores import Cell, CellScore, PolicyScores

FORMAT = 1
LARGEST_FILE = 2**24
_LIBRARIES = ("gembench", "jax", "jaxlib", "numpy")
_LARGEST = 2**53
"""Up to here floating-point numbers hold every integer."""


@dataclass(frozen=True, eq=False)
class Result:
    """One policy's scores, and what they came from.

    Attributes:
        scores: the scores.
        file_sha256: 64 hex digits, of the policy's file; None for a policy of the catalog.
        benchmark: the benchmark's version.
        seed: of the runs.
        runs: R.
        versions: of Python and of the libraries that decide what comes out.
        platform: system, machine and processor: on the same one, and with the same versions, scores are the same bit by
            bit. XLA makes other code for other processors.
        histories: content digests of the tensors of other models that were known beforehand.
    """

    scores: PolicyScores
    file_sha256: str | None
    benchmark: str
    seed: int
    runs: int
    versions: Mapping[str, str]
    platform: str
    histories: tuple[str, ...] = ()


def make_result(benchmark: Benchmark, scores: PolicyScores, file_sha256: str | None = None) -> Result:
    """The result of scores that were made here and now."""
    return Result(
        scores=scores,
        file_sha256=file_sha256,
        benchmark=benchmark.version,
        seed=benchmark.seed,
        runs=benchmark.runs,
        versions={"python": platform.python_version(), **{library: version(library) for library in _LIBRARIES}},
        platform=" ".join((platform.system(), platform.machine(), _processor())),
        histories=tuple(tensor.digest for tensor in benchmark.histories),
    )


def to_json(result: Result) -> str:
    """The result as JSON text."""
    head = {
        "format": FORMAT,
        "policy": result.scores.name,
        "file_sha256": result.file_sha256,
        "benchmark": result.benchmark,
        "seed": result.seed,
        "runs": result.runs,
        "versions": dict(result.versions),
        "platform": result.platform,
        **({"histories": result.histories} if result.histories else {}),
    }
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    cells = ",\n".join("  " + json.dumps(_cell_json(score), separators=(",", ":")) for score in result.scores.cells)
    return "\n".join(["{", *lines, ' "cells": [', cells, " ]", "}"]) + "\n"


def from_json(text: str, source: str) -> Result:
    """The result that a text holds.

    Args:
        text: what `to_json` wrote, or anybody else.
        source: what messages call it: its path.

    Raises:
        BenchmarkError: the text is no result. Whether the result is true only a new scoring can tell.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BenchmarkError(f"{source}: is no JSON: {error}.") from error
    try:
        return _read_result(document)
    except BenchmarkError as error:
        raise BenchmarkError(f"{source}: {error}") from error


def read_result(path: Path) -> Result:
    """The result in a file.

    Raises:
        UsageError: it cannot be read as text, or is too large to be a result.
        BenchmarkError: it is no result.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as text: {error}.") from error
    if len(content) > LARGEST_FILE:
        raise UsageError(f"{path}: is larger than {LARGEST_FILE:,} bytes, which no result is.")
    return from_json(text, str(path))


def file_name_of(result: Result) -> str:
    """What a policy's result is called in a folder of results."""
    return re.sub(r"[^\w.,=+-]", "_", result.scores.name.replace(":", "-")) + ".json"


def check_benchmark(result: Result, benchmark: Benchmark, source: str) -> None:
    """Refuse a result whose runs are not those of a benchmark; `make_standing` compares the cells.

    Raises:
        BenchmarkError: the version, the seed or the runs differ.
    """
    for name, stated, wanted in (
        ("version", result.benchmark, benchmark.version),
        ("seed", result.seed, benchmark.seed),
        ("number of runs", result.runs, benchmark.runs),
    ):
        if stated != wanted:
            raise BenchmarkError(
                f"{source}: the benchmark's {name} was {stated!r}, but is {wanted!r} here; score the policy again."
            )


def _processor() -> str:
    """What the processor is called."""
    stated = Path("/proc/cpuinfo")
    if stated.is_file():
        for line in stated.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return " ".join(value.split())
    return platform.processor() or "unknown"


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is no number of JSON")


def _cell_json(score: CellScore) -> dict[str, Any]:
    chosen = {} if score.distinct_queries is None else {"distinct_queries": _coded(score.distinct_queries)}
    return {
        "tensor": score.cell.tensor,
        "tensor_digest": score.cell.tensor_digest,
        "queries_per_model": score.cell.queries_per_model,
        "rank": score.rank.tolist(),
        "accuracy": _coded(score.accuracy),
        "recall": {str(k): _coded(share) for k, share in score.recall.items()},
        "pulls": _coded(score.pulls),
        "model_loads": _coded(score.model_loads),
        "cost_seconds": score.cost_seconds.tolist(),
        **chosen,
    }


def _coded(values: NDArray[Any]) -> dict[str, list[Any]]:
    distinct, place = np.unique(values, return_inverse=True)
    return {"values": distinct.tolist(), "runs": place.tolist()}


def _read_result(document: Any) -> Result:
    if _get(document, "format", int, "the file") != FORMAT:
        raise BenchmarkError(f"is of format {document['format']!r}, but this gembench reads format {FORMAT}.")
    file_sha256 = document.get("file_sha256")
    if file_sha256 is not None and not (isinstance(file_sha256, str) and re.fullmatch("[0-9a-f]{64}", file_sha256)):
        raise BenchmarkError("file_sha256 should be 64 hex digits.")
    runs = _get(document, "runs", int, "the file")
    versions = _get(document, "versions", dict, "the file")
    histories = _get(document, "histories", list, "the file") if "histories" in document else []
    if not all(isinstance(digest, str) and DIGEST.fullmatch(digest) for digest in histories):
        raise BenchmarkError("histories should be content digests, sha256: and 64 hex digits.")
    if not all(isinstance(name, str) for name in versions.values()):
        raise BenchmarkError("versions should be texts.")
    cells = tuple(
        _read_cell(cell, runs, f"cell {place}") for place, cell in enumerate(_get(document, "cells", list, "the file"))
    )
    return Result(
        scores=PolicyScores(_get(document, "policy", str, "the file"), cells),
        file_sha256=file_sha256,
        benchmark=_get(document, "benchmark", str, "the file"),
        seed=_get(document, "seed", int, "the file"),
        runs=runs,
        versions=versions,
        platform=_get(document, "platform", str, "the file"),
        histories=tuple(histories),
    )


def _read_cell(cell: Any, runs: int, where: str) -> CellScore:
    digest = _get(cell, "tensor_digest", str, where)
    if not DIGEST.fullmatch(digest):
        raise BenchmarkError(f"{where}: tensor_digest should be sha256: and 64 hex digits.")
    num_each = cell.get("queries_per_model")
    _numbers([num_each], "queries_per_model", where, 1, high=_LARGEST)
    recall = _get(cell, "recall", dict, where)
    if not all(re.fullmatch("[1-9][0-9]{0,8}", k) for k in recall):
        raise BenchmarkError(f"{where}: the ks of recall should be positive integers.")

    def coded(of: Any, name: str, *, high: float = _LARGEST, whole: bool = False) -> NDArray[Any]:
        entry = _get(of, name, dict, where)
        distinct = _get(entry, "values", list, f"{where}: {name}")
        values = _numbers(distinct, name, where, len(distinct), high=high, whole=whole)
        places = _numbers(entry.get("runs"), name, where, runs, high=len(distinct) - 1, whole=True)
        return np.asarray(values[places])

    return CellScore(
        cell=Cell(_get(cell, "tensor", str, where), digest, num_each),
        rank=_numbers(cell.get("rank"), "rank", where, runs, low=1, high=_LARGEST, whole=True),
        accuracy=coded(cell, "accuracy", high=1),
        recall={int(k): coded(recall, k, high=1) for k in recall},
        pulls=coded(cell, "pulls", whole=True),
        model_loads=coded(cell, "model_loads", whole=True),
        cost_seconds=_numbers(cell.get("cost_seconds"), "cost_seconds", where, runs, high=_LARGEST),
        distinct_queries=coded(cell, "distinct_queries") if "distinct_queries" in cell else None,
    )


def _get(document: Any, name: str, kind: type[Any], where: str) -> Any:
    value = document.get(name) if isinstance(document, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BenchmarkError(f"{where}: {name} should be there, as {_KINDS[kind]}.")
    return value


_KINDS = {int: "an integer", str: "a text", list: "a list", dict: "an object"}


def _numbers(
    values: Any, name: str, where: str, count: int, *, low: float = 0, high: float, whole: bool = False
) -> NDArray[Any]:
    """A list as an array, int64 or float64, where each of its `count` numbers is between `low` and `high`."""
    kinds = (int,) if whole else (int, float)
    if not isinstance(values, list) or len(values) != count or not all(type(value) in kinds for value in values):
        raise BenchmarkError(f"{where}: {name} should be a list of {count} {'integers' if whole else 'numbers'}.")
    if not all(low <= value <= high for value in values):
        raise BenchmarkError(f"{where}: {name} should lie between {low} and {high}.")
    return np.asarray(values, dtype=np.int64 if whole else np.float64)
