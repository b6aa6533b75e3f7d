"""Which query a sample of Every Eval Ever is about, and one answer a query of samples that repeat it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gembench.data.outcomes import Outcome
from gembench.data.sources.every_eval_ever_rows import Samples
from gembench.data.sources.texts import numbered
from gembench.errors import SourceError


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers to n queries: columns as in `ModelLog`."""

    queries: Sequence[str]
    score: NDArray[np.float64]
    outcome: NDArray[np.uint8]
    correct: NDArray[np.int8]
    seconds: NDArray[np.float64]
    repeats: NDArray[np.int64]
    texts: dict[str, list[str]]


def answers_of(samples: Samples, scores: NDArray[np.float64], task: str, file: str, *, is_own: bool) -> Answers:
    """One answer a query: the mean of the scores of all its samples that were answered.

    Raises:
        SourceError: in a file that gembench wrote, a query has two records.
    """
    ids = samples.ids if is_own else _query_ids(samples, task)
    first: dict[str, int] = {}
    for row, query in enumerate(ids):
        if first.setdefault(query, row) != row and is_own:
            raise SourceError(
                f"{file}, line {samples.lines[row]}: {query!r} has a record already, on line "
                f"{samples.lines[first[query]]}; keep one."
            )
    code_of = {query: code for code, query in enumerate(first)}
    codes = np.asarray([code_of[query] for query in ids], np.intp)
    rows = np.asarray(list(first.values()), np.intp)
    outcome = np.asarray(samples.outcomes, np.uint8)
    answered = outcome == Outcome.ANSWERED
    num_answered = np.bincount(codes[answered], minlength=len(first))
    is_answered = num_answered > 0
    total = np.bincount(codes[answered], scores[answered], minlength=len(first))
    score = np.full(len(first), np.nan)
    score[is_answered] = total[is_answered] / num_answered[is_answered]
    return Answers(
        queries=list(first),
        # The mean of equal scores can be above them by a rounding.
        score=np.clip(score, 0, 1),
        outcome=np.where(is_answered, np.uint8(Outcome.ANSWERED), outcome[rows]),
        correct=np.asarray(samples.is_correct, np.int8)[rows],
        seconds=_means(np.asarray(samples.seconds, np.float64), codes, len(first)),
        repeats=np.asarray(samples.repeats, np.int64) if is_own else np.maximum(num_answered, 1).astype(np.int64),
        texts={name: [texts[row] for row in rows.tolist()] for name, texts in samples.texts.items()},
    )


def _query_ids(samples: Samples, task: str) -> Sequence[str]:
    """Ids that are the same in other models' files: by the harness's hashes, else by the sample's id.

    Documents that are equal are told apart by their order. A sample's id that stands for several prompts is told apart
    by their hashes; that one prompt has several records means that it was asked more than once.
    """
    documents, targets = samples.texts["doc_hash"], samples.texts["target_hash"]
    if all(documents) and all(targets):
        return numbered(
            [f"{task}/{document[:16]}-{target[:16]}" for document, target in zip(documents, targets, strict=True)]
        )
    hashes: dict[str, set[str]] = {}
    for sample, prompt in zip(samples.ids, samples.hashes, strict=True):
        hashes.setdefault(sample, set()).add(prompt)
    ids = []
    for sample, prompt in zip(samples.ids, samples.hashes, strict=True):
        query = sample if sample.startswith(f"{task}/") else f"{task}/{sample}"
        ids.append(f"{query}#{prompt[:16]}" if len(hashes[sample]) > 1 else query)
    return ids


def _means(values: NDArray[np.float64], codes: NDArray[np.intp], num_codes: int) -> NDArray[np.float64]:
    """Of the values that are known, by code; NaN where none is."""
    known = ~np.isnan(values)
    counts = np.bincount(codes[known], minlength=num_codes)
    totals = np.bincount(codes[known], values[known], minlength=num_codes)
    means = np.full(num_codes, np.nan)
    means[counts > 0] = totals[counts > 0] / counts[counts > 0]
    return means
