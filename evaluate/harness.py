"""Suites of lm-evaluation-harness tasks: it owns prompts, filters and grades, this owns which queries there are."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gembench.evaluate.evaluator import Answer, Request, Settings
from gembench.evaluate.grading import Grader
from gembench.evaluate.suite import ChatTemplate, Grade, Query
from gembench.evaluate.suite_file import SuiteError, SuiteFile, TaskEntry, read_suite_file
from gembench.evaluate.suites.catalog import SUITES
from gembench.extras import require_extra

if TYPE_CHECKING:
    from lm_eval.api.task import Task

    from gembench.evaluate.harness_library import TaskLibrary
    from gembench.evaluate.harness_prompts import Prompts

_HASH_DIGITS = 16


def load_suite(
    name_or_tasks: str, *, include_path: Sequence[Path] = (), limit: int | None = None, allow_code: bool = False
) -> "HarnessSuite":
    """The suite of that name.

    Args:
        name_or_tasks: a suite that ships, the path of a suite file (`.yaml`), or names of the harness's tasks and
            groups with commas between.
        include_path: folders of further task files.
        limit: at most so many queries of each task, its first ones.
        allow_code: whether tasks may run code that a model wrote, in the sandbox.

    Raises:
        SuiteError: a name is unknown, a file is wrong, or a task cannot be loaded or asked.
        MissingExtraError: the harness, or a package that carries a task's data, is not installed.
        SandboxError: a task runs code, and there is no working sandbox.
    """
    require_extra("harness", "lm_eval")
    from gembench.evaluate.harness_library import TaskLibrary

    suite_file = _suite_file(name_or_tasks)
    library = TaskLibrary(include_path, allow_code=allow_code)
    parts = [part for entry in suite_file.tasks for part in _questions(entry, library, limit)]
    names = Counter(part.name for part in parts)
    twice = [name for name, occurrences in names.items() if occurrences > 1]
    if twice:
        raise SuiteError(f"suite {suite_file.name}: it has the task {twice[0]} twice; name it once.")
    return HarnessSuite(suite_file, parts)


class HarnessSuite:
    """A suite of the harness's tasks. Its methods are pure: nothing of one model's answers reaches another's."""

    def __init__(self, suite_file: SuiteFile, parts: Sequence["_Questions"]) -> None:
        self._name = suite_file.name
        self._places = [(part, number) for part in parts for number in part.asked]
        self._queries = tuple(part.queries[number] for part, number in self._places)
        prompts = ([query.id, *self.requests(number)] for number, query in enumerate(self._queries))
        self._settings = {
            "suite": suite_file.name,
            "suite_version": suite_file.version,
            "suite_digest": _digest(prompts),
            "grader": f"lm-eval {version('lm-eval')}",
            "grader_digest": _digest(part.grader.description() for part in parts),
        }

    @property
    def name(self) -> str:
        """The suite's name, or the names of its tasks."""
        return self._name

    @property
    def settings(self) -> Settings:
        """Name and version; digests of the queries with their prompts, and of filters and metrics; the harness."""
        return self._settings

    @property
    def queries(self) -> Sequence[Query]:
        """The Q queries, task by task in the order of the suite's file."""
        return self._queries

    def requests(self, query: int, chat_template: ChatTemplate | None = None) -> Sequence[Request]:
        """What to ask: one generation, or a log-likelihood for each choice; with the template, as a conversation."""
        part, number = self._places[query]
        return part.prompts.requests(number, chat_template)

    def grade(self, query: int, answers: Sequence[Answer]) -> Grade | None:
        """Grade by the task's filter and metric; None if a prompt was too long or a log-likelihood is no number."""
        part, number = self._places[query]
        return part.grader.grade(part.documents[number], answers)


@dataclass(frozen=True)
class _Questions:
    """A task's documents, as far as they are needed, and which of them are asked."""

    name: str
    documents: Sequence[dict[str, Any]]
    queries: Sequence[Query]
    prompts: "Prompts"
    grader: Grader
    asked: Sequence[int]


def _suite_file(name_or_tasks: str) -> SuiteFile:
    if name_or_tasks in SUITES:
        return read_suite_file(SUITES[name_or_tasks])
    if name_or_tasks.endswith((".yaml", ".yml")):
        return read_suite_file(Path(name_or_tasks))
    names = [name.strip() for name in name_or_tasks.split(",")]
    if not all(names):
        raise SuiteError(f"{name_or_tasks!r} names no suite; suites that ship: {', '.join(SUITES)}.")
    return SuiteFile(",".join(names), "0", tuple(TaskEntry(name) for name in names))


def _questions(entry: TaskEntry, library: "TaskLibrary", limit: int | None) -> list[_Questions]:
    from gembench.evaluate.harness_prompts import Prompts

    tasks = library.load(entry.task)
    documents = [[document for _, document in task.doc_iterator()] for task in tasks]
    queries = [_identified(task, docs, entry.subject) for task, docs in zip(tasks, documents, strict=True)]
    drawn = _draw(entry, [query.id for of_task in queries for query in of_task])
    parts = []
    for task, docs, of_task in zip(tasks, documents, queries, strict=True):
        asked = [number for number, query in enumerate(of_task) if query.id in drawn][:limit]
        if not asked:
            continue
        needed = docs[: asked[-1] + 1]
        grader = Grader(task, entry.filter, entry.metric)
        parts.append(_Questions(task.task_name, needed, of_task, Prompts(task, needed), grader, asked))
    return parts


def _identified(task: "Task", documents: Sequence[dict[str, Any]], subject_field: str | None) -> list[Query]:
    """The queries of a task's documents, with the hashes that the harness logs for them."""
    from lm_eval.utils import handle_non_serializable, hash_string

    queries = []
    seen: Counter[str] = Counter()
    for document in documents:
        if subject_field is not None and subject_field not in document:
            raise SuiteError(
                f"task {task.task_name}: its documents have no field {subject_field!r} to be the subject; "
                f"they have {', '.join(document)}."
            )
        text = json.dumps(document, indent=2, default=handle_non_serializable, ensure_ascii=False)
        doc_hash, target_hash = hash_string(text), hash_string(str(task.doc_to_target(document)))
        name = f"{task.task_name}:{doc_hash[:_HASH_DIGITS]}:{target_hash[:_HASH_DIGITS]}"
        seen[name] += 1
        queries.append(
            Query(
                id=name if seen[name] == 1 else f"{name}:{seen[name]}",
                task=task.task_name,
                subject="" if subject_field is None else str(document[subject_field]),
                doc_hash=doc_hash,
                target_hash=target_hash,
            )
        )
    return queries


def _draw(entry: TaskEntry, ids: Sequence[str]) -> set[str]:
    """The ids of the queries asked: those with the least hash of seed and id, wherever in the data set they stand."""
    if entry.num_queries is None:
        return set(ids)
    if entry.num_queries > len(ids):
        raise SuiteError(f"task {entry.task}: {entry.num_queries} queries are asked for, and it has {len(ids)}.")
    return set(
        sorted(ids, key=lambda name: hashlib.sha256(f"{entry.seed}:{name}".encode()).digest())[: entry.num_queries]
    )


def _digest(parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(json.dumps(part, default=_as_fields, sort_keys=True).encode())
    return f"sha256:{digest.hexdigest()}"


def _as_fields(value: Any) -> Any:
    return [type(value).__name__, vars(value)]
