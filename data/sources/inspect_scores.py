"""What Inspect's scores say: which scorer counts, what its values are worth, and what became of a sample."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from gembench.data.outcomes import Outcome
from gembench.data.sources.inspect_archive import Json
from gembench.data.sources.scores import is_score
from gembench.errors import SourceError

LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
MEANS = ("accuracy", "mean")
"""Metrics of Inspect that are the mean of the samples' scores."""


class ScoreName(NamedTuple):
    """Where in a sample's `scores` the score is: of which scorer, and under which key where its value has several."""

    scorer: str
    key: str | None = None

    def __str__(self) -> str:
        return self.scorer if self.key is None else f"{self.scorer}/{self.key}"


class Epoch(NamedTuple):
    """What became of a sample in one epoch.

    Attributes:
        outcome: what.
        score: NaN where there is none.
        was_dropped: whether Inspect has a score of it that does not count here.
    """

    outcome: Outcome
    score: float
    was_dropped: bool = False


def choose_score(header: Json, samples: Iterable[Json], metric: str | None, file: str) -> ScoreName | None:
    """The score that a person asks for; else the run's headline, or the first that it reports or has.

    Raises:
        SourceError: no sample has the score that is asked for.
    """
    known = list(dict.fromkeys(name for sample in samples for name in _names(sample)))
    if metric is not None:
        chosen = [name for name in known if metric in (str(name), name.key)]
        if known and not chosen:
            raise SourceError(f"{file}: no score {metric!r}; choose one of {', '.join(map(str, known))[:300]}.")
        return chosen[0] if chosen else None
    for scorer, name in _reported_names(header):
        for one in known:
            if one in (ScoreName(name), ScoreName(scorer, name)):
                return one
    return known[0] if known else None


def _names(sample: Json) -> list[ScoreName]:
    names = []
    for scorer, score in scores_of(sample).items():
        value = score.get("value")
        names += [ScoreName(scorer, str(key)) for key in value] if isinstance(value, dict) else [ScoreName(scorer)]
    return names


def scores_of(sample: Json) -> dict[str, Json]:
    """A sample's scores by scorer; logs of the first versions have one, without a name."""
    scores = sample.get("scores")
    if not isinstance(scores, dict):
        scores = {"score": sample.get("score")}
    return {name: score for name, score in scores.items() if isinstance(score, dict)}


def _reported_names(header: Json) -> list[tuple[str, str]]:
    """Scorer and name of each score of the results, the headline first."""
    results = header.get("results")
    if not isinstance(results, dict):
        return []
    headline = results.get("headline")
    stated = [
        (score.get("scorer"), score.get("score", score.get("name")))
        for score in [headline, *eval_scores(header)]
        if isinstance(score, dict)
    ]
    return [(str(scorer), str(name)) for scorer, name in stated]


def eval_scores(header: Json) -> list[Json]:
    """The scores that the results report."""
    results = header.get("results")
    scores = results.get("scores") if isinstance(results, dict) else None
    return [score for score in scores if isinstance(score, dict)] if isinstance(scores, list) else []


def reported_mean(header: Json, name: ScoreName) -> float | None:
    """The mean score of all samples by the results.

    None where no mean is reported, or one of scores that were not averaged over epochs.
    """
    for score in eval_scores(header):
        named = score.get("name") if name.key is None else (score.get("scorer"), score.get("name"))
        if named != (name.scorer if name.key is None else tuple(name)) or score.get("reducer") not in (None, "mean"):
            continue
        metrics = score.get("metrics")
        for metric in [metrics.get(mean) for mean in MEANS] if isinstance(metrics, dict) else []:
            value = metric.get("value") if isinstance(metric, dict) else None
            if isinstance(value, int | float) and is_score(value):
                return float(value)
    return None


def read_epoch(sample: Json, name: ScoreName | None) -> Epoch:
    """What became of a sample.

    Raises:
        ValueError: its score is a value that is none in [0, 1].
    """
    value = _value(sample, name)
    is_scored = value is not None and value == value
    if sample.get("error") is not None:
        return Epoch(Outcome.FAILED, math.nan, is_scored)
    if sample.get("invalidation"):
        return Epoch(Outcome.UNGRADED, math.nan, is_scored)
    score = value_of(value)
    if math.isnan(score):
        return Epoch(Outcome.UNGRADED, score, is_scored)
    return Epoch(Outcome.TRUNCATED if sample.get("limit") is not None else Outcome.ANSWERED, score)


def _value(sample: Json, name: ScoreName | None) -> Any:
    score = scores_of(sample).get(name.scorer) if name is not None else None
    if score is None or name is None:
        return None
    value = score.get("value")
    return value.get(name.key) if name.key is not None and isinstance(value, dict) else value


def value_of(value: object) -> float:
    """The worth of a score's value as Inspect's accuracy has it; NaN for none.

    A text that says no number is none: Inspect warns of it and counts it as wrong.

    Raises:
        ValueError: it is a number that is none in [0, 1], or several values.
    """
    if isinstance(value, str):
        number = LETTERS.get(value, WORDS.get(value.lower()))
        if number is not None:
            return number
        try:
            value = float(value[:40])
        except ValueError:
            return math.nan
    if value is None or value != value:
        return math.nan
    if isinstance(value, int | float) and is_score(value):
        return min(1.0, max(0.0, float(value)))
    raise ValueError(f"{str(value)[:40]!r}, which is no score in [0, 1]")


def combine(epochs: Sequence[Epoch]) -> tuple[Epoch, int]:
    """What became of a sample over all epochs with its mean score, and how many epochs that is of.

    Answers count before what a limit cut short, that before what has no score, and that before failures.
    """
    was_dropped = any(epoch.was_dropped for epoch in epochs)
    for outcome in (Outcome.ANSWERED, Outcome.TRUNCATED, Outcome.UNGRADED):
        scores = [epoch.score for epoch in epochs if epoch.outcome == outcome]
        if scores:
            has_other = any(epoch.outcome == Outcome.TRUNCATED != outcome for epoch in epochs)
            return Epoch(outcome, math.fsum(scores) / len(scores), was_dropped or has_other), len(scores)
    return Epoch(Outcome.FAILED, math.nan, was_dropped), len(epochs)
