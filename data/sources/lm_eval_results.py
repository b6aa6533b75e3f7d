"""The results file of lm-evaluation-harness: whose run it was, how it was made, and what the tool reports of it."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gembench.data.sources.files import parse_json, read_bytes
from gembench.data.sources.lm_eval_settings import mapping, settings_of
from gembench.data.sources.texts import clean_text, text_of
from gembench.errors import SourceError

MAX_BYTES = 1 << 28
"""The most that a results file has, unpacked. Those of a thousand tasks have a hundredth of it."""

_NAMES = ("peft", "delta", "pretrained", "model", "path", "engine")
"""The model arguments that name a model, in the tool's order: an adapter goes before the model that it adapts."""
_OF_THE_MACHINE = frozenset(
    (
        *("device", "batch_size", "max_batch_size", "parallelize", "tensor_parallel_size", "data_parallel_size"),
        *("gpu_memory_utilization", "max_num_seqs", "num_concurrent", "max_retries", "timeout", "cache_dir"),
        *("download_dir", "api_key", "token"),
    )
)
"""Model arguments that say how a machine was used: on another it is the same model. And what is nobody's business."""
_MOVING = "main"
"""A branch, not a revision: what it meant on the day is the commit, where the log has it."""
_RANDOM_NAME = re.compile(r"[a-z0-9]{8}")


@dataclass(frozen=True)
class TaskResults:
    """What a results file says of one task.

    Attributes:
        reported: by metric and filter, in the tool's order: the figure, NaN where it is no number.
        aggregations: by metric, how the tool makes one figure of all documents, where it says.
        worse_if_more: the metrics of which less is better.
        num_documents: how many were evaluated; None where it does not say.
    """

    reported: Mapping[tuple[str, str], float] = field(default_factory=dict)
    aggregations: Mapping[str, str] = field(default_factory=dict)
    worse_if_more: frozenset[str] = frozenset()
    num_documents: int | None = None


@dataclass(frozen=True)
class Results:
    """What a results file says.

    Attributes:
        tasks: those that have documents of their own; a group has only those of its tasks.
        is_named: whether the model's name is from the run's arguments, and not drawn at random.
    """

    identity: Mapping[str, str]
    is_named: bool
    date: str
    tasks: Mapping[str, TaskResults]
    model_columns: Mapping[str, object]
    settings: Mapping[str, object]


def read_results(path: str) -> Results:
    """What a results file says.

    Raises:
        SourceError: it cannot be read, or is no results file.
    """
    data = read_bytes(path, MAX_BYTES)
    content = parse_json(data, path)
    _refuse_duplicates(data, path)
    try:
        return _results(content, path)
    except RecursionError as error:
        raise SourceError(f"{path}: its values are nested too deep; is it from lm-eval?") from error


def _results(content: Any, path: str) -> Results:
    if not isinstance(content, dict) or not isinstance(content.get("results"), dict):
        raise SourceError(f"{path}: no results of lm-eval ('results' is missing); name its results_*.json.")
    config = mapping(content.get("config"))
    arguments = _arguments(config.get("model_args"))
    name, is_named = _model_name(content, config, arguments)
    revision = arguments.get("revision") or text_of(config.get("model_revision"))
    if revision == _MOVING:
        revision = ""
    identity = {
        "model": name,
        "revision": revision,
        "model_args": ",".join(f"{key}={value}" for key, value in arguments.items() if key not in _OF_THE_MACHINE),
        "chat_template": text_of(content.get("chat_template_sha"))[:16],
        "system_instruction": text_of(content.get("system_instruction_sha"))[:16],
    }
    return Results(
        identity=identity,
        is_named=is_named,
        date=_date(content.get("date")),
        tasks=_tasks(content),
        model_columns=_model_columns(config, arguments, revision),
        settings=settings_of(content),
    )


