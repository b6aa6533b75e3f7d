"""Recording: every model of a list answers every query of a suite once, and the tensor fills."""

import time
from collections.abc import Callable, Collection, Generator, Sequence

from gembench.data.journal import ModelRow
from gembench.data.recording import Recording
from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import Evaluator
from gembench.evaluate.suite import Suite
from gembench.live.events import Event
from gembench.live.row import Candidate
from gembench.live.workers import Workers

SECONDS_BETWEEN_PUBLISHING = 60.0
SHARE_OF_PUBLISHING = 0.01
"""Before the end, the tensor is published as often as takes no more than this share of the time."""


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
    workers = Workers(
        suite,
        evaluators,
        recording.journal,
        commit_every=commit_every,
        canary_every=canary_every,
        on_event=on_event,
        on_look=_Publisher(recording).publish_if_due,
    )
    try:
        while pending := [
            row for row in recording.journal.models() if row.id in models and row.status == ModelStatus.PENDING
        ]:
            workers.record_all(fetch(pending))
    finally:
        workers.stop()
        digest = recording.publish()
    return digest


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
