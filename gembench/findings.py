"""What the answers of a search say: how good its models are, how sure that is, and by how much the winner leads.

Every interval holds at any stopping time, and all those of a statement at once. Where the policy chose the queries, no
confidence can be stated: functions that are given None for it say what is possible (see `gembench.possible`). Shapes: M
models, Q queries.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from gembench.confidence import accuracy_intervals, simultaneous_accuracy_intervals
from gembench.gem_card import CardModel, Margin, Verification
from gembench.gem_card.facts import Against
from gembench.gems import gem_probability
from gembench.paired_difference import difference_interval
from gembench.possible import possible_accuracies, possible_lead, possible_regret
from gembench.pulls import NOT_ASKED, Answer, Pulls
from gembench.regret_bound import PairedCounts, is_regret_within, regret_bound


def tallies(answers: NDArray[np.int8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many graded answers each model has given, and how many were right, [M] both."""
    return (answers >= 0).sum(axis=1), (answers == 1).sum(axis=1)


def bound_on_regret(
    answers: NDArray[np.int8], models: Sequence[int], *, shares_queries: bool, confidence: float | None
) -> float:
    """By how much the best of some `models` can be more accurate than the first of them, in [0, 1].

    Args:
        answers: [M, Q] as `Search.answers`.
        models: those that did not fail, the recommended one first.
        shares_queries: whether they meet the queries in one order, so that they can be compared pair by pair.
        confidence: of the bound; None where queries were chosen.
    """
    of_models = answers[list(models)]
    if confidence is None:
        return possible_regret(of_models)
    num_asked, num_correct = tallies(of_models)
    paired = _against_first(of_models) if shares_queries else None
    return regret_bound(0, num_asked, num_correct, of_models.shape[1], confidence=confidence, paired=paired)


def is_best_within(
    margin: float, answers: NDArray[np.int8], models: Sequence[int], *, shares_queries: bool, confidence: float
) -> bool:
    """Whether `bound_on_regret` is at most the margin; quicker."""
    of_models = answers[list(models)]
    num_asked, num_correct = tallies(of_models)
    paired = _against_first(of_models) if shares_queries else None
    return is_regret_within(margin, 0, num_asked, num_correct, of_models.shape[1], confidence=confidence, paired=paired)


def card_models(
    answers: NDArray[np.int8],
    models: Sequence[int],
    names: Sequence[str],
    facts: Sequence[Mapping[str, Any]],
    *,
    num_shown: int,
    confidence: float | None,
) -> tuple[CardModel, ...]:
    """The first of the ranked `models`, each with an interval; those of all ranked models hold at once."""
    num_asked, num_correct = tallies(answers[list(models)])
    intervals = (
        possible_accuracies(answers[list(models)])
        if confidence is None
        else simultaneous_accuracy_intervals(num_asked, num_correct, answers.shape[1], confidence=confidence)
    )
    return tuple(
        CardModel(
            model=names[model],
            accuracy=float(num_correct[place] / num_asked[place]) if num_asked[place] else None,
            interval=(float(intervals[place, 0]), float(intervals[place, 1])),
            num_asked=int(num_asked[place]),
            downloads=facts[model].get("downloads"),
            license=facts[model].get("license") or "",
            parent=facts[model].get("parent") or "",
            base=facts[model].get("base") or "",
            num_parameters=facts[model].get("num_parameters"),
            revision=facts[model].get("revision") or "",
        )
        for place, model in enumerate(models[:num_shown])
    )


def find_base(
    winner: int, models: Sequence[int], names: Sequence[str], facts: Sequence[Mapping[str, Any]], wanted: str | None
) -> int | None:
    """What a winner is held against: the model that the user names, else its base, else the base of most models.

    None where it is not among the ranked `models`.
    """
    # Of several revisions the one that is named, else the best.
    number = {_without_revision(names[model]): model for model in reversed(models)}
    number |= {names[model]: model for model in models}
    if wanted is not None:
        return number.get(wanted, number.get(_without_revision(wanted)))
    bases = [facts[winner].get("base"), facts[winner].get("parent"), *_most_common(facts, models)]
    candidates = [number.get(base, number.get(_without_revision(base))) for base in bases if base]
    known = [model for model in candidates if model is not None]
    return next((base for base in known if base != winner), known[0] if known else None)


def is_among(wanted: str, names: Iterable[str]) -> bool:
    """Whether a model that the user names, with or without its revision, is one of them."""
    return _without_revision(wanted) in map(_without_revision, names)


def most_downloaded(models: Sequence[int], facts: Sequence[Mapping[str, Any]]) -> int | None:
    """The most downloaded of some models; None where nothing is known of downloads."""
    known = {model: facts[model]["downloads"] for model in models if facts[model].get("downloads")}
    return max(known, key=lambda model: known[model]) if known else None


