"""The options of a search itself: the policy, its budget, when it ends, and what is held against what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

from gembench.cli.option_groups import add_options
from gembench.cli.options import QueriesPerModel, history_option, prior_option, sampling_option

if TYPE_CHECKING:
    from gembench.cli.search_setup import Beforehand, Rates

DEFAULT_QUERIES_PER_MODEL = 50


@dataclass(frozen=True)
class SearchChoice:
    """What the options said."""

    policy: str
    queries_per_model: float | None
    budget_seconds: float | None
    seconds_per_load: float | None
    seconds_per_query: float | None
    sampling: Literal["auto", "shared", "independent"]
    seed: int
    run: int
    stop_within: float | None
    confidence: float
    top_k: int
    verify: int | None
    base: str | None
    histories: tuple[str, ...]
    prior: str | None

    def beforehand(self) -> Beforehand:
        """Where what is known before the search comes from."""
        from gembench.cli.search_setup import Beforehand

        return Beforehand(self.histories, self.prior)

    def decisive(self) -> dict[str, Any]:
        """What the decisions depend on, beside the models, what is known of them and their answers, as plain data."""
        names = (
            "policy",
            "queries_per_model",
            "budget_seconds",
            "seconds_per_load",
            "seconds_per_query",
            "sampling",
            "seed",
            "run",
            "stop_within",
            "confidence",
        )
        return {name: getattr(self, name) for name in names}

    def given_rates(self) -> Rates | None:
        """What the user says of costs.

        Raises:
            UsageError: only one of the two was given.
        """
        from gembench.cli.search_setup import Rates

        if self.seconds_per_load is None and self.seconds_per_query is None:
            return None
        if self.seconds_per_load is None or self.seconds_per_query is None:
            raise click.UsageError("give both --seconds-per-load and --seconds-per-query, or neither.")
        return Rates(self.seconds_per_load, self.seconds_per_query, "given")


search_options = add_options(
    (
        click.option(
            "--policy",
            "-p",
            default="accelerated_sequential_halving",
            show_default=True,
            metavar="NAME[:KEY=VALUE,…]",
            help="Decides who is asked next; some policies choose the queries, too.",
        ),
        click.option(
            "--queries-per-model",
            "-n",
            type=QueriesPerModel(),
            help=f"Budget: N pulls for each model on average. [default: {DEFAULT_QUERIES_PER_MODEL}]",
        ),
        click.option(
            "--budget-seconds",
            type=click.FloatRange(0, min_open=True),
            metavar="S",
            help="Budget: seconds of loading and answering over all workers; in place of -n, or beside it.",
        ),
        click.option(
            "--seconds-per-load", type=click.FloatRange(0), metavar="S", help="What a load takes. [default: a guess]"
        ),
        click.option(
            "--seconds-per-query",
            type=click.FloatRange(0),
            metavar="S",
            help="What an answer takes. [default: a guess]",
        ),
        sampling_option,
        click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="As simulate's."),
        click.option(
            "--run",
            type=click.IntRange(0, 2**32 - 1),
            default=0,
            show_default=True,
            help="Which of simulate's runs this is.",
        ),
        click.option(
            "--stop-within",
            type=click.FloatRange(0, 1, max_open=True),
            metavar="MARGIN",
            help="End once no model can be better by more than this accuracy, as 0.01; for queries drawn at random.",
        ),
        click.option(
            "--confidence",
            type=click.FloatRange(0.5, 1, max_open=True),
            default=0.95,
            show_default=True,
            help="Of --stop-within and of all intervals.",
        ),
        click.option(
            "--top-k",
            "-k",
            type=click.IntRange(min=1),
            default=5,
            show_default=True,
            help="How many models to recommend.",
        ),
        click.option(
            "--verify",
            type=click.IntRange(min=1),
            metavar="N",
            help="At the end, let the winner and its base answer N more queries, the same for both.",
        ),
        click.option(
            "--base", metavar="MODEL", help="What the winner is held against. [default: its base, if it is there]"
        ),
        history_option,
        prior_option,
    )
)
"""Adds the options of `SearchChoice`."""
