"""What a gem card says, sentence by sentence: the same words for the page and for the Markdown, not escaped yet."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from gembench.gem_card.facts import Against, CardModel, Cost, GemCard, Margin, Verification
from gembench.gem_card.words import (
    NONE,
    chance,
    counted,
    duration,
    p_value,
    parameters,
    percent,
    percent_interval,
    points,
    points_interval,
    times,
)

_REVISION_SHOWN = 12
HIDDEN_GEM = (
    "A hidden gem is not among the top 1% by downloads, is among the top 1% by accuracy, and is strictly more accurate "
    "than every model of the top 1% by downloads."
)
_CALLED: Mapping[Against, str] = {"base": "Over its base", "most_downloaded": "Over the most downloaded"}
_NO_MARGIN: Mapping[Against, str] = {
    "base": "No margin: the base is not known, could not be asked, or is the winner itself.",
    "most_downloaded": "No margin: the downloads are not known, or the winner itself is the most downloaded.",
}
_SECONDS = {
    "recorded": "Times are those recorded with the answers.",
    "stated": "Times come from the tensor's stated cost model.",
    "assumed": "Times are assumed, not measured.",
    "given": "Times come from the costs given with the command.",
    "measured": "The search's time was measured; the time to ask every model every query is reckoned from it.",
}


@dataclass(frozen=True)
class Figure:
    """A number to be seen at once: what it is, the number, and what to know of it."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class CostLine:
    """One kind of cost: of this search, of asking every model every query, and the one beside the other."""

    label: str
    searched: str
    exhaustive: str
    ratio: str


@dataclass(frozen=True)
class Story:
    """All the sentences of a card.

    Attributes:
        found: what the search found.
        accuracy: what is said of a model's right answers.
        interval: what its interval is.
        outcome: how it ended.
        is_partial: whether it ended before its plan did, and not because it knew enough.
        certainty: how sure one can be, a sentence or more each.
        figures: the margin over the base, over the most downloaded, the chance of a hidden gem, the saving.
        verification: what came of the winner against the base on new queries.
        cost: a line a kind of cost.
        cost_note: where the seconds come from.
        winner: what is known of the winner, names and values.
        setting: how the search was run, names and values.
        engine: its settings, names and values.
        failures: how many models could not be measured; empty if all could.
        ungraded: what became of answers that could not be graded; empty if all could.
    """

    found: str
    accuracy: str
    interval: str
    outcome: str
    is_partial: bool
    certainty: tuple[str, ...]
    figures: tuple[Figure, ...]
    verification: str
    cost: tuple[CostLine, ...]
    cost_note: str
    winner: tuple[tuple[str, str], ...]
    setting: tuple[tuple[str, str], ...]
    engine: tuple[tuple[str, str], ...]
    failures: str
    ungraded: str


def tell(card: GemCard) -> Story:
    """The sentences of a card."""
    winner = card.ranking[0] if card.ranking else None
    margins = {margin.against: margin for margin in card.margins}
    return Story(
        found=_found(card, winner),
        accuracy="right of those asked" if _is_chosen(card) else "accuracy",
        interval="possible range" if _is_chosen(card) else f"{_confidence(card)} interval",
        outcome=_outcome(card),
        is_partial=card.ended not in ("plan", "stop_within"),
        certainty=_certainty(card),
        figures=(
            *(_margin(card, called, against, margins.get(against)) for against, called in _CALLED.items()),
            _gem(card),
            _saving(card.cost),
        ),
        verification=_verification(card.verification),
        cost=_cost(card.cost),
        cost_note=_SECONDS[card.cost.source],
        winner=_facts(winner),
        setting=_setting(card),
        engine=tuple((name, _setting_value(value)) for name, value in card.engine.items()),
        failures=_failures(len(card.failed)),
        ungraded=_ungraded(card.num_ungraded),
    )


def origin(model: CardModel) -> str:
    """Where a ranked model comes from, in a few words; empty if nothing is known."""
    known = [
        f"from {model.parent}" if model.parent else "",
        f"{parameters(model.num_parameters)} parameters" if model.num_parameters else "",
        f"revision {model.revision[:_REVISION_SHOWN]}" if model.revision else "",
    ]
    return " · ".join(filter(None, known))


