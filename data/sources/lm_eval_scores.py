"""What counts as the score of an answer: which of a task's metrics and filters, and what its values mean."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gembench.data.sources.lm_eval_results import TaskResults
from gembench.data.sources.scores import ROUNDING

PREDICT_ONLY = "bypass"
"""The metric of --predict_only: it writes 999 for whatever was answered."""

_OF_ALL_DOCUMENTS = frozenset(
    (
        *("f1", "matthews_corrcoef", "mcc", "bleu", "chrf", "chrf++", "ter", "brier_score", "perplexity"),
        *("weighted_perplexity", "bits_per_byte", "median"),
    )
)
"""The tool's aggregations that are no mean: what they are given of one document is no score of its answer."""
_NO_SCORES = frozenset(
    ("perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "brier_score", "mcc", "bleu", "chrf", "ter")
)
"""Metrics of which the same holds where no results file names the aggregation."""
_OF_EVERY_ROW = frozenset(
    (
        *("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"),
        *("doc_hash", "prompt_hash", "target_hash"),
    )
)
_WORDS = {"true": 1.0, "false": 0.0}


def why_no_score(metric: str, task: TaskResults) -> str:
    """Why a metric gives no score an answer; "" if it may."""
    if metric in task.worse_if_more:
        return "less of it is better"
    aggregation = task.aggregations.get(metric)
    if aggregation in _OF_ALL_DOCUMENTS or (not aggregation and metric in _NO_SCORES):
        return "it is of all documents at once"
    return ""


def metrics_of(task: TaskResults, row: Mapping[str, Any]) -> list[str]:
    """The metrics of a task in the tool's order: those reported, else those of a row."""
    reported = list(dict.fromkeys(metric for metric, _ in task.reported))
    if reported:
        return reported
    named = row.get("metrics")
    if isinstance(named, list):
        return [name for name in named if isinstance(name, str)]
    return [name for name in row if name not in _OF_EVERY_ROW]


def choose_metric(names: Sequence[str], task: TaskResults, wanted: str | None) -> tuple[str, str]:
    """The metric that is the score, "" if there is none, and what a person should know of it.

    It is the one wanted, else the first that gives each answer a score.
    """
    if PREDICT_ONLY in names:
        return PREDICT_ONLY, "the answers were not graded (--predict_only)"
    reasons = {name: why_no_score(name, task) for name in names}
    unusable = ", ".join(f"{name!r} ({reason})" for name, reason in reasons.items() if reason)
    usable = [name for name in names if not reasons[name]]
    if wanted in usable:
        return wanted, ""
    if wanted in names or not usable:
        return "", f"the task is left out: no score of an answer is {unusable or 'in its rows'}"
    if wanted is not None:
        return usable[0], f"there is no metric {wanted!r}; {usable[0]!r} is taken"
    skipped = usable[0] != names[0]
    return usable[0], f"no score of an answer is {unusable}; {usable[0]!r} is taken" if skipped else ""


def scores_of(values: Sequence[Any]) -> NDArray[np.float64]:
    """[n] what a metric's values say: numbers, booleans, either of them as text, or the mean of a list of them.

    NaN is what is no number; a value may lie outside [0, 1].
    """
    if set(map(type, values)) <= {bool, float}:  # An int may be too large.
        return np.asarray(values, dtype=np.float64)
    return np.fromiter(map(_number, values), np.float64, len(values))


def _number(value: Any) -> float:
    if isinstance(value, bool | int | float):
        return float(value) if abs(value) < 2**63 else math.nan
    if isinstance(value, str):
        text = value.strip().lower()
        try:
            return _WORDS[text] if text in _WORDS else float(text)
        except ValueError:
            return math.nan
    if isinstance(value, list) and value and not any(isinstance(each, list) for each in value):
        return sum(map(_number, value)) / len(value)
    return math.nan


def first_outside(scores: NDArray[np.float64]) -> float | None:
    """The first score that is not in [0, 1]; None if all are, or are not finite."""
    outside = scores[np.isfinite(scores) & ((scores < -ROUNDING) | (scores > 1 + ROUNDING))]
    return float(outside[0]) if outside.size else None


def lists_differ(values: Sequence[Any]) -> bool:
    """Whether values are lists of different lengths: the tool's mean over all entries is then no mean over answers."""
    return list in set(map(type, values)) and len({len(value) if type(value) is list else 1 for value in values}) > 1
