"""Whether a policy that is scored again does what was published of it."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gembench.errors import GembenchError, UsageError
from gembench.experiment import make_policies
from gembench.intervals import Interval
from gembench.leaderboard.benchmark import Benchmark
from gembench.leaderboard.entries import policy_file_of
from gembench.leaderboard.entry import Published
from gembench.leaderboard.field import score_field
from gembench.leaderboard.result_file import Result
from gembench.leaderboard.scores import CellScore, PolicyScores
from gembench.leaderboard.scoring import score_file
from gembench.leaderboard.standing import make_standing
from gembench.load_race import LoadedRace

_UNDER_TEST = " the policy that is verified"
"""No policy is called that, so that the reference can be compared with itself."""

Agreement = Literal["same bits", "within interval", "differs"]


@dataclass(frozen=True)
class Verification:
    """A published result and what came out when its policy was scored again.

    Attributes:
        name: the policy.
        published: its number, the relative mean rank.
        again: the same of the new runs; None where there are none.
        interval: the published number's 95% interval.
        agreement: "same bits" where every run did the same; else, and only where the platform or a version is another
            one, "within interval" where the new number lies in the published interval; else "differs".
        difference: the first difference, or why there are no new runs; "" if all is the same.
    """

    name: str
    published: float
    again: float | None
    interval: Interval
    agreement: Agreement
    difference: str


def choose(published: Sequence[Published], names: Sequence[str]) -> tuple[Published, ...]:
    """The published policies of these names, or all where none is given.

    Raises:
        UsageError: nothing is published under a name.
    """
    by_name = {each.card.name: each for each in published}
    for name in names:
        if name not in by_name:
            near = difflib.get_close_matches(name, by_name, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(by_name)}."
            raise UsageError(f"no policy is published as '{name}'; {hint}")
    return tuple(by_name[name] for name in dict.fromkeys(names)) if names else tuple(published)


def score_again(
    benchmark: Benchmark,
    races: Sequence[LoadedRace],
    published: Sequence[Published],
    submissions: Path,
    *,
    seconds: float,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[Result | str, ...]:
    """The new results of published policies, or why there is none.

    Args:
        benchmark: what they are scored on.
        races: the benchmark's, as `open_races` gives them.
        published: whom to score.
        submissions: the folder that submissions were read from.
        seconds: the longest that the replay of a file may take.
        on_progress: told, from any thread, how many runs have just finished.
    """
    policies = make_policies([each.card.name for each in published if not each.is_submission] or [benchmark.reference])
    again: dict[str, Result | str] = {
        result.scores.name: result
        for result in score_field(benchmark, races, policies, (), seconds=seconds, on_progress=on_progress)
    }
    for each in published:
        if each.is_submission:
            file = policy_file_of(each, submissions)
            try:
                again[each.card.name] = score_file(
                    benchmark, races, file, each.card.name, seconds=seconds, on_progress=on_progress
                )
            except GembenchError as error:  # One that cannot be scored must not hide what becomes of the others.
                again[each.card.name] = str(error)
    return tuple(again[each.card.name] for each in published)


def verify_result(benchmark: Benchmark, published: Result, again: Result | str, reference: Result) -> Verification:
    """Compare a published result with a new one.

    Args:
        benchmark: the benchmark of all.
        published: the published result.
        again: the same policy's, made here, or why there is none.
        reference: the published result of the benchmark's reference, to which both are relative.
    """
    name = published.scores.name
    stated, interval = _number(benchmark, published.scores, reference.scores)
    if isinstance(again, str):
        return Verification(name, stated, None, interval, "differs", again)
    made, _ = _number(benchmark, again.scores, reference.scores)
    difference = _first_difference(published, again)
    is_elsewhere = (published.platform, published.versions) != (again.platform, again.versions)
    agreement: Agreement = "differs"
    if not difference:
        agreement = "same bits"
    elif is_elsewhere and interval[0] <= made <= interval[1]:
        agreement = "within interval"
    return Verification(name, stated, made, interval, agreement, difference)


def _number(benchmark: Benchmark, scores: PolicyScores, reference: PolicyScores) -> tuple[float, Interval]:
    """A policy's number and its interval, both relative to the published reference."""
    field = [replace(scores, name=_UNDER_TEST), reference]
    (entry,) = (entry for entry in make_standing(benchmark, field).entries if entry.name == _UNDER_TEST)
    return entry.rank.value, entry.rank.span


def _first_difference(published: Result, again: Result) -> str:
    if published.file_sha256 != again.file_sha256:
        return "its file"
    for before, after in zip(published.scores.cells, again.scores.cells, strict=True):
        where = f"{before.cell.tensor} at N = {before.cell.queries_per_model:g}"
        if before.cell != after.cell:
            return where
        for what, first, second in _measures(before, after):
            if not np.array_equal(first, second):
                run = int(np.flatnonzero(first != second)[0])
                return f"{what} in run {run} of {where}: {first[run]:g} published, {second[run]:g} now"
    return ""


def _measures(before: CellScore, after: CellScore) -> list[tuple[str, NDArray[Any], NDArray[Any]]]:
    measures = [
        (what, getattr(before, field), getattr(after, field))
        for what, field in (
            ("rank", "rank"),
            ("pulls", "pulls"),
            ("model loads", "model_loads"),
            ("accuracy", "accuracy"),
            ("seconds", "cost_seconds"),
        )
    ] + [(f"top-{k} recall", before.recall[k], after.recall[k]) for k in before.recall]
    if before.distinct_queries is not None and after.distinct_queries is not None:
        measures.append(("distinct queries", before.distinct_queries, after.distinct_queries))
    return measures
