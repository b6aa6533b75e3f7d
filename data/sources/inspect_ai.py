"""Inspect: `.eval` zips and `.json` logs, a run of one model on one task each.

Written by inspect_ai 0.3, format version 2 (and 1). Members of a zip are packed with zstd, which Python before 3.14
cannot read alone.

Traps:
- a score's value is C, P, I or N (1, 0.5, 0, 0), yes or no, a number, or several by key, each a score of its own; NaN
  is a sample that was not scored. What Inspect counts as wrong because it cannot read it is ungraded here.
- epochs are repeated answers: the score is the mean of those answered, with how many these are. Figures that Inspect
  reports of another reducer (mode, at_least) are not compared.
- a sample with an `error` failed, and one that met a `limit` is truncated, whatever score it was given.
- a run that crashed has neither `header.json` nor `summaries.json`: its journal says what it had done.
- runs of one model can differ in `model_args`, and in how they sample: that is their identity. `task_args` change what
  is asked, and are part of the task's name.
- sample ids can be numbers given in a shuffled order: a query is the id and the start of the input, hashed. The
  summaries of a zip, which are read in place of all messages, have no more of a long input, and no pictures.
- a converted log is the same run again, with the same rows and date. A run tried again (`eval-retry`) has the samples
  of the first again; those that failed are answered then.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence

import numpy as np

from gembench.data.outcomes import Outcome
from gembench.data.sources.files import find_files, plain_settings
from gembench.data.sources.inspect_archive import Json, read_inspect_log
from gembench.data.sources.inspect_scores import (
    Epoch,
    ScoreName,
    choose_score,
    combine,
    read_epoch,
    reported_mean,
)
from gembench.data.sources.source import Choice, Log, ModelLog, Remark
from gembench.data.sources.texts import clean_text, one_line, text_hash, text_of
from gembench.errors import SourceError

NO_LOGS = frozenset(("logs.json", "listing.json", "eval-set.json", "flow.json"))
"""What Inspect writes beside logs."""
SAMPLING = ("temperature", "top_p", "top_k", "reasoning_effort", "reasoning_tokens", "effort", "system_message")
"""Settings of a run that make another model of one, as people compare them."""
SETTINGS = ("run_id", "eval_id", "task_id", "task_version", "task_registry_name", "solver")
SECRET = re.compile("key|token|secret|password", re.IGNORECASE)
PREFIX = 500
"""So much of an input is in the summaries of every version."""


def find_logs(places: Sequence[str]) -> list[Log]:
    """A log a file."""
    return [Log((path,), size) for path, size in find_files(places, _is_log, ".eval or .json log of Inspect")]


def _is_log(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    is_buffer = "/.buffer/" in path
    return name.endswith(".eval") or (name.endswith(".json") and name not in NO_LOGS and not is_buffer)


def read_log(log: Log, choice: Choice) -> Iterator[ModelLog]:
    """What a run says of its model.

    Raises:
        SourceError: the file is no log of Inspect, has not the score, or one that is no number in [0, 1].
    """
    file = log.files[0]
    if choice.filter_name is not None:
        raise SourceError(f"{file}: Inspect has no filters; leave out the filter {choice.filter_name!r}.")
    stored = read_inspect_log(file)
    spec = stored.header["eval"]
    name = choose_score(stored.header, stored.samples, choice.metric, file)
    task = _task(spec, file)
    queries: dict[str, list[Json]] = {}
    for sample in stored.samples:
        queries.setdefault(_query(task, sample), []).append(sample)
    combined = [combine([_epoch(sample, name, file) for sample in samples]) for samples in queries.values()]
    reported = reported_mean(stored.header, name) if name is not None else None
    remarks = _remarks(stored.header, [epoch for epoch, _ in combined], len(stored.samples), file)
    if any(epoch.was_dropped for epoch, _ in combined):
        reported = None
    yield ModelLog(
        file=file,
        identity=_identity(spec, file),
        date=text_of(spec.get("created")),
        queries=list(queries),
        tasks=[task] * len(queries),
        score=np.array([epoch.score for epoch, _ in combined], dtype=np.float64),
        outcome=np.array([epoch.outcome for epoch, _ in combined], dtype=np.uint8),
        num_rows=len(stored.samples),
        query_columns={
            "doc_hash": [text_hash(_input(samples[0])) for samples in queries.values()],
            "target_hash": [text_hash(_start(samples[0].get("target"))) for samples in queries.values()],
        },
        reported={task: reported} if reported is not None and queries else {},
        settings={"score": clean_text(str(name or "")), **plain_settings(spec, SETTINGS)},
        remarks=remarks,
        seconds=np.array([_seconds(samples) for samples in queries.values()], dtype=np.float64),
        repeats=np.array([count for _, count in combined], dtype=np.int64),
    )


def _identity(spec: Json, file: str) -> dict[str, str]:
    """Which model, and what else makes its runs differ. `name` is the model's without its provider."""
    model = spec.get("model")
    if not isinstance(model, str) or not model:
        raise SourceError(f"{file}: 'eval' does not say which model answered.")
    config = spec.get("model_generate_config")
    stated = config if isinstance(config, dict) else {}
    model = clean_text(model)
    return {
        "model": model,
        "name": model.partition("/")[2] or model,
        "model_args": _compact(spec.get("model_args")),
        "sampling": _compact({name: stated[name] for name in SAMPLING if name in stated}),
    }


