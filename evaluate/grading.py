"""Grading: an answer goes through the filters and the metric of its task, alone and leaving no trace."""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from inspect import getsource
from typing import TYPE_CHECKING, Any

from gembench.evaluate.evaluator import Answer
from gembench.evaluate.suite import Grade
from gembench.evaluate.suite_file import SuiteError

if TYPE_CHECKING:
    from lm_eval.api.task import Task

FULL_MARKS = 1.0
"""An answer is right if it has full marks; where a metric gives shares, as f1 does, no lesser answer is."""


@dataclass(slots=True)
class _Filterable:
    """What a filter of the harness reads of an `Instance`, and where it writes."""

    doc: dict[str, Any]
    resps: list[Any]
    filtered_resps: dict[str, Any] = field(default_factory=dict)


class Grader:
    """Grades answers to a task's documents by one filter and one metric.

    Args:
        task: of the harness.
        filter_name: which of its filters decides; None for the first.
        metric: which of its metrics decides; None for the first.

    Raises:
        SuiteError: the task has no such filter or metric, or the less of it the better.
    """

    def __init__(self, task: "Task", filter_name: str | None, metric: str | None) -> None:
        self._task = task
        filters = {ensemble.name: ensemble for ensemble in task._filters}
        metrics = task.higher_is_better()
        self.filter_name = filter_name if filter_name is not None else next(iter(filters))
        self.metric = metric if metric is not None else next(iter(metrics))
        for kind, name, known in (("filter", self.filter_name, filters), ("metric", self.metric, metrics)):
            if name not in known:
                raise SuiteError(f"task {task.task_name}: it has no {kind} {name!r}; it has {', '.join(known)}.")
        if not metrics[self.metric]:
            raise SuiteError(f"task {task.task_name}: less {self.metric} is better; name a metric of right answers.")
        self._filter = filters[self.filter_name]
        # Functions of a user's own may change the document that they are given.
        self._own_copy: Callable[[Any], Any] = deepcopy if callable(task.config.process_results) else _same

    def grade(self, document: dict[str, Any], answers: Sequence[Answer]) -> Grade | None:
        """Grade the answers to a document's requests, in their order; None if there is no telling.

        There is none where a prompt did not fit the model, or a log-likelihood is not a number.

        Raises:
            SuiteError: the metric gives no number in [0, 1] for a single document.
        """
        if not all(_is_gradable(answer) for answer in answers):
            return None
        document = self._own_copy(document)
        repeats = self._task.config.repeats
        filtered = [
            _Filterable(document, [_response(answer) for answer in answers[first : first + repeats]])
            for first in range(0, len(answers), repeats)
        ]
        self._filter.apply(filtered)
        outcomes = self._task.process_results(document, [one.filtered_resps[self.filter_name] for one in filtered])
        return self._graded(outcomes)

    def _graded(self, outcomes: dict[str, Any]) -> Grade:
        value = outcomes.get(self.metric)
        try:
            score = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            score = math.nan
        if not 0 <= score <= FULL_MARKS:
            raise SuiteError(
                f"task {self._task.task_name}: the metric {self.metric} gives {value!r} for a single query, no number "
                f"between 0 and 1; name another metric: {', '.join(name for name in outcomes if name != self.metric)}."
            )
        return Grade(is_correct=score == FULL_MARKS, score=score)

    def description(self) -> list[Any]:
        """What grades depend on beside the documents: names, versions, settings, source of functions; JSON."""
        config = self._task.config
        parts = (config.filter_list, config.metric_list, config.process_results)
        return [self._task.task_name, str(self._task.VERSION), self.filter_name, self.metric, *map(_described, parts)]


def _same(document: Any) -> Any:
    return document


def _is_gradable(answer: Answer) -> bool:
    return not answer.is_too_long and (answer.log_likelihood is None or math.isfinite(answer.log_likelihood))


def _response(answer: Answer) -> str | tuple[float, bool]:
    return answer.text if answer.log_likelihood is None else (answer.log_likelihood, answer.is_greedy)


def _described(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _described(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_described(part) for part in value]
    if callable(value):
        try:
            return getsource(value)
        except (OSError, TypeError):
            return getattr(value, "__qualname__", type(value).__qualname__)
    return value
