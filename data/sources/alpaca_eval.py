"""AlpacaEval: `annotations.json`, which judge preferred which of two answers to an instruction.

Written by alpaca_eval 0.2 to 0.6 (AlpacaEval 1 and 2); folders are `results/<model>/<judge>/annotations.json`.

Traps:
- `preference` runs from 1 (the reference's answer) to 2 (the model's), so that preference - 1 is the score, and its
  mean times 100 the win rate. 1.5 is a draw; in old files 0 is. Null and what lies outside are left ungraded, as the
  tool leaves them out.
- the model is `generator_2`, the reference `generator_1`, whatever the folder is called. On the leaderboard the
  reference itself is a model with a draw everywhere.
- what one judge says against one reference is not comparable with another's, so each pair is a task of its own.
- files have no ids: a query is its instruction (and the `input` that AlpacaFarm adds), `dataset`, and occurrence.
- `length_controlled_winrate` is reported first since AlpacaEval 2, but is a regression over all rows; the metric
  `win_rate` is what the rows say. Files of which it was computed in memory hold its rows as `glm_preference`.
"""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gembench.data.sources.files import find_files, parse_json, read_bytes
from gembench.data.sources.scores import outcomes_of
from gembench.data.sources.source import Choice, Log, ModelLog, Remark
from gembench.data.sources.texts import clean_text, numbered, text_hash, text_of
from gembench.errors import SourceError

METRICS = ("win_rate", "discrete_win_rate", "length_controlled_winrate")
"""The first is the score where none is chosen."""
DRAW = 1.5


def find_logs(places: Sequence[str]) -> list[Log]:
    """A log an `annotations.json`, with the `leaderboard.csv` beside it."""
    files = find_files(places, _is_wanted, "annotations.json")
    boards = {_folder(path): path for path, _ in files if path.endswith("leaderboard.csv")}
    logs = []
    for path, size in files:
        if path.endswith("leaderboard.csv"):
            continue
        board = boards.get(_folder(path))
        logs.append(Log((path, board) if board else (path,), size))
    if not logs:
        raise SourceError(f"{', '.join(places)}: no annotations.json lies there; name the folder that has it.")
    return logs


def _is_wanted(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return name in ("annotations.json", "annotations.json.gz", "annotations.json.zst", "leaderboard.csv")


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


@dataclass(frozen=True)
class _Rows:
    """The rows of one model."""

    queries: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    instructions: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)


def read_log(log: Log, choice: Choice) -> Iterator[ModelLog]:
    """What a file says of each model that it compares with a reference.

    Raises:
        SourceError: the file is no list of annotations, or has not the metric.
    """
    file = log.files[0]
    metric = choice.metric or METRICS[0]
    if metric not in METRICS:
        raise SourceError(f"{file}: no metric {metric!r}; choose one of {', '.join(METRICS)}.")
    if choice.filter_name is not None:
        raise SourceError(f"{file}: AlpacaEval has no filters; leave out the filter {choice.filter_name!r}.")
    models: dict[str, _Rows] = {}
    for number, row in enumerate(_rows(file), start=1):
        if not isinstance(row, dict):
            raise SourceError(f"{file}: annotation {number} is no object; is this an annotations.json?")
        _read_row(row, number, file, metric, models)
    reported = _reported(log.files[1]) if len(log.files) > 1 else {}
    for model, rows in models.items():
        yield _model_log(file, model, rows, reported.get((model, metric)))


def _rows(file: str) -> list[Any]:
    rows = parse_json(read_bytes(file), file)
    if not isinstance(rows, list):
        raise SourceError(f"{file}: holds no list of annotations; is this an annotations.json?")
    if not rows:
        raise SourceError(f"{file}: holds no annotation at all.")
    return rows


def _read_row(row: Mapping[str, Any], number: int, file: str, metric: str, models: dict[str, _Rows]) -> None:
    model, instruction = row.get("generator_2"), row.get("instruction")
    if not isinstance(model, str) or not model:
        raise SourceError(f"{file}: annotation {number} has no 'generator_2', the model that was compared.")
    if not isinstance(instruction, str):
        raise SourceError(f"{file}: annotation {number} has no 'instruction'.")
    column = "glm_preference" if metric == "length_controlled_winrate" else "preference"
    if column not in row:
        raise SourceError(f"{file}: annotation {number} has no {column!r}, which the metric {metric} needs.")
    rows = models.setdefault(clean_text(model), _Rows())
    score = _score(row[column], metric)
    if math.isnan(score) and row[column] is not None:
        rows.unread.append(number)
    task = f"{text_of(row.get('annotator'))}:{text_of(row.get('generator_1'))}"
    dataset = text_of(row.get("dataset"))
    instruction_hash = text_hash(instruction, text_of(row.get("input")))
    rows.queries.append(f"{task}/{dataset}/{instruction_hash[:16]}")
    rows.tasks.append(task)
    rows.scores.append(score)
    rows.instructions.append(instruction_hash)
    rows.references.append(text_hash(text_of(row.get("output_1"))))
    rows.datasets.append(dataset)


def _score(preference: object, metric: str) -> float:
    """The score of a preference, as the tool's metric takes it; NaN where it is none."""
    if isinstance(preference, bool) or not isinstance(preference, int | float):
        return math.nan
    if metric == "length_controlled_winrate":
        return float(preference) if 0 <= preference <= 1 else math.nan
    if preference == 0:
        return DRAW - 1
    if not 1 <= preference <= 2:
        return math.nan
    if metric == "discrete_win_rate" and preference != DRAW:
        return float(round(preference)) - 1
    return float(preference) - 1


def _model_log(file: str, model: str, rows: _Rows, reported: float | None) -> ModelLog:
    score = np.array(rows.scores, dtype=np.float64)
    # The leaderboard beside a file has one figure a model, so that it says nothing of two judges' rows apart.
    tasks = set(rows.tasks)
    unread = [
        Remark(file, None, f"preferences that are none are ungraded, first in annotation {number}", len(rows.unread))
        for number in rows.unread[:1]
    ]
    return ModelLog(
        file=file,
        identity={"model": model, "folder": _folder(file).rsplit("/", 1)[-1]},
        date="",
        queries=numbered(rows.queries),
        tasks=rows.tasks,
        score=score,
        outcome=outcomes_of(score),
        num_rows=len(rows.queries),
        query_columns={
            "subject": rows.datasets,
            "doc_hash": rows.instructions,
            "target_hash": rows.references,
        },
        reported={tasks.pop(): reported} if reported is not None and len(tasks) == 1 else {},
        remarks=unread,
    )


def _reported(board: str) -> dict[tuple[str, str], float]:
    """The figures of a `leaderboard.csv`, in [0, 1], by model and metric. Its first column, the model, has no name."""
    text = read_bytes(board).decode("utf-8", "replace")
    figures = {}
    try:
        for row in csv.DictReader(io.StringIO(text), strict=True):
            model = row.get("", "")
            for metric in METRICS:
                value = _number(row.get(metric))
                if model and value is not None:
                    figures[model, metric] = value / 100
    except csv.Error as error:
        raise SourceError(f"{board}: no table of figures: {error}; leave it out or write it again.") from error
    return figures


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
