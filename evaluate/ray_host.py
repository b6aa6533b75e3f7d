"""What a Ray actor does: host an engine in a process of its own, beside it on its machine."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

from gembench.errors import GembenchError
from gembench.evaluate import wire
from gembench.evaluate.engine_process import EngineProcess
from gembench.evaluate.evaluator import EvaluatorFailure


class EngineHost:
    """The actor. It has two threads: one works, one hears that an answer is wanted no more.

    Calls and replies are messages of `wire`, as bytes; failures are replies, not exceptions, which Ray would pickle.
    """

    def __init__(self, engine: str, options: dict[str, Any], load_timeout: float, answer_timeout: float) -> None:
        self._process = EngineProcess(engine, options, load_timeout=load_timeout, answer_timeout=answer_timeout)
        self._lock = threading.Lock()
        self._stopped_turn = 0

    def open(self) -> bytes:
        """Start the engine: `Opened`, or `Refused`."""
        return self._reply(lambda: wire.Opened(self._process.settings))

    def load(self, block: bytes) -> bytes:
        """Reply to a `Load`."""
        return self._reply(lambda: self._load(wire.decode(block)))

    def _load(self, call: wire.Call | wire.Reply) -> wire.Reply:
        if isinstance(call, wire.Load):
            self._process.load(call.checkpoint)
        return wire.Loaded()

    def answer(self, turn: int, block: bytes) -> Iterator[bytes]:
        """Yield replies to an `Ask`: `Answered`, as often as needed, then `Done` or a failure."""
        call = wire.decode(block)
        requests = call.requests if isinstance(call, wire.Ask) else ()
        with self._lock:
            try:
                for answers in self._process.answer_batches(requests):
                    yield wire.encode(wire.Answered(answers))
                    if self._stopped_turn >= turn:
                        break
                yield wire.encode(wire.Done())
            except GembenchError as error:
                yield wire.encode(_told(error))

    def stop(self, turn: int) -> None:
        """End the answer of that turn, if it is not over, at its next answers."""
        self._stopped_turn = turn

    def is_fresh(self) -> bool:
        """Whether the engine was started for the present model."""
        with self._lock:
            return self._process.is_fresh

    def close(self) -> None:
        """End the engine's process; the next `load` starts another."""
        with self._lock:
            self._process.close()

    def _reply(self, work: Callable[[], wire.Reply]) -> bytes:
        try:
            with self._lock:
                return wire.encode(work())
        except GembenchError as error:
            return wire.encode(_told(error))


def _told(error: GembenchError) -> wire.Reply:
    if isinstance(error, EvaluatorFailure):
        return wire.Failed(error.status, str(error))
    return wire.Refused(error.exit_code, str(error))
