"""What a gem card tells: the plain facts of one search, as they were at its end.

Accuracies and differences of accuracies are shares in [0, 1], intervals hold with the card's confidence. Where the
policy chose the queries, those of all queries are what is possible, whatever the answers that were not given. Any text
may come from a model card, the Hub or an error message: nothing here is trusted, and `rendering` escapes all of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Interval = tuple[float, float]
Against = Literal["base", "most_downloaded"]
Queries = Literal["drawn", "chosen"]
Ended = Literal["plan", "budget", "stop_within", "seconds", "interrupted"]


@dataclass(frozen=True)
class CardModel:
    """One model of the ranking.

    Attributes:
        model: its id.
        accuracy: the share of the queries asked that it answered right; None if it was asked none.
        interval: of its accuracy over all Q queries.
        num_asked: queries it answered.
        downloads: None where unknown.
        license: as the model card has it; empty where it has none.
        parent: the model it was made from; empty where unknown.
        base: the base of its tree; empty where unknown.
        num_parameters: None where unknown.
        revision: the commit; empty where there is none.
    """

    model: str
    accuracy: float | None
    interval: Interval
    num_asked: int
    downloads: int | None
    license: str
    parent: str
    base: str
    num_parameters: int | None
    revision: str


@dataclass(frozen=True)
class Margin:
    """How much more accurate the winner is than a model that one would have taken unasked.

    Attributes:
        against: why one would have taken it.
        model: its id.
        difference: the winner's accuracy minus this model's; None if one of them was asked nothing.
        interval: of the difference over all Q queries.
        num_common: queries that both answered, on which the difference is counted; 0 if it is that of their means.
    """

    against: Against
    model: str
    difference: float | None
    interval: Interval
    num_common: int


@dataclass(frozen=True)
class Verification:
    """The winner held against the base once more, pair by pair, on queries that the search did not ask.

    Attributes:
        model: the base.
        num_queries: queries that both answered.
        num_only_winner: of these, how many the winner alone answered right.
        num_only_other: how many the base alone answered right.
        difference: the winner's accuracy minus the base's, on these queries.
        interval: of the difference.
        p_value: of the exact one-sided sign test (McNemar's) that the winner is no better.
        confirmed: whether that was rejected.
    """

    model: str
    num_queries: int
    num_only_winner: int
    num_only_other: int
    difference: float
    interval: Interval
    p_value: float
    confirmed: bool


@dataclass(frozen=True)
class Cost:
    """What the search cost, and what it would have cost to ask every model every query.

    Attributes:
        pulls: queries answered.
        model_loads: models loaded.
        seconds: None where unknown.
        exhaustive_pulls: as `pulls`, had every model been asked every query.
        exhaustive_loads: as `model_loads`, so too.
        exhaustive_seconds: as `seconds`, so too.
        source: where the seconds come from.
    """

    pulls: int
    model_loads: int
    seconds: float | None
    exhaustive_pulls: int
    exhaustive_loads: int
    exhaustive_seconds: float | None
    source: Literal["recorded", "stated", "assumed", "given", "measured"]


@dataclass(frozen=True)
class Failed:
    """A model that could not be measured.

    Attributes:
        model: its id.
        status: why, in a word.
        message: why, in its own words.
    """

    model: str
    status: str
    message: str


@dataclass(frozen=True)
class GemCard:
    """One finished search.

    Attributes:
        version: of gembench.
        created: date and time, ISO 8601.
        source: the suite or the tensor.
        num_models: M.
        num_queries: Q.
        policy: by name, with its settings.
        sampling: shared or independent.
        queries: drawn, if what each model was asked are the first queries of a random order; else chosen.
        history_tensors: where answers of other models came from, which the policy knew beforehand.
        history: their content digests.
        prior: which numbers it knew of the models; None for none.
        queries_per_model: N.
        budget: B, pulls.
        seed: of the query order and of the policy.
        run: which run of that seed.
        ended: why the search ended.
        confidence: of all intervals together, at any stopping time, such as 0.95; where the queries were chosen, of the
            verification alone.
        regret_bound: no model is more accurate than the winner by more than this, with that confidence, or for certain
            where the queries were chosen; None where nothing is known of the winner.
        ranking: the first k models, best first.
        margins: over the base and over the most downloaded model, where those are known.
        gem_probability: that the winner is a hidden gem; None where unknown.
        gem_unknown_because: why it is unknown; else empty.
        verification: None where none was asked for.
        cost: of the search.
        failed: models that could not be measured.
        num_ungraded: answers that could not be graded.
        engine: what the answers depend on beside the models, plain JSON data.
        command: the exact command, in one line.
        decision_digest: sha256 over every ask, in order.
        content_digest: of the tensor.
    """

    version: str
    created: str
    source: str
    num_models: int
    num_queries: int
    policy: str
    sampling: str
    queries: Queries
    history_tensors: tuple[str, ...]
    history: tuple[str, ...]
    prior: str | None
    queries_per_model: float
    budget: int
    seed: int
    run: int
    ended: Ended
    confidence: float
    regret_bound: float | None
    ranking: tuple[CardModel, ...]
    margins: tuple[Margin, ...]
    gem_probability: float | None
    gem_unknown_because: str
    verification: Verification | None
    cost: Cost
    failed: tuple[Failed, ...]
    num_ungraded: int
    engine: Mapping[str, Any]
    command: str
    decision_digest: str
    content_digest: str