def _refuse_duplicates(data: bytes, path: str) -> None:
    """Of a key that stands twice, a reader keeps one in silence: a merge gone wrong must not pass for a result."""

    def refuse(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise SourceError(f"{path}: the key {twice!r} stands twice in one object; keep one.")
        return content

    try:
        json.loads(data, object_pairs_hook=refuse)
    except (ValueError, RecursionError) as error:  # What only the faster reader takes.
        raise SourceError(f"{path}: cannot be read: {error}; write the file again.") from error


def _arguments(model_args: object) -> dict[str, str]:
    """The model arguments, which the tool keeps as it was given them: "key=value,…" or an object."""
    if isinstance(model_args, str):
        pairs = [part.partition("=") for part in model_args.split(",") if part]
        return {clean_text(key): clean_text(value) for key, _, value in pairs}
    return {clean_text(key): clean_text(str(value)) for key, value in mapping(model_args).items()}


def _model_name(content: dict[str, Any], config: dict[str, Any], arguments: dict[str, str]) -> tuple[str, bool]:
    """The model's name, and whether anybody gave it. Before 0.4.3 only the arguments have it."""
    given = next((arguments[key] for key in _NAMES if arguments.get(key)), "")
    said = text_of(content.get("model_name"))
    if said and (given or not _RANDOM_NAME.fullmatch(said)):
        return said, True
    return given or said or text_of(config.get("model")), bool(given)


def _date(value: object) -> str:
    """When the run began, from seconds since 1970."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    try:
        return datetime.fromtimestamp(value, UTC).isoformat()
    except (ValueError, OverflowError, OSError):  # No time that a calendar has.
        return ""


def _tasks(content: dict[str, Any]) -> dict[str, TaskResults]:
    groups = {*mapping(content.get("group_subtasks")), *mapping(content.get("groups"))}
    # A task that stands for itself is its own group in old files, with no tasks under it.
    groups = {name for name in groups if mapping(content.get("group_subtasks")).get(name, True)}
    configs, more_is_better = mapping(content.get("configs")), mapping(content.get("higher_is_better"))
    counts = mapping(content.get("n-samples"))
    tasks = {}
    for task, figures in content["results"].items():
        if task in groups or not isinstance(figures, dict):
            continue
        effective = mapping(counts.get(task)).get("effective")
        tasks[clean_text(task)] = TaskResults(
            reported=_reported(figures),
            aggregations=_aggregations(mapping(configs.get(task))),
            worse_if_more=frozenset(name for name, is_ in mapping(more_is_better.get(task)).items() if is_ is False),
            num_documents=effective if type(effective) is int else None,
        )
    return tasks


def _reported(figures: dict[str, Any]) -> dict[tuple[str, str], float]:
    """The figures by metric and filter. Beside them stand their standard errors, an alias, counts."""
    reported = {}
    for key, value in figures.items():
        metric, comma, filter_name = key.partition(",")
        if not comma or metric.endswith("_stderr"):
            continue
        is_number = isinstance(value, int | float) and abs(value) < 2**63
        reported[clean_text(metric), clean_text(filter_name)] = float(value) if is_number else math.nan
    return reported


def _aggregations(config: dict[str, Any]) -> dict[str, str]:
    """How each metric becomes one figure: a registered name, or the source text of a function of the task's own."""
    metrics = config.get("metric_list")
    if not isinstance(metrics, list):
        return {}
    return {
        metric["metric"]: text_of(metric.get("aggregation"))
        for metric in metrics
        if isinstance(metric, dict) and isinstance(metric.get("metric"), str)
    }


def _model_columns(config: dict[str, Any], arguments: dict[str, str], revision: str) -> dict[str, object]:
    columns: dict[str, object] = {}
    if commit := text_of(config.get("model_sha")) or revision:
        columns["revision"] = commit
    num_parameters = config.get("model_num_parameters")
    if type(num_parameters) is int and 0 < num_parameters < 2**53:
        columns["num_parameters"] = num_parameters
    if (arguments.get("peft") or arguments.get("delta")) and arguments.get("pretrained"):
        columns["parent"] = arguments["pretrained"]
    return columns


def no_results(folder: str) -> Results:
    """What is known of samples that lie alone: their folder has the model's name, without what no folder may have."""
    identity = {"model": clean_text(folder), "revision": "", "model_args": ""}
    return Results(identity, is_named=False, date="", tasks={}, model_columns={}, settings={})
