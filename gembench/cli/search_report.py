"""What `gembench search` prints and writes at its end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from gembench.cli.outputs import write_output
from gembench.cli.plain_table import plain_table
from gembench.gem_card import to_html, to_json, to_markdown
from gembench.gem_card.words import counted, duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gembench.cli.search_card import Found
    from gembench.gem_card import GemCard, Margin

_RENDERINGS = {".html": to_html, ".md": to_markdown, ".json": to_json}
_ENDINGS = {
    "budget": "failures used up the budget before the policy was done",
    "stop_within": "ended early: no model can be better by more than the margin",
    "seconds": "ended by its seconds",
    "interrupted": "interrupted; the same command goes on from here",
}


def write_cards(found: Found, paths: Sequence[Path]) -> None:
    """Write the gem card to each of the paths, in the form that its suffix says."""
    for path in paths:
        write_output(path, _RENDERINGS[path.suffix.lower()](found.card))


def report_json(found: Found) -> str:
    """The result for programs."""
    card = found.card
    result = {
        "version": card.version,
        "recommended": list(found.ranking),
        "ended": card.ended,
        "pulls": card.cost.pulls,
        "new_cells": found.num_new_cells,
        "budget": card.budget,
        "stages": [
            {"num_models": stage.num_models, "num_queries": stage.num_queries, "repeats": stage.repeats}
            for stage in found.plan.stages
        ],
        "model_loads": card.cost.model_loads,
        "seconds": card.cost.seconds,
        "decision_digest": card.decision_digest,
        "failed": [
            {"model": failure.model, "status": failure.status, "message": failure.message} for failure in card.failed
        ],
        "store": found.store,
        "card": json.loads(to_json(card)),
    }
    return json.dumps(result, indent=1, allow_nan=False) + "\n"


def print_report(found: Found) -> None:
    """The result for people."""
    card = found.card
    console = Console(highlight=False, markup=False)
    ending = f" ({_ENDINGS[card.ended]})" if card.ended in _ENDINGS else ""
    table = plain_table()
    table.add_column("", justify="right")
    table.add_column("model", overflow="fold")
    is_chosen = card.queries == "chosen"
    accuracy_called, interval_called = ("right", "possible") if is_chosen else ("accuracy", "interval")
    for header in (accuracy_called, interval_called, "asked", "downloads"):
        table.add_column(header, justify="right", no_wrap=True)
    for rank, model in enumerate(card.ranking, start=1):
        accuracy = "–" if model.accuracy is None else f"{model.accuracy:.1%}"
        downloads = "–" if model.downloads is None else f"{model.downloads:,}"
        low, high = model.interval
        table.add_row(
            str(rank),
            Text(model.model),
            accuracy,
            f"{low * 100:.1f}–{high * 100:.1f}",
            f"{model.num_asked:,}",
            downloads,
        )
    title = f"Best of {card.num_models:,} models on {card.source}{ending}"
    console.print(Text(title, style="bold"), soft_wrap=True)
    console.print(table)
    if is_chosen:
        console.print(
            f"right: of the queries asked, which the policy chose; it is no estimate.\n"
            f"possible: over all {counted(card.num_queries, 'query')}, whatever the answers not given.\n"
        )
    else:
        console.print(f"{card.confidence:.0%} intervals, valid for all models at once and whenever the search ends.\n")
    if card.failed:
        failures = plain_table(title="Could not be measured")
        failures.add_column("model", overflow="fold", max_width=30)
        failures.add_column("status", no_wrap=True)
        failures.add_column("what to do")
        for failure in card.failed:
            failures.add_row(Text(failure.model), failure.status, Text(failure.message))
        console.print(failures, "")
    for line in _lines(found):
        console.print(Text(line), soft_wrap=True)


def _lines(found: Found) -> list[str]:
    card = found.card
    lines = [_margin(card, margin) for margin in card.margins]
    if card.regret_bound is not None and card.queries == "chosen":
        lines.append(
            f"No model that was measured can be better by more than {card.regret_bound * 100:.1f} points, whatever "
            f"the answers not given."
        )
    elif card.regret_bound is not None:
        lines.append(
            f"No model that was measured is better by more than {card.regret_bound * 100:.1f} points, with "
            f"{card.confidence:.0%} confidence."
        )
    if card.gem_probability is not None:
        lines.append(f"It is a hidden gem with a probability of {card.gem_probability:.0%}.")
    if card.verification is not None:
        verification = card.verification
        verdict = "confirmed" if verification.confirmed else "not confirmed"
        lines.append(
            f"Better than {verification.model} on {verification.num_queries:,} unseen queries: {verdict} "
            f"({verification.difference * 100:+.1f} points, p = {verification.p_value:.2g})."
        )
    lines.append(_cost(card))
    lines.append(f"{found.store}: {card.content_digest}")
    return lines


def _margin(card: GemCard, margin: Margin) -> str:
    what = {"base": "its base", "most_downloaded": "the most downloaded"}[margin.against]
    low, high = margin.interval
    if margin.difference is None:
        return f"It and {what}, {margin.model}, have no query in common."
    on = f", on {counted(margin.num_common, 'common query')}" if margin.num_common else ""
    possible = " possible" if card.queries == "chosen" else ""
    return (
        f"{margin.difference * 100:+.1f} points against {what}, {margin.model}{on} (over all queries "
        f"{low * 100:+.1f} to {high * 100:+.1f}{possible})."
    )


def _cost(card: GemCard) -> str:
    cost = card.cost
    seconds = f" and {duration(cost.seconds)}" if cost.seconds is not None else ""
    everything = f" and {duration(cost.exhaustive_seconds)}" if cost.exhaustive_seconds is not None else ""
    return (
        f"The search took {counted(cost.pulls, 'pull')}, {counted(cost.model_loads, 'load')}{seconds}; "
        f"asking everything takes {counted(cost.exhaustive_pulls, 'pull')}, "
        f"{counted(cost.exhaustive_loads, 'load')}{everything}."
    )
