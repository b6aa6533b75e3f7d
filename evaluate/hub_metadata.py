"""What the Hugging Face Hub says of models: downloads, likes, licence, size, day of birth, parent, and base.

One request a repository, several at once, each repeated by the library's own back-off, which waits as long as the Hub
asks for; answers are kept for a day. Parents that are not among the models are asked too, up to the base.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager

from gembench.cache_folder import cache_folder
from gembench.data.metadata import Metadata, name_before_revision
from gembench.data.status import ModelStatus
from gembench.evaluate import hub
from gembench.evaluate.evaluator import EvaluatorFailure
from gembench.evaluate.hub_errors import hub_endpoint
from gembench.evaluate.hub_facts import MAX_AGE_SECONDS, Facts, HubFacts
from gembench.evaluate.model_list import parse_hub_id

SOURCE = "Hugging Face Hub"
_PARALLEL_REQUESTS = 8
_MOST_OUTAGES = _PARALLEL_REQUESTS
"""After so many requests to which nothing came, each repeated, no further one is made."""
_KEPT_AT_ONCE = 100

OnProgress = Callable[[int, int], None]
"""Told how many repositories are known, of how many."""


def hub_metadata(models: Sequence[str], *, on_progress: OnProgress | None = None) -> Metadata:
    """What the Hub says of models that are called as there, `org/name` or `org/name@revision`.

    A model's parent is the first that its card names, its base the root of those parents: the last name that is found,
    whether or not the Hub still has it. A model whose card names no parent has itself as base if others descend from
    it, else none. Downloads and all else are those of the repository now, not of a revision.

    Where the Hub cannot be asked (`HF_HUB_OFFLINE`, or no answer), what it said earlier is taken, however old, and the
    remark says so. A model that it does not tell about is among the problems. Nothing is raised for either.

    Args:
        models: the names.
        on_progress: told now and then.
    """
    wanted = list(dict.fromkeys(name_before_revision(model) for model in models if parse_hub_id(model)))
    search = _Search(on_progress or (lambda num_done, num_all: None))
    generation = wanted
    while generation:
        search.ask(generation)
        parents = dict.fromkeys(search.facts[one].parent for one in generation if one in search.facts)
        generation = [parent for parent in parents if parse_hub_id(parent) and not search.has_asked(parent)]
    roots = {repo_id: _root(repo_id, search.facts) for repo_id in wanted if repo_id in search.facts}
    has_descendants = {root for repo_id, root in roots.items() if root != repo_id}
    rows = {
        repo_id: {
            **search.facts[repo_id]._asdict(),
            "base": root if root != repo_id or repo_id in has_descendants else "",
        }
        for repo_id, root in roots.items()
    }
    problems = {
        model: search.problems.get(name_before_revision(model), "its name is no id of the Hub, such as org/name")
        for model in models
        if name_before_revision(model) not in rows
    }
    return Metadata(SOURCE, rows, problems, search.remark)


class _Search:
    """The facts that are known so far, and why others are not."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._cache = HubFacts(cache_folder() / "hub_facts.sqlite", hub_endpoint() or "")
        self.facts = dict(self._cache.read(max_age_seconds=MAX_AGE_SECONDS))
        self.problems: dict[str, str] = {}
        self._outages: list[EvaluatorFailure] = []
        self._unheard: list[str] = []
        self._stopping = threading.Event()
        self._on_progress = on_progress

    def has_asked(self, repo_id: str) -> bool:
        """Whether asking again would bring nothing."""
        return repo_id in self.facts or repo_id in self.problems

    def ask(self, repo_ids: Sequence[str]) -> None:
        """Learn what can be learned of these."""
        unknown = [repo_id for repo_id in repo_ids if not self.has_asked(repo_id)]
        new: dict[str, Facts] = {}
        num_known = len(repo_ids) - len(unknown)
        try:
            for number, (repo_id, facts) in enumerate(self._answers(unknown), start=1):
                if facts is not None:
                    self.facts[repo_id] = new[repo_id] = facts
                if number % _KEPT_AT_ONCE == 0:
                    self._cache.write(new)
                    new.clear()
                self._on_progress(num_known + number, len(repo_ids))
        finally:
            if new:
                self._cache.write(new)
        self._recall([repo_id for repo_id in unknown if not self.has_asked(repo_id)])

    @property
    def remark(self) -> str:
        """One sentence where the Hub was not asked, or did not answer."""
        if not self._unheard:
            return ""
        num_recalled = sum(repo_id in self.facts for repo_id in self._unheard)
        recalled = f"; {num_recalled:,} of these are as it said earlier" if num_recalled else ""
        models = f"{len(self._unheard):,} models or parents of models"
        if hub.is_offline():
            return f"HF_HUB_OFFLINE is set, so that the Hub was not asked about {models}{recalled}."
        return f"the Hub did not answer for {models} ({_reason(self._outages)}){recalled}; try again later."

    def _answers(self, repo_ids: Sequence[str]) -> Iterator[tuple[str, Facts | None]]:
        """Each repository that was asked about with what is known of it, as the answers come."""
        if hub.is_offline() or self._stopping.is_set() or not repo_ids:
            return
        pool = ThreadPoolExecutor(_PARALLEL_REQUESTS)
        try:
            with _without_warnings():
                asked = {pool.submit(self._ask_one, repo_id): repo_id for repo_id in repo_ids}
                for answer in as_completed(asked):
                    yield asked[answer], answer.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _ask_one(self, repo_id: str) -> Facts | None:
        if self._stopping.is_set():
            return None
        try:
            return hub.facts_of(hub.card(repo_id))
        except EvaluatorFailure as failure:
            if failure.status is ModelStatus.DOWNLOAD_FAILED:
                self._outages.append(failure)
                if len(self._outages) >= _MOST_OUTAGES:
                    self._stopping.set()
            else:
                self.problems[repo_id] = str(failure)
            return None

    def _recall(self, unheard: Sequence[str]) -> None:
        """Take what the Hub said longer ago of those that it did not tell about."""
        if not unheard:
            return
        self._unheard += unheard
        earlier = self._cache.read(max_age_seconds=float("inf"))
        for repo_id in unheard:
            if repo_id in earlier:
                self.facts[repo_id] = earlier[repo_id]
            else:
                self.problems[repo_id] = "the Hub did not tell"


def _root(repo_id: str, facts: Mapping[str, Facts]) -> str:
    """The last of a repository's parents, their parents, and so on; models that name each other end it."""
    met = {repo_id}
    while repo_id in facts and (parent := facts[repo_id].parent) and parent not in met:
        met.add(parent)
        repo_id = parent
    return repo_id


def _reason(outages: Sequence[EvaluatorFailure]) -> str:
    """What the first of them was, without the remedy, which is another command's."""
    cause = outages[0].__cause__ or outages[0]
    return " ".join(str(cause).split())[:100] or type(cause).__name__


@contextmanager
def _without_warnings() -> Iterator[None]:
    """The library warns of each attempt that it repeats; what came of them is said once, at the end."""
    import huggingface_hub  # it sets the level when it is first imported

    logger = logging.getLogger(huggingface_hub.__name__)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
