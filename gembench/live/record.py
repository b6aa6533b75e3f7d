"""Recording: every model of a list answers every query of a suite once, and the tensor fills.

Workers, one evaluator each, take the models one by one. All that was paid for is in the recording's journal, so that
whatever ends the recording, the same command goes on from there.
"""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from gembench.data.journal import ModelRow
from gembench.data.recording import Recording
from gembench.data.status import ModelStatus
from gembench.errors import GembenchError
from gembench.evaluate.evaluator import Evaluator, EvaluatorLost
from gembench.evaluate.suite import Suite
from gembench.live.answering import Questions
from gembench.live.events import Event, WorkerLost
from gembench.live.row import Candidate, record_model
from gembench.live.swap_check import SwapCheck

SECONDS_BETWEEN_PUBLISHING = 60.0
SHARE_OF_PUBLISHING = 0.01
"""Before the end, the tensor is published as often as takes no more than this share of the time."""
MOST_LOSSES = 2
"""A worker that is lost so often in a row is given up, and a model that so many workers were lost with has failed."""
_SECONDS_PER_LOOK = 0.5


class WorkersLostError(GembenchError):
    """Models are left, and no worker to record them."""


def record(
    models: Collection[str],
    fetch: Callable[[Sequence[ModelRow]], Generator[Candidate, None, None]],
    suite: Suite,
    evaluators: Sequence[Evaluator],
    recording: Recording,
    *,
    commit_every: int = 64,
    canary_every: int | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> str:
    """Record those models that are pending, one on each evaluator at a time; returns the content digest of the tensor.

    The journal must know the queries and the models. A model's failure is written into its row, and the others go on.
    A model that comes out of a pass pending still, because its worker was lost or its row cannot be trusted, is in the
    next pass.

    Args:
        models: their ids.
        fetch: brings models to this machine, in the order in which they are to be taken up; drawn from as needed.
        suite: what they are asked.
        evaluators: what answers, one for each worker. They are closed at the end.
        recording: where the cells go.
        commit_every: cells committed together: the most that a killed process loses, for each worker.
        canary_every: after how many swaps of weights within a live engine a fresh one answers some prompts again;
            None for evaluators that do not swap.
        on_event: told what happens, one event at a time, from the workers' threads.

    Raises:
        TensorError: the disk does not take the cells or the tensor.
        UsageError: a row was begun with another model of the same name.
        WorkersLostError: no worker is left.
        KeyboardInterrupt: passed on, once the engines are closed and the tensor is published.
    """
    workers = _Workers(suite, evaluators, recording, commit_every, canary_every, on_event)
    try:
        while pending := [
            row for row in recording.journal.models() if row.id in models and row.status == ModelStatus.PENDING
        ]:
            workers.record_all(fetch(pending))
    finally:
        workers.stop()
        digest = recording.publish()
    return digest


class _Workers:
    def __init__(
        self,
        suite: Suite,
        evaluators: Sequence[Evaluator],
        recording: Recording,
        commit_every: int,
        canary_every: int | None,
        on_event: Callable[[Event], None],
    ) -> None:
        self._recording = recording
        self._commit_every = commit_every
        self._on_event = on_event
        self._event_lock = threading.Lock()
        self._is_stopping = threading.Event()
        self._checks = {
            evaluator: SwapCheck(evaluator, Questions(suite), recording.journal, canary_every, self._tell)
            for evaluator in evaluators
        }
        self._num_losses: Counter[str] = Counter()
        self._losses_in_a_row: Counter[Evaluator] = Counter()
        self._publisher = _Publisher(recording)
        self._pool = ThreadPoolExecutor(max_workers=len(evaluators), thread_name_prefix="worker")

    def record_all(self, candidates: Generator[Candidate, None, None]) -> None:
        """One pass over the candidates. Each is drawn, in this thread, when a worker is free for it."""
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
                evaluator = idle.pop(0)
                running[self._pool.submit(self._work, evaluator, candidate)] = evaluator
            while running:
                self._wait(running, idle)

    def _wait(self, running: dict[Future[bool], Evaluator], idle: list[Evaluator]) -> None:
        done, _ = wait(running, timeout=_SECONDS_PER_LOOK, return_when=FIRST_COMPLETED)
        for worker in done:
            evaluator = running.pop(worker)
            if worker.result():
                idle.append(evaluator)
        self._publisher.publish_if_due()

    def stop(self) -> None:
        """End the workers, whatever they are at, and their engines."""
        self._is_stopping.set()
        for evaluator in self._checks:
            evaluator.close()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _tell(self, event: Event) -> None:
        with self._event_lock:
            self._on_event(event)

    def _work(self, evaluator: Evaluator, candidate: Candidate) -> bool:
        """Record one model; returns whether the evaluator is good for another."""
        try:
            self._record(evaluator, candidate)
            self._losses_in_a_row[evaluator] = 0
        except EvaluatorLost as lost:
            self._losses_in_a_row[evaluator] += 1
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

    def _record(self, evaluator: Evaluator, candidate: Candidate) -> None:
        check = self._checks[evaluator]
        check.before(candidate)
        ended = record_model(
            candidate,
            evaluator,
            check.questions,
            self._recording.journal,
            commit_every=self._commit_every,
            is_stopping=self._is_stopping.is_set,
            on_event=self._tell,
        )
        self._tell(ended)
        check.after(candidate, ended)

    def _lose(self, candidate: Candidate, lost: EvaluatorLost) -> None:
        self._num_losses[candidate.model] += 1
        if self._num_losses[candidate.model] == MOST_LOSSES:
            message = f"its worker was lost {MOST_LOSSES} times, the last time with: {lost}"
            self._recording.journal.end(candidate.model, ModelStatus.ENGINE_CRASHED, message)
        self._tell(WorkerLost(candidate.model, str(lost)))


class _Publisher:
    """Publishes the tensor now and then, the less often the longer it takes."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._due = time.monotonic() + SECONDS_BETWEEN_PUBLISHING

    def publish_if_due(self) -> None:
        began = time.monotonic()
        if began < self._due:
            return
        self._recording.publish()
        ended = time.monotonic()
        self._due = ended + max(SECONDS_BETWEEN_PUBLISHING, (ended - began) / SHARE_OF_PUBLISHING)
