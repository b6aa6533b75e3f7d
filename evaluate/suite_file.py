"""Suite files: YAML that names a set of harness tasks, and for each what decides whether an answer is right."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gembench.errors import UsageError
from gembench.extras import require_extra


class SuiteError(UsageError):
    """A suite cannot be used as it stands: a file, a task or its data is not what it should be, or not here."""


@dataclass(frozen=True)
class TaskEntry:
    """One task, or group of tasks, of a suite.

    Attributes:
        task: the harness's name.
        filter: the filter whose outcome decides; None for the task's first.
        metric: the metric that decides; None for the task's first.
        num_queries: how many documents are drawn, of a group from all its tasks together; None for all.
        seed: of the draw.
        subject: the field of the document that holds the query's subject.
    """

    task: str
    filter: str | None = None
    metric: str | None = None
    num_queries: int | None = None
    seed: int = 0
    subject: str | None = None


@dataclass(frozen=True)
class SuiteFile:
    """A suite as written down: its name, its version and its tasks in the order of the tensor's columns."""

    name: str
    version: str
    tasks: tuple[TaskEntry, ...]


def read_suite_file(path: Path) -> SuiteFile:
    """Read and check a suite file.

    Raises:
        SuiteError: it is missing, is no YAML, or a field is missing, unknown or of the wrong type.
        MissingExtraError: PyYAML is not installed.
    """
    require_extra("harness", "yaml")
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise SuiteError(f"{path}: this suite file cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        summary = " ".join(str(error).split())
        raise SuiteError(f"{path}: this suite file is no plain YAML: {summary}.") from error
    if not isinstance(content, dict) or not isinstance(content.get("tasks"), list) or not content["tasks"]:
        raise SuiteError(
            f"{path}: this is no suite, for it has no list 'tasks'; "
            f"to use a file of a task, name its folder with --include-path and the task by its name."
        )
    _refuse_unknown(content, {"name", "version", "tasks"}, str(path))
    name = content.get("name", path.stem)
    if not isinstance(name, str) or not name:
        raise SuiteError(f"{path}: 'name' is {name!r}; write a word.")
    entries = tuple(_entry(value, f"{path}, task {number}") for number, value in enumerate(content["tasks"], start=1))
    return SuiteFile(name, str(content.get("version", "0")), entries)


def _entry(value: Any, place: str) -> TaskEntry:
    if isinstance(value, str):
        return TaskEntry(value)
    if not isinstance(value, dict) or not isinstance(value.get("task"), str):
        raise SuiteError(f"{place}: write the task's name, or fields of which 'task' is one.")
    _refuse_unknown(value, {field.name for field in fields(TaskEntry)}, place)
    for field in ("filter", "metric", "subject"):
        if not isinstance(value.get(field), str | None):
            raise SuiteError(f"{place}: {field!r} is {value[field]!r}; write a word.")
    for field, least in (("num_queries", 1), ("seed", 0)):
        number = value.get(field, least)
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            raise SuiteError(f"{place}: {field!r} is {number!r}; write a whole number of {least} or more.")
    return TaskEntry(**value)


def _refuse_unknown(content: Mapping[str, Any], known: set[str], place: str) -> None:
    for field in content:
        if field not in known:
            raise SuiteError(f"{place}: no field is called {field!r}; there are {', '.join(sorted(known))}.")