def _compact(arguments: object) -> str:
    """Arguments as a text: the same for the same, and none for none."""
    if not isinstance(arguments, dict):
        return ""
    kept = {name: value for name, value in arguments.items() if value is not None and not SECRET.search(name)}
    return _argument(kept) if kept else ""


def _task(spec: Json, file: str) -> str:
    task = spec.get("task")
    if not isinstance(task, str) or not task:
        raise SourceError(f"{file}: 'eval' does not say which task was asked.")
    passed = spec.get("task_args_passed", spec.get("task_args"))
    arguments = passed if isinstance(passed, dict) else {}
    named = ",".join(f"{name}={_argument(arguments[name])}" for name in sorted(arguments))
    return clean_text(f"{task}({named})" if named else task)


def _argument(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))
    text = clean_text(text)
    return text if len(text) <= 100 else f"{text[:60]}...{text_hash(text)[:16]}"


def _query(task: str, sample: Json) -> str:
    return f"{task}/{clean_text(str(sample['id'])[:1000])}/{text_hash(_input(sample))[:8]}"


def _input(sample: Json) -> str:
    """The start of what was asked, the same in summaries and in full samples."""
    asked = sample.get("input")
    if isinstance(asked, list):
        asked = " ".join(_content(message.get("content")) for message in asked if isinstance(message, dict))
    return _start(asked)


def _content(content: object) -> str:
    """The text of a message. Of pictures and the like, summaries have this."""
    if isinstance(content, list):
        return " ".join(
            text_of(part.get("text")) if part.get("type") == "text" else f"({text_of(part.get('type')).capitalize()})"
            for part in content
            if isinstance(part, dict)
        )
    return text_of(content)


def _start(text: object) -> str:
    joined = " ".join(text_of(part) for part in text) if isinstance(text, list) else text_of(text)
    return " ".join(joined[: 8 * PREFIX].split())[:PREFIX]


def _epoch(sample: Json, name: ScoreName | None, file: str) -> Epoch:
    try:
        return read_epoch(sample, name)
    except ValueError as error:
        identifier = clean_text(str(sample["id"])[:40])
        what = clean_text(f"the sample {identifier!r} has the {name} {error}")
        raise SourceError(f"{file}: {one_line(what)}; choose another by --metric.") from error


def _seconds(samples: Sequence[Json]) -> float:
    """The mean time of a sample's epochs, without waiting where the log says so."""
    times = [sample.get("working_time", sample.get("total_time")) for sample in samples]
    known = [float(time) for time in times if isinstance(time, int | float) and 0 <= time < 1e12]
    return math.fsum(known) / len(known) if known else math.nan


def _remarks(header: Json, epochs: Sequence[Epoch], num_rows: int, file: str) -> list[Remark]:
    remarks = []
    status = text_of(header.get("status"))
    if status != "success":
        message = f"the run did not finish: its status is {one_line(status)[:40]!r}"
        remarks.append(Remark(file, None, message, num_rows))
    for outcome, what in (
        (Outcome.FAILED, "failed with an error"),
        (Outcome.TRUNCATED, "met a limit, and are truncated"),
        (Outcome.UNGRADED, "have no score that can be read, and are ungraded"),
    ):
        count = sum(epoch.outcome == outcome for epoch in epochs)
        if count:
            remarks.append(Remark(file, None, f"samples {what}", count))
    return remarks
