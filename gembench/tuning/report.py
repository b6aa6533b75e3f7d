"""What a tuning found, as JSON too: it is kept with the trials, so that the test is used once."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gembench.tuning.ratios import Ratio
from gembench.tuning.study import Trial


@dataclass(frozen=True)
class Candidate:
    """A policy that the validation decided on.

    Attributes:
        policy: its canonical text.
        training: its mean rank relative to the reference's, on the races for training.
        validation: the same, on the races for validation.
    """

    policy: str
    training: Ratio
    validation: Ratio


@dataclass(frozen=True)
class TestResult:
    """What the test says, of one number of queries per model or of all together.

    Attributes:
        queries_per_model: N; None for all.
        winner: the winner's mean rank relative to the reference's.
        default: that of the policy before it was tuned.
        change: the winner's relative to the default's.
    """

    queries_per_model: float | None
    winner: Ratio
    default: Ratio
    change: Ratio


@dataclass(frozen=True)
class Choice:
    """What was chosen before the test.

    Attributes:
        winner: the policy that is to be tested: the best of the candidates in the validation.
        candidates: the best in training, and the policy before it was tuned, best first in validation.
        trials: all trials that led there.
    """

    winner: str
    candidates: tuple[Candidate, ...]
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Tuning:
    """The whole.

    Attributes:
        version: of gembench.
        question: what was asked: all that a rerun needs.
        races: the names of the races, by part.
        num_test_models: distinct models in the test's races.
        num_shared_models: how many of these also race in training or validation.
        are_drawn: whether intervals speak of other races of this kind, or of other runs on these.
        choice: what was chosen.
        test: all Ns together, then, where there are several, each.
    """

    version: str
    question: Mapping[str, Any]
    races: Mapping[str, tuple[str, ...]]
    num_test_models: int
    num_shared_models: int
    are_drawn: bool
    choice: Choice
    test: tuple[TestResult, ...]

    @property
    def is_changed(self) -> bool:
        """Whether the winner is another policy than the one before the tuning."""
        return bool(self.choice.winner != self.question["policy"])

    @property
    def is_better(self) -> bool:
        """Whether the winner is better than the default for certain: over all Ns, at 95%."""
        interval = self.test[0].change.interval
        return interval is not None and interval[1] < 1

    @property
    def is_worse(self) -> bool:
        """Whether it is worse for certain."""
        interval = self.test[0].change.interval
        return interval is not None and interval[0] > 1


def to_jsonable(value: Choice | Tuning) -> dict[str, Any]:
    """As JSON has it."""
    jsonable: dict[str, Any] = json.loads(json.dumps(asdict(value), allow_nan=False))
    return jsonable


def choice_from(value: Mapping[str, Any]) -> Choice:
    """What `to_jsonable` made of a choice."""
    return Choice(
        winner=value["winner"],
        candidates=tuple(
            Candidate(each["policy"], _ratio(each["training"]), _ratio(each["validation"]))
            for each in value["candidates"]
        ),
        trials=tuple(Trial(**{**each, "log_ratios": tuple(each["log_ratios"])}) for each in value["trials"]),
    )


def tuning_from(value: Mapping[str, Any]) -> Tuning:
    """What `to_jsonable` made of a tuning."""
    return Tuning(
        version=value["version"],
        question=value["question"],
        races={part: tuple(names) for part, names in value["races"].items()},
        num_test_models=value["num_test_models"],
        num_shared_models=value["num_shared_models"],
        are_drawn=value["are_drawn"],
        choice=choice_from(value["choice"]),
        test=tuple(
            TestResult(each["queries_per_model"], *(_ratio(each[name]) for name in ("winner", "default", "change")))
            for each in value["test"]
        ),
    )


def _ratio(value: Mapping[str, Any]) -> Ratio:
    interval = value["interval"]
    return Ratio(value["value"], None if interval is None else (interval[0], interval[1]), value["worst"])
