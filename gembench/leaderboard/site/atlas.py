"""What an atlas shows: the model tree of one tensor, and one search on it, stage by stage.

Shapes: M models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gembench.gem_card.words import counted, percent
from gembench.leaderboard.site.atlas_replay import Replay, replay_search

if TYPE_CHECKING:
    from gembench.load_race import LoadedRace
    from gembench.query_policy import AnyPolicy


@dataclass(frozen=True)
class Node:
    """One model of the tree.

    Attributes:
        name: its id.
        parent: the node that it was made from, by its place among the nodes; None where that is not in the race.
        accuracy: the truth, in [0, 1].
        rank: 1 + the models that are more accurate.
        downloads: None where unknown.
        is_base: whether some model in the race names it as its base.
        is_gem: whether it is a hidden gem.
        num_asked: queries that it answered in the replayed search.
        num_right: how many of them it answered right.
        last_stage: the last stage in which it answered, from 1 up; 0 if it was never asked.
        is_recommended: whether the search recommends it.
    """

    name: str
    parent: int | None
    accuracy: float
    rank: int
    downloads: int | None
    is_base: bool
    is_gem: bool
    num_asked: int
    num_right: int
    last_stage: int
    is_recommended: bool


@dataclass(frozen=True, eq=False)
class Atlas:
    """A model tree and a search on it.

    Attributes:
        name: the tensor's.
        tensor_digest: content digest of the tensor.
        num_queries: Q.
        has_gems: whether hidden gems could be told apart: the downloads of all models are known.
        nodes: the M models, from the most accurate to the least.
        replay: the search.
    """

    name: str
    tensor_digest: str
    num_queries: int
    has_gems: bool
    nodes: tuple[Node, ...]
    replay: Replay

    @property
    def title(self) -> str:
        """The page's heading."""
        return f"The model tree of {self.name}"

    @property
    def summary(self) -> str:
        """What is to be seen, in a sentence or two."""
        of_bases = f" of {counted(self.num_bases, 'base')}" if self.num_bases else ""
        num_gems = counted(self.num_gems, "hidden gem") if self.num_gems else "no hidden gem"
        gems = f", {num_gems}" if self.has_gems else ""
        best = f"the best with an accuracy of {percent(self.nodes[0].accuracy)}"
        found = f"recommends rank {self.recommended.rank}"
        return (
            f"{counted(len(self.nodes), 'model')}{of_bases}, {best}{gems}. {self.replay.policy} with "
            f"{self.replay.queries_per_model:g} queries per model {found}."
        )

    @property
    def num_bases(self) -> int:
        """How many of the models are bases."""
        return sum(node.is_base for node in self.nodes)

    @property
    def num_gems(self) -> int:
        """How many of the models are hidden gems."""
        return sum(node.is_gem for node in self.nodes)

    @property
    def recommended(self) -> Node:
        """The model that the search recommends."""
        return next(node for node in self.nodes if node.is_recommended)


def make_atlas(
    loaded: LoadedRace, policy: AnyPolicy, policy_name: str, *, queries_per_model: float, seed: int
) -> Atlas:
    """The atlas of a race, with run 0 of a policy on it.

    Args:
        loaded: the race. Its tensor is opened again for what it says of its models.
        policy: the policy to replay, with the sampling that its source uses.
        policy_name: what the leaderboard calls it.
        queries_per_model: N.
        seed: of the runs.

    Raises:
        UsageError: the policy asks more than 64 times, or cannot spend the budget.
        TensorError: the tensor is not there any more.
        ContractError: the policy asked for what the contract forbids.
    """
    from gembench.gems import hidden_gems
    from gembench.load_race import race_names
    from gembench.measures import ranks_of

    known = race_names(loaded).of_models
    replay = replay_search(loaded, policy, policy_name, queries_per_model, seed)
    ranks = ranks_of(loaded.accuracy)
    downloads: list[int | None] = [facts.get("downloads") for facts in known]
    counts = [count for count in downloads if count is not None]
    has_gems = len(counts) == loaded.num_models
    is_gem = hidden_gems(loaded.accuracy, counts) if has_gems else np.zeros(loaded.num_models, np.bool_)
    parents = tree_parents(loaded.models, known)
    bases = {facts.get("base") for facts in known}
    best_first = sorted(range(loaded.num_models), key=lambda model: (ranks[model], loaded.models[model]))
    place_of = {model: place for place, model in enumerate(best_first)}
    nodes = tuple(
        Node(
            name=loaded.models[model],
            parent=None if (parent := parents[model]) is None else place_of[parent],
            accuracy=float(loaded.accuracy[model]),
            rank=int(ranks[model]),
            downloads=downloads[model],
            is_base=loaded.models[model] in bases,
            is_gem=bool(is_gem[model]),
            num_asked=replay.num_asked[model],
            num_right=replay.num_right[model],
            last_stage=replay.last_stage[model],
            is_recommended=model == replay.recommended,
        )
        for model in best_first
    )
    return Atlas(
        name=loaded.tensor,
        tensor_digest=loaded.digest,
        num_queries=loaded.num_queries,
        has_gems=has_gems,
        nodes=nodes,
        replay=replay,
    )


def tree_parents(models: Sequence[str], known: Sequence[Mapping[str, Any]]) -> list[int | None]:
    """Each model's parent by its row; None where it has none in the race.

    What the Hub says need not be a tree: where models descend from each other in a circle, the first of them is a root.
    """
    row_of = {name: row for row, name in enumerate(models)}
    parents = [row_of.get(facts.get("parent", "")) for facts in known]
    seen_from: dict[int, int] = {}
    for start in range(len(models)):
        model: int | None = start
        while model is not None and model not in seen_from:
            seen_from[model] = start
            model = parents[model]
        if model is not None and seen_from[model] == start:
            parents[model] = None
    return parents
