"""A model tree on the Hub: a base model and all that was made from it, directly or by way of others."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from gembench.data.status import ModelStatus
from gembench.errors import UsageError
from gembench.evaluate import hub
from gembench.evaluate.evaluator import EvaluatorFailure
from gembench.evaluate.model_list import ModelSource, parse_hub_id

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

RELATIONS = ("finetune", "adapter", "merge", "quantized")
"""How a model was made from another, in the Hub's words."""
_PARALLEL_REQUESTS = 8


class ModelTreeError(UsageError):
    """A model tree cannot be listed as asked."""


@dataclass(frozen=True)
class TreeFilter:
    """Which descendants to take. What was made from one that is left out is looked at all the same.

    Attributes:
        relations: how they were made.
        max_parameters: the most numbers in their weights; those for which the Hub has no count are left out.
        licenses: by the names that cards use, such as `apache-2.0`; any if empty.
        created_after: the first day to take.
        created_before: the first day not to take.
        min_downloads: in the last 30 days.
        tags: all that a model must have.
    """

    relations: frozenset[str] = frozenset(RELATIONS)
    max_parameters: int | None = None
    licenses: frozenset[str] = frozenset()
    created_after: date | None = None
    created_before: date | None = None
    min_downloads: int = 0
    tags: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        unknown = sorted(self.relations - set(RELATIONS))
        if unknown or not self.relations:
            raise ModelTreeError(f"no relation is called {', '.join(unknown)!r}; there are {', '.join(RELATIONS)}.")

    def takes(self, info: "ModelInfo") -> bool:
        """Whether a model is wanted, whatever it was made from."""
        tags = set(info.tags or ())
        created = info.created_at.date() if info.created_at else None
        num_parameters = info.safetensors.total if info.safetensors else None
        return (
            (self.max_parameters is None or (num_parameters is not None and num_parameters <= self.max_parameters))
            and (not self.licenses or hub.license_of(info) in self.licenses)
            and (self.created_after is None or (created is not None and created >= self.created_after))
            and (self.created_before is None or (created is not None and created < self.created_before))
            and (info.downloads or 0) >= self.min_downloads
            and self.tags <= tags
        )


_TAKE_ALL = TreeFilter()


def model_tree(base: str, *, tree_filter: TreeFilter = _TAKE_ALL, limit: int | None = None) -> tuple[ModelSource, ...]:
    """The base, then its descendants, the most downloaded first and by id where equal, each pinned to its commit.

    A model's parent is the first that its card names of those in the tree.

    Args:
        base: `org/name` on the Hub.
        tree_filter: which descendants; the base is always there.
        limit: the most models, base included.

    Raises:
        ModelTreeError: no such id, or the Hub may not be asked.
        EvaluatorFailure: `DOWNLOAD_FAILED`, the Hub cannot be reached.
    """
    hub_id = parse_hub_id(base)
    if hub_id is None or hub_id[1] is not None:
        raise ModelTreeError(f"--tree {base!r}: not an id such as org/name; the cards of descendants name no revision.")
    if hub.is_offline():
        raise ModelTreeError(
            "--tree asks the Hub, and HF_HUB_OFFLINE is set; unset it, or name the models by --models."
        )
    if limit is not None and limit < 1:
        raise ModelTreeError(f"the limit on models is {limit}; it must be at least 1.")
    try:
        root = hub.repo(base, None)
    except EvaluatorFailure as failure:
        if failure.status is ModelStatus.DOWNLOAD_FAILED:
            raise
        raise ModelTreeError(f"--tree: {failure}") from failure
    found = _descendants(root.repo_id)
    taken = [
        info
        for info in found.values()
        if tree_filter.takes(info) and _relations(info, found, root) & tree_filter.relations
    ]
    taken.sort(key=lambda info: (-(info.downloads or 0), info.id))
    top = ModelSource(
        root.repo_id,
        repo_id=root.repo_id,
        revision=root.sha,
        base=root.repo_id,
        license=root.license,
        downloads=root.downloads,
        likes=root.likes,
        num_parameters=root.num_parameters,
        created=root.created,
    )
    return (top, *(_source(info, found, root) for info in taken))[:limit]


def _descendants(base: str) -> Mapping[str, "ModelInfo"]:
    """All models under a base, by id. A generation is asked for at once; a model that is met again is not."""
    found: dict[str, ModelInfo] = {}
    generation: Sequence[str] = [base]
    with ThreadPoolExecutor(_PARALLEL_REQUESTS) as pool:
        while generation:
            new = {
                info.id: info
                for infos in pool.map(lambda parent: list(hub.children(parent)), generation)
                for info in infos
                if info.id not in found and info.id != base
            }
            found.update(new)
            generation = sorted(new)
    return found


def _named_bases(info: "ModelInfo", found: Mapping[str, "ModelInfo"], root: hub.Repo) -> Iterator[tuple[str, str]]:
    """(relation or "", base) of each base of the tree that a card names."""
    for tag in info.tags or ():
        kind, _, rest = tag.partition(":")
        relation, _, base = rest.rpartition(":")
        if kind == "base_model" and (base in found or base == root.repo_id):
            yield relation, base


def _relations(info: "ModelInfo", found: Mapping[str, "ModelInfo"], root: hub.Repo) -> frozenset[str]:
    named = frozenset(relation for relation, _ in _named_bases(info, found, root) if relation)
    return named or frozenset({"finetune"})


def _source(info: "ModelInfo", found: Mapping[str, "ModelInfo"], root: hub.Repo) -> ModelSource:
    parent = next((base for _, base in _named_bases(info, found, root)), root.repo_id)
    return ModelSource(
        info.id,
        repo_id=info.id,
        revision=info.sha,
        base=root.repo_id,
        **hub.facts_of(info)._replace(parent=parent)._asdict(),
    )
