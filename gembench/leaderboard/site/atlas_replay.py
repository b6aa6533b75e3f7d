"""One search as an atlas replays it: who was asked in each stage, and who was asked for the last time when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gembench.errors import UsageError

if TYPE_CHECKING:
    from gembench.load_race import LoadedRace
    from gembench.pulls import Pulls
    from gembench.query_policy import AnyPolicy

MOST_ASKS = 64
"""Whoever asks more often, as a policy that pulls one model at a time, has no stages that an eye can follow."""


@dataclass(frozen=True)
class ReplayStage:
    """One ask of the replayed search.

    Attributes:
        num_left: models that answer in this stage or a later one.
        num_asked: models that answer in this one.
        num_queries: the fewest and the most queries that one of them answers.
        pulls: pulls paid for up to the end of the stage.
    """

    num_left: int
    num_asked: int
    num_queries: tuple[int, int]
    pulls: int


@dataclass(frozen=True)
class Replay:
    """One run of a policy, as `simulate` makes it.

    Attributes:
        policy: what the leaderboard calls it.
        queries_per_model: N.
        budget: B, pulls.
        seed: of the runs.
        run: which of them this is.
        stages: the asks in their order, but those in which nobody got a query.
        num_asked: of each of the M models, the queries that it answered.
        num_right: of each, how many of them it answered right.
        last_stage: of each, the last stage in which it answered, from 1 up; 0 if it was never asked.
        recommended: the row of the model that the policy recommends.
        pulls: pulls paid for.
        decision_digest: sha256 over every ask, in order.
    """

    policy: str
    queries_per_model: float
    budget: int
    seed: int
    run: int
    stages: tuple[ReplayStage, ...]
    num_asked: tuple[int, ...]
    num_right: tuple[int, ...]
    last_stage: tuple[int, ...]
    recommended: int
    pulls: int
    decision_digest: str


def replay_search(
    loaded: LoadedRace, policy: AnyPolicy, policy_name: str, queries_per_model: float, seed: int
) -> Replay:
    """Run 0 of a policy on a race.

    Raises:
        UsageError: the policy asks more than 64 times, or cannot spend the budget.
        ContractError: the policy asked for what the contract forbids.
    """
    from gembench.evaluate.replay import replayed
    from gembench.search import Search

    asks: list[Sequence[Pulls]] = []

    def note(stage: int, repeat: int, wanted: Sequence[Pulls]) -> None:
        if wanted:
            asks.append(wanted)

    search = Search(
        policy,
        loaded.num_models,
        loaded.num_queries,
        loaded.budget(queries_per_model),
        lambda wanted: replayed(loaded.race.correct, wanted),
        seed=seed,
        run=0,
        on_ask=note,
    )
    num_asks = sum(stage.repeats for stage in search.plan)
    if num_asks > MOST_ASKS:
        raise UsageError(
            f"{policy_name} asks up to {num_asks:,} times, and an atlas shows a search of at most {MOST_ASKS} stages; "
            f"choose a policy that asks many models at once, such as accelerated_sequential_halving."
        )
    search.run()
    last_stage = np.zeros(loaded.num_models, np.int64)
    for number, ask in enumerate(asks, start=1):
        last_stage[[model for model, _ in ask]] = number
    return Replay(
        policy=policy_name,
        queries_per_model=queries_per_model,
        budget=search.budget,
        seed=seed,
        run=0,
        stages=_stages(asks, last_stage.tolist()),
        num_asked=tuple((search.answers >= 0).sum(axis=1).tolist()),
        num_right=tuple((search.answers == 1).sum(axis=1).tolist()),
        last_stage=tuple(last_stage.tolist()),
        recommended=search.ranking()[0],
        pulls=search.pulls,
        decision_digest=search.decision_digest,
    )


def _stages(asks: Sequence[Sequence[Pulls]], last_stage: Sequence[int]) -> tuple[ReplayStage, ...]:
    stages, pulls = [], 0
    for number, ask in enumerate(asks, start=1):
        num_queries = [len(queries) for _, queries in ask]
        pulls += sum(num_queries)
        num_left = sum(last >= number for last in last_stage)
        stages.append(ReplayStage(num_left, len(ask), (min(num_queries), max(num_queries)), pulls))
    return tuple(stages)
