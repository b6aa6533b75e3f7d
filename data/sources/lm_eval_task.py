"""One task of a run of lm-evaluation-harness: of all its rows, one an answer, with a score."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gembench.data.sources.lm_eval_filters import choose_filter
from gembench.data.sources.lm_eval_results import TaskResults
from gembench.data.sources.lm_eval_samples import first_row, read_samples
from gembench.data.sources.lm_eval_scores import (
    PREDICT_ONLY,
    choose_metric,
    first_outside,
    lists_differ,
    metrics_of,
    scores_of,
)
from gembench.data.sources.scores import outcomes_of
from gembench.data.sources.source import Choice, Remark
from gembench.data.sources.texts import numbered

_HASH_DIGITS = 16


@dataclass
class TaskRows:
    """The answers of one model to one task, n of them: none where the task gives no scores.

    Attributes:
        decided_by: the metric and the filter, as the tool writes them: "exact_match,strict-match".
        reported: the mean that the tool reports, where it is one of these scores.
        num_rows: rows read.
    """

    queries: Sequence[str] = ()
    doc_hashes: Sequence[str] = ()
    target_hashes: Sequence[str] = ()
    score: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    outcome: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    decided_by: str = ""
    reported: float | None = None
    num_rows: int = 0
    remarks: list[Remark] = field(default_factory=list)


def read_task(path: str, task: str, results: TaskResults, choice: Choice) -> TaskRows:
    """What a samples file says. Raises SourceError."""
    example = first_row(path)
    metric, note = choose_metric(metrics_of(results, example), results, choice.metric)
    samples = read_samples(path, metric, has_filters=isinstance(example.get("filter"), str))
    num_used = len(samples.values)
    rows = TaskRows(num_rows=samples.num_rows, remarks=list(samples.remarks))
    if not num_used:
        rows.remarks.append(Remark(path, None, "it has no row that can be used", samples.num_rows))
        return rows
    if note:
        rows.remarks.append(Remark(path, None, note, num_used))
    if not metric:
        return rows
    known = list(dict.fromkeys(name for of_metric, name in results.reported if of_metric == metric))
    filter_name, is_kept = choose_filter(path, samples, known, choice.filter_name, rows.remarks)
    values = list(compress(samples.values, is_kept))
    score = _scores(path, metric, values, results, rows.remarks)
    if score is None:
        return rows
    rows.doc_hashes = list(compress(samples.doc_hashes, is_kept))
    rows.target_hashes = list(compress(samples.target_hashes, is_kept))
    rows.queries = _query_ids(task, rows.doc_hashes, rows.target_hashes)
    rows.score = score
    rows.outcome = outcomes_of(score)
    rows.decided_by = f"{metric},{filter_name}" if filter_name else metric
    figure = results.reported.get((metric, filter_name), math.nan)
    if 0 <= figure <= 1 and not lists_differ(values):
        rows.reported = figure
    num_missing = (results.num_documents or 0) - len(values)
    if num_missing > 0:
        message = "documents that the results speak of have no row that can be used"
        rows.remarks.append(Remark(path, None, message, num_missing))
    return rows


def _scores(
    path: str, metric: str, values: Sequence[Any], results: TaskResults, remarks: list[Remark]
) -> NDArray[np.float64] | None:
    """[n] scores in [0, 1], NaN where there is none; None if the metric gives none, which a remark explains."""
    if metric == PREDICT_ONLY:
        return np.full(len(values), np.nan)
    if not results.aggregations.get(metric) and list in set(map(type, values)):
        why = f"the values of {metric!r} are lists, and no results file says what they mean"
        remarks.append(Remark(path, None, f"the task is left out: {why}", len(values)))
        return None
    score = scores_of(values)
    outside = first_outside(score)
    if outside is not None:
        why = f"{metric!r} has values outside [0, 1], such as {outside:g}; choose another by --metric"
        remarks.append(Remark(path, None, f"the task is left out: {why}", len(values)))
        return None
    score = np.where(np.isfinite(score), np.clip(score, 0.0, 1.0), np.nan)
    num_ungraded = int(np.isnan(score).sum())
    if num_ungraded:
        remarks.append(Remark(path, None, f"the value of {metric!r} is no number: not graded", num_ungraded))
    return score


def _query_ids(task: str, doc_hashes: Sequence[str], target_hashes: Sequence[str]) -> Sequence[str]:
    """Task, hashes and occurrence, as in gembench's own recordings: documents of the same text share their hashes."""
    ids = [
        f"{task}:{doc[:_HASH_DIGITS]}:{target[:_HASH_DIGITS]}"
        for doc, target in zip(doc_hashes, target_hashes, strict=True)
    ]
    return numbered(ids, ":")
