"""Tuning: trials on the races for training, the best few on those for validation, and the winner tested once."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

from gembench.program import forget_programs
from gembench.tuning.question import Plan
from gembench.tuning.ratios import Ratio, ratio
from gembench.tuning.report import Candidate, Choice, TestResult, Tuning, choice_from, to_jsonable, tuning_from
from gembench.tuning.splits import PARTS, Part
from gembench.tuning.study import Study, Trial

NUM_CANDIDATES = 5
"""So many of the best trials come to the validation."""
_CHOICE, _TUNING = "choice", "tuning"


class Watcher(Protocol):
    """Whoever is told how a tuning goes."""

    def tried(self, trial: Trial, best: Trial) -> None:
        """A trial has finished; `best` is the best so far."""
        ...

    def begins(self, part: str, policy: str) -> None:
        """A policy is about to be measured on all races of a part."""
        ...


@dataclass(frozen=True)
class Limits:
    """When the trials end.

    Attributes:
        num_trials: how many are made in all, those of earlier commands included.
        seconds: after so many no further trial begins; None for no such limit. One is always made.
    """

    num_trials: int
    seconds: float | None = None


def tune(plan: Plan, study: Study, limits: Limits, watch: Watcher) -> tuple[Tuning, bool]:
    """Tune a policy, or go on with it.

    The races for testing are used once for each study: which policy is tested is kept before it is tested, and then no
    further trial is made.

    Returns:
        What was found, and whether it was so already before.

    Raises:
        GembenchError: a policy broke the contract, or the study's file cannot be written.
    """
    if (kept := study.kept(_TUNING)) is not None:
        return tuning_from(kept), True
    if (chosen := study.kept(_CHOICE)) is not None:
        choice = choice_from(chosen)
    else:
        _run_trials(plan, study, limits, watch)
        choice = _choose(plan, study.trials, watch)
        study.keep(_CHOICE, to_jsonable(choice))
    splits = plan.splits
    tuning = Tuning(
        version=version("gembench"),
        question=plan.asked,
        races={name: tuple(race.tensor for race in part.races) for name, part in splits.parts.items()},
        num_test_models=len(splits.test.models),
        num_shared_models=splits.num_shared_models,
        are_drawn=splits.are_drawn,
        choice=choice,
        test=_test(plan, choice.winner, watch),
    )
    study.keep(_TUNING, to_jsonable(tuning))
    return tuning, False


def best_of(trials: Iterable[Trial]) -> list[Trial]:
    """Those that were measured on all races, each policy once, the best first."""
    complete = {trial.policy: trial for trial in reversed(list(trials)) if not trial.is_stopped}
    return sorted(complete.values(), key=lambda trial: (trial.ratio, trial.number))


def _run_trials(plan: Plan, study: Study, limits: Limits, watch: Watcher) -> None:
    training, yardstick = plan.splits.training, plan.yardstick

    def measure(policy: str, race: int) -> float:
        return yardstick.log_ratio(policy, training.races[race], training.seed)

    started = time.monotonic()
    while (num_done := len(study.trials)) < limits.num_trials:
        if num_done and limits.seconds is not None and time.monotonic() - started >= limits.seconds:
            break
        trial = study.run_trial(measure, len(training.races))
        forget_programs()  # Few settings come again.
        watch.tried(trial, best_of(study.trials)[0])


def _choose(plan: Plan, trials: tuple[Trial, ...], watch: Watcher) -> Choice:
    """The best in validation; of equals the default, which needs no reason."""
    policies = dict.fromkeys([plan.default, *(trial.policy for trial in best_of(trials)[:NUM_CANDIDATES])])
    candidates = []
    for policy in policies:
        watch.begins("validation", policy)
        of_train, of_validation = (_against_reference(plan, policy, plan.splits.parts[name]) for name in PARTS[:2])
        candidates.append(Candidate(policy, of_train, of_validation))
    candidates.sort(key=lambda candidate: candidate.validation.value)
    return Choice(candidates[0].policy, tuple(candidates), trials)


def _against_reference(plan: Plan, policy: str, part: Part) -> Ratio:
    ranks, others = plan.yardstick.ranks(policy, part), plan.yardstick.ranks(plan.yardstick.reference, part)
    return ratio(ranks, others, are_drawn=plan.splits.are_drawn)


def _test(plan: Plan, winner: str, watch: Watcher) -> tuple[TestResult, ...]:
    yardstick, ranks = plan.yardstick, {}
    for policy in dict.fromkeys([winner, plan.default, yardstick.reference]):
        watch.begins("test", policy)
        ranks[policy] = yardstick.ranks(policy, plan.splits.test)

    def result(num_each: float | None, which: slice) -> TestResult:
        def between(policy: str, other: str) -> Ratio:
            return ratio(ranks[policy][:, which], ranks[other][:, which], are_drawn=plan.splits.are_drawn)

        reference, default = yardstick.reference, plan.default
        return TestResult(num_each, between(winner, reference), between(default, reference), between(winner, default))

    several = yardstick.queries_per_model if len(yardstick.queries_per_model) > 1 else ()
    of_each = (result(num_each, slice(place, place + 1)) for place, num_each in enumerate(several))
    return result(None, slice(None)), *of_each
