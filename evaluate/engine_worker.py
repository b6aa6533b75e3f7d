"""The process that hosts an engine: takes calls from its parent, replies to each. `EngineProcess` starts it.

The engine has the main thread to itself. Replies leave by a thread of their own, which puts into one message whatever
gathers within a moment: an answer that stands alone leaves after it, and thousands a second share a few messages.
"""

import os
import queue
import select
import sys
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection
from threading import Event, Thread

from gembench.errors import GembenchError
from gembench.evaluate import wire
from gembench.evaluate.engines import make_engine
from gembench.evaluate.evaluator import Answer, Checkpoint, Evaluator, EvaluatorFailure, Request

ANSWERS_PER_MESSAGE = 1024
SECONDS_TO_GATHER = 0.002
"""How long an answer waits for others. Both ends spend some 0.05 ms on a message, however few answers it holds."""


class _Outbox:
    """Replies on their way out, in the order in which they were put."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._queue: queue.SimpleQueue[wire.Reply | tuple[int, Answer] | None] = queue.SimpleQueue()
        self._no_more_answers = Event()
        # A daemon, or an engine that calls sys.exit would wait for it for ever.
        self._thread = Thread(target=self._send_all, daemon=True)
        self._thread.start()

    def put(self, item: wire.Reply | tuple[int, Answer]) -> None:
        self._queue.put(item)
        if not isinstance(item, tuple):
            self._no_more_answers.set()

    def empty(self) -> None:
        """Wait until all is sent; nothing may be put after it."""
        self._queue.put(None)
        self._no_more_answers.set()
        self._thread.join()

    def _send_all(self) -> None:
        while True:
            gathered = [self._queue.get()]
            self._no_more_answers.wait(SECONDS_TO_GATHER)
            self._no_more_answers.clear()
            with suppress(queue.Empty):
                while len(gathered) < ANSWERS_PER_MESSAGE:
                    gathered.append(self._queue.get_nowait())
            answers = []
            for item in gathered:
                if isinstance(item, tuple):
                    answers.append(item)
                    continue
                if answers:
                    self._send(wire.Answered(answers))
                    answers = []
                if item is None:
                    return
                self._send(item)
            if answers:
                self._send(wire.Answered(answers))

    def _send(self, reply: wire.Reply) -> None:
        try:
            self._connection.send_bytes(wire.encode(reply))
        except OSError:
            os._exit(1)  # The parent is gone, and the engine may be in the middle of hours of work for nobody.


class _Host:
    """An engine and its two ways to the parent."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._outbox = _Outbox(connection)
        self._engine: Evaluator | None = None
        self._asked: list[Request] = []
        self._calls = select.poll()
        self._calls.register(connection.fileno(), select.POLLIN)

    def serve(self) -> None:
        """Reply to calls until the parent closes the engine or is gone."""
        while True:
            try:
                call = wire.decode(self._connection.recv_bytes())
            except (EOFError, ConnectionError):
                return
            if isinstance(call, wire.Close):
                if self._engine is not None:
                    self._engine.close()
                self._outbox.empty()
                return
            try:
                self._reply(call)
            except EvaluatorFailure as failure:
                self._outbox.put(wire.Failed(failure.status, str(failure)))
            except Exception as error:  # whatever an engine's libraries raise
                traceback.print_exc()
                if isinstance(call, wire.Open) and isinstance(error, GembenchError):
                    self._outbox.put(wire.Refused(error.exit_code, str(error)))
                else:
                    self._outbox.put(wire.Crashed(_summary(error)))

    def _reply(self, call: wire.Call | wire.Reply) -> None:
        match call:
            case wire.Open(engine, options):
                self._engine = make_engine(engine, options)
                self._outbox.put(wire.Opened(self._engine.settings))
            case wire.CanSwap(checkpoint):
                self._outbox.put(wire.Swappable(_can_swap(self._opened, checkpoint)))
            case wire.Load(checkpoint):
                self._opened.load(checkpoint)
                self._outbox.put(wire.Loaded())
            case wire.Ask(requests, is_last):
                self._asked += requests
                if is_last:
                    asked, self._asked = self._asked, []
                    self._answer(asked)

    def _answer(self, requests: list[Request]) -> None:
        for position, answer in self._opened.answer(requests):
            self._outbox.put((position, answer))
            if self._calls.poll(0):  # The parent speaks in the middle of an answer only to say that it wants no more.
                break
        self._outbox.put(wire.Done())

    @property
    def _opened(self) -> Evaluator:
        if self._engine is None:
            raise RuntimeError("no engine was opened.")
        return self._engine


def _can_swap(engine: Evaluator, checkpoint: Checkpoint) -> bool:
    """An engine that does not say takes every checkpoint."""
    ask = getattr(engine, "can_swap", None)
    return True if ask is None else bool(ask(checkpoint))


def _summary(error: Exception) -> str:
    """Kind and message of an error, in one line."""
    return " ".join(traceback.format_exception_only(error)[-1].split())[:500]


def main() -> None:
    """Host an engine for the process at the other end of the socket whose number is the first argument."""
    _Host(Connection(int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
