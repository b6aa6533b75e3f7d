"""lighteval: `results_<date>.json` and the `details_<task>_<date>.parquet` of the same date.

Written by lighteval 0.6 to 0.13; folders are `results/<org>/<model>/` and `details/<org>/<model>/<date>/`.

Traps:
- columns are `doc`, `metric`, `model_response` since 0.13, `__doc__`, `__metric__`, `__model_response__` before, and up
  to 0.9 `example`, `metrics` and more; `doc` and `metric` are structs whose fields differ by task.
- rows are shuffled, and have no hash: queries are told apart by their text, choices and right choices, hashed, and
  those that are alike numbered in the order of `doc.id`.
- file names hold `|` and `:` (`details_lighteval|mmlu:anatomy|5_...`), and dates with hyphens for colons.
- metrics differ by task; some are lists or texts, for a figure that is not a mean of rows. Unless one is chosen, a
  task's score is the first metric of its results that rows have as a number. A task without is left out, and said.
- the model's name is taken from the results, not from the folder.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gembench.data.sources.files import find_files, parse_json, plain_settings, read_bytes
from gembench.data.sources.lighteval_details import Details, read_details
from gembench.data.sources.scores import ROUNDING, is_score, outcomes_of
from gembench.data.sources.source import Choice, Log, ModelLog, Remark
from gembench.data.sources.texts import clean_text, date_of_name, one_line
from gembench.errors import SourceError

DATE = r"(?P<date>\d{4}-\d\d-\d\dT[0-9.:-]+)"
DETAILS = re.compile(rf"details_(?P<task>.+)_{DATE}\.parquet", re.DOTALL)
RESULTS = re.compile(rf"results_{DATE}\.json(\.gz|\.zst)?")
WHAT = "details_*.parquet of lighteval"
SETTINGS = ("lighteval_sha", "max_samples", "num_fewshot_seeds", "num_few_shot_default", "model_dtype")
Results = Mapping[str, Any]


def find_logs(places: Sequence[str]) -> list[Log]:
    """A log a run: its details, and its results where they lie there too."""
    files = find_files(places, lambda path: any(name.fullmatch(_name(path)) for name in (DETAILS, RESULTS)), WHAT)
    details: dict[tuple[str, str], list[str]] = {}
    results: dict[str, list[str]] = {}
    for path, _ in files:
        if found := DETAILS.fullmatch(_name(path)):
            details.setdefault((path.rpartition("/")[0], found["date"]), []).append(path)
        elif found := RESULTS.fullmatch(_name(path)):
            results.setdefault(found["date"], []).append(path)
        else:
            raise SourceError(f"{path}: is not called details_TASK_DATE.parquet or results_DATE.json; rename it so.")
    if not details:
        raise SourceError(f"{', '.join(places)}: no {WHAT} lies there; name the folder that has the details.")
    sizes = dict(files)
    logs = []
    for (_, date), paths in details.items():
        ordered = [*_results_of(paths[0], date, results.get(date, [])), *sorted(paths)]
        logs.append(Log(tuple(ordered), sum(sizes[path] for path in ordered)))
    return logs


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _results_of(details: str, date: str, results: Sequence[str]) -> list[str]:
    """Of the results of a date, those in a folder called like the model, else the only ones; of these the nearest.

    Runs of several models can start in one moment, and one run be there in two copies.
    """
    folder = _model_folder(details, date)
    near = [path for path in results if path.split("/")[-2:-1] == [folder]] or (results if len(results) == 1 else [])
    return sorted(near, key=lambda path: -_num_folders_shared(path, details))[:1]


def _num_folders_shared(one: str, other: str) -> int:
    pairs = zip(one.split("/"), other.split("/"), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _model_folder(path: str, date: str) -> str:
    """The folder that is called like the model; details lie in one of their date below it."""
    parts = path.split("/")[:-1]
    if parts and parts[-1] == date:
        parts.pop()
    return parts[-1] if parts else ""


def read_log(log: Log, choice: Choice) -> Iterator[ModelLog]:
    """What a run says of its model.

    Raises:
        SourceError: a file is not what lighteval writes, or no task has the metric.
    """
    file = log.files[0]
    if choice.filter_name is not None:
        raise SourceError(f"{file}: lighteval has no filters; leave out the filter {choice.filter_name!r}.")
    results: Results = {}
    config: Results = {}
    details = log.files
    if RESULTS.fullmatch(_name(file)):
        results, config = _read_results(file)
        details = log.files[1:]
    found = DETAILS.fullmatch(_name(details[0]))
    date = found["date"] if found else ""
    run = _Run(log.files[0], choice.metric, results)
    for path in details:
        run.add(path)
    if not run.queries and run.remarks:
        raise SourceError(f"{run.remarks[0].file}: {run.remarks[0].message}; choose another by --metric.")
    yield run.model_log(_identity(config, details[0], date), date_of_name(date), config)


def _read_results(file: str) -> tuple[Results, Results]:
    """The results by task, and the configuration."""
    content = parse_json(read_bytes(file), file)
    results = content.get("results") if isinstance(content, dict) else None
    config = content.get("config_general") if isinstance(content, dict) else None
    if not isinstance(results, dict) or not isinstance(config, dict):
        raise SourceError(f"{file}: holds no 'results' and 'config_general'; are these lighteval's results?")
    return results, config


def _identity(config: Results, details: str, date: str) -> dict[str, str]:
    """Results say which model and revision; without them the folder says which model, below `details` with its org."""
    model_config = config.get("model_config")
    known = model_config if isinstance(model_config, dict) else {}
    folder = _model_folder(details, date)
    model = config.get("model_name") or known.get("model_name")
    if not isinstance(model, str) or not model:
        parts = details.split("/")
        above = parts[parts.index("details") + 1 :] if "details" in parts else []
        model = "/".join(above[: above.index(folder) + 1]) if folder in above else folder
    if not model:
        raise SourceError(f"{details}: nothing says which model answered; put the results beside, or a folder around.")
    revision = config.get("model_sha") or known.get("revision")
    identity = {"model": clean_text(model), "folder": clean_text(folder)}
    # "main" is what lighteval says of whoever named none.
    if isinstance(revision, str) and revision not in ("", "main"):
        identity["revision"] = clean_text(revision)
    return identity


class _Run:
    """The rows of a run, task by task."""

    def __init__(self, file: str, metric: str | None, results: Results) -> None:
        self.file = file
        self.metric = metric
        self.results = results
        self.queries: list[str] = []
        self.tasks: list[str] = []
        self.columns: dict[str, list[str]] = {"doc_hash": [], "target_hash": []}
        self.scores: list[NDArray[np.float64]] = []
        self.reported: dict[str, float] = {}
        self.metrics: dict[str, str] = {}
        self.remarks: list[Remark] = []
        self.num_rows = 0

    def add(self, path: str) -> None:
        """Adds the rows of a task; or a remark, if they have no score."""
        found = DETAILS.fullmatch(_name(path))
        task = clean_text(found["task"] if found else _name(path))
        rows = read_details(path)
        self.num_rows += len(rows.queries)
        stated = self.results.get(task)
        figures = stated if isinstance(stated, dict) else {}
        metric = self._metric_of(rows, figures)
        if metric is None:
            asked = f"has no metric {self.metric!r}" if self.metric is not None else "has no metric that is a number"
            message = f"the task {task!r} {asked}, but {', '.join(map(clean_text, rows.metrics)) or 'none'}"
            self.remarks.append(Remark(path, None, one_line(message), len(rows.queries)))
            return
        score = rows.metrics[metric]
        known = score[~np.isnan(score)]
        if known.size and (known.min() < -ROUNDING or known.max() > 1 + ROUNDING):
            worst = known.min() if known.min() < -ROUNDING else known.max()
            message = f"the task {task!r} has {metric} {worst:g}, which is no score in [0, 1]"
            self.remarks.append(Remark(path, None, one_line(clean_text(message)), len(rows.queries)))
            return
        self.queries += [f"{task}/{query}" for query in rows.queries]
        self.tasks += [task] * len(rows.queries)
        self.columns["doc_hash"] += rows.doc_hash
        self.columns["target_hash"] += rows.target_hash
        self.scores.append(np.clip(score, 0.0, 1.0))
        self.metrics[task] = clean_text(metric)
        figure = figures.get(metric)
        if isinstance(figure, int | float) and is_score(figure):
            self.reported[task] = float(figure)

    def _metric_of(self, rows: Details, figures: Mapping[str, object]) -> str | None:
        if self.metric is not None:
            return self.metric if self.metric in rows.metrics else None
        return next((name for name in (*figures, *rows.metrics) if name in rows.metrics), None)

    def model_log(self, identity: Mapping[str, str], date: str, config: Results) -> ModelLog:
        score = np.concatenate(self.scores) if self.scores else np.zeros(0)
        return ModelLog(
            file=self.file,
            identity=identity,
            date=date,
            queries=self.queries,
            tasks=self.tasks,
            score=score,
            outcome=outcomes_of(score),
            num_rows=self.num_rows,
            query_columns=self.columns,
            reported=self.reported,
            settings={"metrics": self.metrics, **plain_settings(config, SETTINGS)},
            remarks=self.remarks,
        )