def _found(card: GemCard, winner: CardModel | None) -> str:
    if winner is None:
        return f"None of {counted(card.num_models, 'model')} could be ranked."
    first = f"The search ranks {winner.model} first of {counted(card.num_models, 'model')} on {card.source}"
    if winner.accuracy is None:
        return f"{first}, though it has answered nothing yet."
    answered = f"it answered {percent(winner.accuracy)} of {counted(winner.num_asked, 'query')} right"
    over_all = f"Over all {counted(card.num_queries, 'query')} its accuracy"
    if _is_chosen(card):
        return (
            f"{first}: {answered}, which the policy chose. {over_all} can be {percent_interval(winner.interval)}, by "
            f"the answers that were not given."
        )
    return (
        f"{first}: {answered}. {over_all} is {percent_interval(winner.interval)}, with {_confidence(card)} confidence."
    )


def _outcome(card: GemCard) -> str:
    pulls = f"{card.cost.pulls:,} of {counted(card.budget, 'pull')}"
    return {
        "plan": f"The search carried out its whole plan, with {pulls}.",
        "budget": f"The budget was spent before the policy was done: {pulls}. The ranking is what was known then.",
        "stop_within": f"The search stopped early, after {pulls}: the best model was known to the margin asked for.",
        "seconds": f"The search stopped early, after {pulls}: its time was spent. The ranking is what was known then.",
        "interrupted": (
            f"The search was interrupted, after {pulls}. The ranking is what was known then; the same command goes on "
            f"from there."
        ),
    }[card.ended]


def _certainty(card: GemCard) -> tuple[str, ...]:
    if _is_chosen(card):
        return _what_is_possible(card)
    confidence = _confidence(card)
    if card.regret_bound is None:
        best = "How much more accurate another model may be is not known."
    elif card.regret_bound <= 0:
        best = f"No model that could be asked is more accurate, with {confidence} confidence."
    else:
        bound = points(card.regret_bound).removeprefix("+")
        best = f"No model that could be asked is better by more than {bound}, with {confidence} confidence."
    return (
        best,
        f"The intervals of accuracies hold with {confidence} confidence for all models at once, and at whatever moment "
        f"the search stopped. They tell of these {counted(card.num_queries, 'query')}, not of others.",
    )


def _what_is_possible(card: GemCard) -> tuple[str, ...]:
    bound = card.regret_bound
    if bound is None:
        best = "How much more accurate another model may be is not known."
    elif bound <= 0:
        best = "No model that could be asked is more accurate: that is certain."
    else:
        most = points(bound).removeprefix("+")
        best = f"No model that could be asked can be better by more than {most}, whatever the answers not given."
    sentences = [
        best,
        f"The policy chose the queries, and they are no random sample: what models answered to them is no estimate of "
        f"their accuracies, and no confidence can be stated. The ranges are what is possible over these "
        f"{counted(card.num_queries, 'query')}.",
    ]
    if card.verification is not None:
        sentences.append(
            f"The queries of the comparison with {card.verification.model} were drawn at random of those that neither "
            f"had answered, and its interval holds for all of these, with {_confidence(card)} confidence."
        )
    return tuple(sentences)


def _margin(card: GemCard, called: str, against: Against, margin: Margin | None) -> Figure:
    if margin is None:
        return Figure(called, NONE, _NO_MARGIN[against])
    common = (
        f"counted on the {counted(margin.num_common, 'query')} that both answered"
        if margin.num_common
        else "the difference of their means"
        if margin.difference is not None
        else "for the two have no query in common"
    )
    if _is_chosen(card):
        # No large figure: it would pass for an estimate.
        seen = common if margin.difference is None else f"{points(margin.difference)}, {common}"
        possible = f"{points_interval(margin.interval)} are possible over all queries"
        return Figure(called, NONE, f"against {margin.model}: {seen}; {possible}.")
    return Figure(
        called,
        NONE if margin.difference is None else points(margin.difference),
        f"against {margin.model}: {points_interval(margin.interval)}, {common}.",
    )


