"""Workers, one evaluator each, that take models one by one and put queries to them.

All that was paid for is in the journal, so that whatever ends the work, it goes on from there.
"""

import contextlib
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from gembench.data.journal import Journal
from gembench.data.status import ModelStatus
from gembench.errors import GembenchError
from gembench.evaluate.evaluator import Evaluator, EvaluatorLost
from gembench.evaluate.suite import Suite
from gembench.live.answering import Questions
from gembench.live.events import CanaryAsked, Event, WorkerLost
from gembench.live.row import Candidate, record_model
from gembench.live.swap_check import SwapCheck

MOST_LOSSES = 2
"""A worker that is lost so often in a row is given up, and a model that so many workers were lost with has failed."""
_SECONDS_PER_LOOK = 0.5


class WorkersLostError(GembenchError):
    """Models are left, and no worker to record them."""


class Workers:
    """The workers of one recording or search. `stop` must be called at the end.

    Args:
        suite: what models are asked.
        evaluators: what answers, one for each worker.
        journal: where cells go; it knows the queries and the models.
        commit_every: cells committed together: the most that a killed process loses, for each worker.
        canary_every: after how many swaps of weights within a live engine a fresh one answers some prompts again;
            None for evaluators that do not swap.
        on_event: told what happens, one event at a time, from the workers' threads.
        on_look: called now and then while models answer.

    Attributes:
        num_taken_back: cells forgotten so far, because a fresh engine answered otherwise.
    """

    def __init__(
        self,
        suite: Suite,
        evaluators: Sequence[Evaluator],
        journal: Journal,
        *,
        commit_every: int = 64,
        canary_every: int | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
        on_look: Callable[[], None] = lambda: None,
    ) -> None:
        self._journal = journal
        self._commit_every = commit_every
        self._on_event = on_event
        self._on_look = on_look
        self._event_lock = threading.Lock()
        self._is_stopping = threading.Event()
        self._checks = {
            evaluator: SwapCheck(evaluator, Questions(suite), journal, canary_every, self._tell)
            for evaluator in evaluators
        }
        self._held: dict[Evaluator, str] = {}
        self._lost_with: dict[str, list[Evaluator]] = defaultdict(list)
        self._losses_in_a_row: Counter[Evaluator] = Counter()
        self.num_taken_back = 0
        self._pool = ThreadPoolExecutor(max_workers=len(evaluators), thread_name_prefix="worker")

    @property
    def held(self) -> Collection[str]:
        """The models that evaluators hold, ready to answer."""
        return self._held.values()

    def record_all(
        self, candidates: Generator[Candidate, None, None], queries: Mapping[str, Sequence[int]] | None = None
    ) -> None:
        """One pass over the candidates. Each is drawn, in this thread, when a worker is free for it.

        Args:
            candidates: the models.
            queries: what each is to answer, of which it is asked what it has not answered; None for all queries.

        Raises:
            TensorError: the disk does not take the cells.
            UsageError: a row was begun with another model of the same name.
            WorkersLostError: no worker is left.
        """
        idle = list(self._checks)
        running: dict[Future[bool], Evaluator] = {}
        with contextlib.closing(candidates):
            while True:
                while running and not idle:
                    self._wait(running, idle)
                if not idle:
                    raise WorkersLostError("every worker was lost, and models are left; give the same command again.")
                candidate = next(candidates, None)
                if candidate is None:
                    break
                evaluator = self._pick(idle, candidate)
                idle.remove(evaluator)
                wanted = None if queries is None else queries[candidate.model]
                running[self._pool.submit(self._work, evaluator, candidate, wanted)] = evaluator
            while running:
                self._wait(running, idle)

    def _pick(self, idle: Sequence[Evaluator], candidate: Candidate) -> Evaluator:
        """The one that holds the model; else one that was not lost with it, and of those the one longest out of use.

        So models that take turns are held by a worker each.
        """
        by_last_use = list(self._held)

        def cost(evaluator: Evaluator) -> tuple[bool, bool, int]:
            is_other = self._held.get(evaluator) != candidate.model
            last_use = by_last_use.index(evaluator) if evaluator in by_last_use else -1
            return is_other, evaluator in self._lost_with[candidate.model], last_use

        return min(idle, key=cost)

    def _wait(self, running: dict[Future[bool], Evaluator], idle: list[Evaluator]) -> None:
        done, _ = wait(running, timeout=_SECONDS_PER_LOOK, return_when=FIRST_COMPLETED)
        for worker in done:
            evaluator = running.pop(worker)
            if worker.result():
                idle.append(evaluator)
        self._on_look()

    def stop(self) -> None:
        """End the workers, whatever they are at, and their engines."""
        self._is_stopping.set()
        for evaluator in self._checks:
            evaluator.close()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _tell(self, event: Event) -> None:
        with self._event_lock:
            if isinstance(event, CanaryAsked):
                self.num_taken_back += event.num_cells
            self._on_event(event)

    def _work(self, evaluator: Evaluator, candidate: Candidate, queries: Sequence[int] | None) -> bool:
        """Ask one model; returns whether the evaluator is good for another."""
        try:
            self._record(evaluator, candidate, queries)
            self._losses_in_a_row[evaluator] = 0
        except EvaluatorLost as lost:
            self._losses_in_a_row[evaluator] += 1
            self._lost_with[candidate.model].append(evaluator)
            self._lose(candidate, lost)
            if self._losses_in_a_row[evaluator] == MOST_LOSSES:
                del self._checks[evaluator]
                return False
        except Exception:
            # An engine that is closed under a worker's hands may fail in any way.
            if not self._is_stopping.is_set():
                raise
        finally:
            candidate.release()
        return True

    def _record(self, evaluator: Evaluator, candidate: Candidate, queries: Sequence[int] | None) -> None:
        check = self._checks[evaluator]
        is_held = self._held.pop(evaluator, None) == candidate.model
        if not is_held:
            check.before(candidate)
        ended = record_model(
            candidate,
            evaluator,
            check.questions,
            self._journal,
            queries=queries,
            is_loaded=is_held,
            commit_every=self._commit_every,
            is_stopping=self._is_stopping.is_set,
            on_event=self._tell,
        )
        self._tell(ended)
        if ended.load_seconds is not None:
            is_held = check.after(candidate, ended)
        if ended.status == ModelStatus.OK and is_held:
            self._held[evaluator] = candidate.model

    def _lose(self, candidate: Candidate, lost: EvaluatorLost) -> None:
        if len(self._lost_with[candidate.model]) == MOST_LOSSES:
            message = f"its worker was lost {MOST_LOSSES} times, the last time with: {lost}"
            self._journal.end(candidate.model, ModelStatus.ENGINE_CRASHED, message)
        self._tell(WorkerLost(candidate.model, str(lost)))