def margin(
    against: Against,
    winner: int,
    other: int,
    name: str,
    answers: NDArray[np.int8],
    *,
    shares_queries: bool,
    confidence: float | None,
) -> Margin:
    """The winner's lead, and an interval of it over all queries, which holds whichever of the M models won.

    Where the models meet the queries in one order, it is counted on those that both answered. Where each has its own,
    the common queries are no random draw, and it is the difference of the means.
    """
    if confidence is None:
        common, only_winner, only_other = _compared(answers[winner], answers[other])
        difference = (only_winner - only_other) / common if common else None
        return Margin(against, name, difference, possible_lead(answers[winner], answers[other]), common)
    error = (1 - confidence) / len(answers)
    num_queries = answers.shape[1]
    if shares_queries:
        common, only_winner, only_other = _compared(answers[winner], answers[other])
        low, high = difference_interval(common, only_winner, only_other, num_queries, error=error)
        difference = (only_winner - only_other) / common if common else None
        return Margin(against, name, difference, (float(low), float(high)), common)
    num_asked, num_correct = tallies(answers[[winner, other]])
    (low, high), (low_other, high_other) = accuracy_intervals(num_asked, num_correct, num_queries, error=error / 2)
    means = num_correct / np.maximum(num_asked, 1)
    difference = float(means[0] - means[1]) if num_asked.all() else None
    return Margin(against, name, difference, (float(low - high_other), float(high - low_other)), 0)


def chance_of_a_gem(
    answers: NDArray[np.int8], models: Sequence[int], facts: Sequence[Mapping[str, Any]]
) -> tuple[float | None, str]:
    """How probable it is that the first of the ranked `models` is a hidden gem, or why that is unknown."""
    downloads = np.array(
        [np.nan if facts[model].get("downloads") is None else facts[model]["downloads"] for model in models]
    )
    num_unknown = int(np.isnan(downloads).sum())
    if num_unknown:
        return None, f"the downloads of {num_unknown:,} of {len(models):,} models are not known"
    if not downloads.any():
        return None, "none of the models was ever downloaded"
    num_asked, num_correct = tallies(answers[list(models)])
    return gem_probability(num_asked, num_correct, answers.shape[1], downloads, 0), ""


def verify(
    answer: Answer,
    answers: NDArray[np.int8],
    order: NDArray[np.int32],
    winner: int,
    base: int,
    base_name: str,
    num_queries: int,
    *,
    confidence: float,
) -> Verification | None:
    """Let two models answer the next queries that neither has seen, and compare them pair by pair.

    The interval is that of the winner's lead over all the queries that neither had seen: it was chosen by the others.
    The test is the exact sign test on the queries that one of them got right and the other wrong (McNemar's).

    Args:
        answer: where answers come from.
        answers: [M, Q] of the search, to which the new ones are added.
        order: [Q] the order in which queries are taken.
        winner: the model that is to be better.
        base: the other.
        base_name: its id.
        num_queries: how many, if so many are left.
        confidence: of the interval, and of the verdict.

    Returns:
        None if no query is left, or one of the two failed.
    """
    unseen = (answers[winner] == NOT_ASKED) & (answers[base] == NOT_ASKED)
    num_unseen = int(unseen.sum())
    fresh = order[unseen[order]][:num_queries]
    if not len(fresh):
        return None
    replies = answer([Pulls(winner, fresh), Pulls(base, fresh)])
    for model in (winner, base):
        answers[model, fresh] = replies[model].correct
        if replies[model].has_failed:
            return None
    common, only_winner, only_base = _compared(answers[winner, fresh], answers[base, fresh])
    if not common:
        return None
    low, high = difference_interval(common, only_winner, only_base, num_unseen, error=1 - confidence)
    num_unequal = only_winner + only_base
    p_value = float(binomtest(only_winner, num_unequal, alternative="greater").pvalue) if num_unequal else 1.0
    return Verification(
        model=base_name,
        num_queries=common,
        num_only_winner=only_winner,
        num_only_other=only_base,
        difference=(only_winner - only_base) / common,
        interval=(float(low), float(high)),
        p_value=p_value,
        confirmed=p_value <= 1 - confidence,
    )


def _compared(first: NDArray[np.int8], second: NDArray[np.int8]) -> tuple[int, int, int]:
    """Queries that both answered, that only the first got right, and that only the second did."""
    both = (first >= 0) & (second >= 0)
    return int(both.sum()), int((both & (first > second)).sum()), int((both & (first < second)).sum())


def _against_first(answers: NDArray[np.int8]) -> PairedCounts:
    """Of each model and the first, on the queries that both answered."""
    both = (answers >= 0) & (answers[0] >= 0)
    only_other, only_first = both & (answers > answers[0]), both & (answers < answers[0])
    return PairedCounts(both.sum(axis=1), only_other.sum(axis=1), only_first.sum(axis=1))


def _most_common(facts: Sequence[Mapping[str, Any]], models: Sequence[int]) -> list[str]:
    bases = [_without_revision(str(facts[model]["base"])) for model in models if facts[model].get("base")]
    return sorted(set(bases), key=lambda base: (-bases.count(base), base))


def _without_revision(name: str) -> str:
    return name.partition("@")[0]