def _gem(card: GemCard) -> Figure:
    called = "Chance of a hidden gem"
    if card.gem_probability is None:
        return Figure(called, "unknown", f"Because {card.gem_unknown_because.removesuffix('.')}.")
    return Figure(called, chance(card.gem_probability), "Not popular, yet among the most accurate: defined below.")


def _saving(cost: Cost) -> Figure:
    time = "" if cost.seconds is None else f", {duration(cost.seconds)}"
    return Figure(
        "Queries against asking all",
        times(cost.pulls, cost.exhaustive_pulls),
        f"{cost.pulls:,} instead of {cost.exhaustive_pulls:,}{time}"
        + (f" instead of {duration(cost.exhaustive_seconds)}." if time and cost.exhaustive_seconds else "."),
    )


def _verification(verification: Verification | None) -> str:
    if verification is None:
        return ""
    verdict = "Confirmed" if verification.confirmed else "Not confirmed"
    return (
        f"{verdict}: on {counted(verification.num_queries, 'query')} that the search had not asked, the winner alone "
        f"was right on {verification.num_only_winner:,} and {verification.model} alone on "
        f"{verification.num_only_other:,}. The difference is {points(verification.difference)} "
        f"({points_interval(verification.interval)}); {p_value(verification.p_value)} in the exact one-sided sign test "
        f"that the winner is no better."
    )


def _cost(cost: Cost) -> tuple[CostLine, ...]:
    return (
        CostLine(
            "Queries answered",
            f"{cost.pulls:,}",
            f"{cost.exhaustive_pulls:,}",
            times(cost.pulls, cost.exhaustive_pulls),
        ),
        CostLine(
            "Models loaded",
            f"{cost.model_loads:,}",
            f"{cost.exhaustive_loads:,}",
            times(cost.model_loads, cost.exhaustive_loads),
        ),
        CostLine(
            "Time",
            duration(cost.seconds),
            duration(cost.exhaustive_seconds),
            times(cost.seconds, cost.exhaustive_seconds),
        ),
    )


def _facts(winner: CardModel | None) -> tuple[tuple[str, str], ...]:
    if winner is None:
        return ()
    return (
        ("Licence", winner.license or "not stated"),
        ("Downloads", "unknown" if winner.downloads is None else f"{winner.downloads:,}"),
        ("Made from", winner.parent or "unknown"),
        ("Base", winner.base or "unknown"),
        ("Parameters", parameters(winner.num_parameters) if winner.num_parameters else "unknown"),
        ("Revision", winner.revision or "none"),
    )


def _setting(card: GemCard) -> tuple[tuple[str, str], ...]:
    return (
        ("Source", card.source),
        ("Policy", card.policy),
        ("Sampling", card.sampling),
        ("Queries", card.queries),
        *((("History", ", ".join(card.history_tensors)),) if card.history_tensors else ()),
        *(("History's content digest", digest) for digest in card.history),
        *((("Prior", card.prior),) if card.prior is not None else ()),
        ("Queries per model", f"{card.queries_per_model:,g}"),
        ("Budget", counted(card.budget, "pull")),
        ("Seed and run", f"{card.seed}, run {card.run}"),
        ("Confidence", _confidence(card)),
        ("gembench", card.version),
        ("Ended at", card.created),
        ("Decision digest", card.decision_digest),
        ("Content digest", card.content_digest),
    )


def _failures(number: int) -> str:
    if not number:
        return ""
    return f"{counted(number, 'model')} could not be measured; what is said of all models leaves them out."


def _ungraded(number: int) -> str:
    if not number:
        return ""
    counts = "counts" if number == 1 else "count"
    return f"{counted(number, 'answer')} could not be graded, and {counts} neither as right nor as wrong."


def _setting_value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_chosen(card: GemCard) -> bool:
    return card.queries == "chosen"


def _confidence(card: GemCard) -> str:
    return f"{100 * card.confidence:g}%"
