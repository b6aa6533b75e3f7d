"""Which of the results of Every Eval Ever becomes the score: one a task, of one metric and one filter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gembench.data.outcomes import Outcome
from gembench.data.sources.every_eval_ever_results import Result
from gembench.data.sources.every_eval_ever_rows import Samples
from gembench.data.sources.source import Choice, Remark
from gembench.errors import SourceError

NO_FILTER = ("", "none")


@dataclass(frozen=True)
class Candidate:
    """Samples of one result that could be the score of a task.

    Attributes:
        task: without the filter that the harness's converter puts after it.
        filter_name: "" where there is none.
        result: what the aggregate record reports of them; None where it reports nothing.
        samples: the records.
    """

    task: str
    filter_name: str
    result: Result | None
    samples: Samples

    @property
    def metrics(self) -> tuple[str, ...]:
        """What its metric is called; the filter after a colon is none of it."""
        names = self.result.metrics if self.result is not None else ()
        return tuple(dict.fromkeys(name.removesuffix(f":{self.filter_name}") for name in names))

    @property
    def metric(self) -> str:
        """Its metric's first name."""
        return self.metrics[0] if self.metrics else "without a name"


def candidates_of(by_result: Mapping[tuple[str, str], Samples], results: Sequence[Result]) -> list[Candidate]:
    """All of a file, in the order in which the aggregate record reports them."""
    candidates = []
    for (name, result_id), samples in by_result.items():
        filters = samples.filters - set(NO_FILTER)
        filter_name = next(iter(filters)) if len(filters) == 1 else ""
        position, result = _result_of(name, result_id, results)
        task = name.removesuffix(f"/{filter_name}") if filter_name else name
        candidates.append((position, Candidate(task, filter_name, result, samples)))
    return [candidate for _, candidate in sorted(candidates, key=lambda pair: pair[0])]


def _result_of(name: str, result_id: str, results: Sequence[Result]) -> tuple[int, Result | None]:
    """The result that records belong to, and its place: by id where they have one, which names no task."""
    for is_same_task in (True, False):
        for position, result in enumerate(results):
            if (result.task == name) == is_same_task and (result.result_id == result_id if result_id else is_same_task):
                return position, result
    return len(results), None


def choose(candidates: Sequence[Candidate], choice: Choice, file: str) -> tuple[list[Candidate], list[Remark]]:
    """The candidate of each task, and what was left out.

    Raises:
        SourceError: nothing has the metric or the filter, or nothing can be a score in [0, 1].
    """
    named = [one for one in candidates if choice.filter_name in (None, one.filter_name or "none")]
    if not named:
        filters = dict.fromkeys(one.filter_name or "none" for one in candidates)
        raise SourceError(f"{file}: no filter {choice.filter_name!r}; there are {', '.join(filters)}.")
    if choice.metric is not None:
        metrics = dict.fromkeys(name for one in named for name in one.metrics)
        named = [one for one in named if choice.metric in one.metrics]
        if not named:
            raise SourceError(f"{file}: no metric {choice.metric!r}; there are {', '.join(metrics) or 'none'}.")
    chosen: dict[str, Candidate] = {}
    remarks: list[Remark] = []
    problems: dict[str, tuple[Candidate, str]] = {}
    for one in named:
        problem = _problem(one)
        if problem is not None:
            problems.setdefault(one.task, (one, problem))
        elif one.task not in chosen:
            chosen[one.task] = one
    if not chosen:
        one, problem = next(iter(problems.values()))
        raise SourceError(f"{file}: {one.task}: {problem}.")
    for task in dict.fromkeys(one.task for one in candidates):
        others = [one for one in candidates if one.task == task and one is not chosen.get(task)]
        remarks += _remarks(chosen.get(task), others, problems.get(task), task, file)
    return list(chosen.values()), remarks


def _remarks(
    chosen: Candidate | None,
    others: Sequence[Candidate],
    problem: tuple[Candidate, str] | None,
    task: str,
    file: str,
) -> list[Remark]:
    num_rows = sum(len(one.samples.ids) for one in others)
    if chosen is None:
        reason = problem[1] if problem is not None else "it has not the metric and filter that were chosen"
        return [Remark(file, None, f"the task {task!r} is left out: {reason}", num_rows)]
    if not others:
        return []
    names = ", ".join(dict.fromkeys(_name(one) for one in others))
    return [Remark(file, None, f"the score of {task!r} is {_name(chosen)}; left out: {names}", num_rows)]


def _name(candidate: Candidate) -> str:
    return f"{candidate.metric} ({candidate.filter_name})" if candidate.filter_name else candidate.metric


def _problem(candidate: Candidate) -> str | None:
    """Why a candidate cannot be a score in [0, 1], the higher the better; None if it can."""
    if candidate.result is not None and candidate.result.is_lower_better:
        return f"a low {candidate.metric} is good, so that it is no score; choose another by --metric"
    scores = scores_of(candidate)
    wrong = ~np.isnan(scores) & ~((scores >= 0) & (scores <= 1))
    if wrong.any():
        position = int(wrong.argmax())
        return (
            f"line {candidate.samples.lines[position]} has the score {candidate.samples.scores[position]:g}, and the "
            f"metric {candidate.metric} no bounds that it lies in; choose another by --metric"
        )
    return None


def scores_of(candidate: Candidate) -> NDArray[np.float64]:
    """[n], NaN where there is no answer. Those beyond [0, 1] are scaled by the metric's bounds.

    Scores that lie in [0, 1] stay as they are, whatever the bounds: many tools report percentages of them.
    """
    samples, result = candidate.samples, candidate.result
    answered = np.asarray(samples.outcomes) == Outcome.ANSWERED
    scores = np.where(answered, np.asarray(samples.scores, np.float64), np.nan)
    is_share = np.isnan(scores) | ((scores >= 0) & (scores <= 1))
    if is_share.all() or result is None or result.lowest is None or result.highest is None:
        return scores
    return (scores - result.lowest) / (result.highest - result.lowest) if result.lowest < result.highest else scores
