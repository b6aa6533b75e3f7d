"""An engine in a process of its own: it may hang, crash or leak memory, and the recording goes on."""

import math
import signal
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from gembench.data.status import ModelStatus
from gembench.errors import GembenchError, UsageError
from gembench.evaluate import wire
from gembench.evaluate.child_process import ChildProcess
from gembench.evaluate.engines import find_engine
from gembench.evaluate.evaluator import Answer, Checkpoint, EvaluatorFailure, Request, Settings

_REQUESTS_PER_MESSAGE = 512
_SECONDS_TO_CLOSE = 5.0
_R = TypeVar("_R", bound=wire.Reply)


class EngineStartError(GembenchError):
    """An engine could not be started at all, whatever the model."""


class EngineProcess:
    """The evaluator of that name, hosted in a child process. After a failure of the process, `load` starts another.

    Args:
        engine: its name, as `find_engine` knows it.
        options: what it is made with.
        load_timeout: seconds in which the engine must start, and a model must be loaded.
        answer_timeout: the longest wait for a next answer, in seconds.

    Raises:
        UsageError: no engine has that name, or a time is not positive.
        MissingExtraError: what the engine needs is not installed.
    """

    def __init__(self, engine: str, options: Settings, *, load_timeout: float, answer_timeout: float) -> None:
        find_engine(engine)
        for what, seconds in (("loading", load_timeout), ("answering", answer_timeout)):
            if not 0 < seconds < math.inf:
                raise UsageError(f"the time limit for {what} must be a positive number of seconds, got {seconds}.")
        self._engine = engine
        self._options = options
        self._load_timeout = load_timeout
        self._answer_timeout = answer_timeout
        self._settings: Settings | None = None
        self._child: ChildProcess | None = None
        self._end_child = weakref.finalize(self, lambda: None)
        self._num_loads = 0
        self._holds_model = False
        self._is_busy = False
        self._is_answering = False
        self._turn = 0

    @property
    def settings(self) -> Settings:
        """What the engine's answers depend on; starts its process if it never ran.

        Raises:
            UsageError: the engine refuses its options.
            EngineStartError: it cannot be started.
        """
        if self._settings is None:
            self._settings = self._start()
        return self._settings

    @property
    def is_fresh(self) -> bool:
        """Whether no model came before the present one in the engine's process, or in the last one if it has ended.

        A crash of a process that was not fresh may be the doing of an earlier model.
        """
        return self._num_loads <= 1

    def can_swap(self, checkpoint: Checkpoint) -> bool:
        """Whether `load` would put the checkpoint into the live engine: what the engine says, True if it does not."""
        self._settle()
        if self._child is None or not self._num_loads:
            return True
        return self._call(wire.CanSwap(checkpoint), wire.Swappable, "looking at the model").can_swap

    def load(self, checkpoint: Checkpoint) -> None:
        """Make this the model that answers; a fresh process does, if the engine cannot take it in place of the last.

        Raises:
            EvaluatorFailure: the model cannot be used, took too long, or brought the engine's process down.
            UsageError: the engine refuses its options.
            EngineStartError: no process of the engine could be started.
        """
        self._holds_model = False
        if not self.can_swap(checkpoint):
            self._end()
        if self._child is None:
            self._settings = self._start()
        else:
            self._child.forget_log()
        self._num_loads += 1
        self._call(wire.Load(checkpoint), wire.Loaded, "loading the model")
        self._holds_model = True

    def answer(self, requests: Sequence[Request]) -> Iterator[tuple[int, Answer]]:
        """Yield (position, answer) as the engine does.

        Raises:
            EvaluatorFailure: the model failed, the engine fell silent, or its process died.
        """
        for answers in self.answer_batches(requests):
            yield from answers

    def answer_batches(self, requests: Sequence[Request]) -> Iterator[Sequence[tuple[int, Answer]]]:
        """As `answer`, but all answers that came together at once."""
        if not requests:
            return
        self._settle()
        if not self._holds_model:
            raise EvaluatorFailure(ModelStatus.ENGINE_CRASHED, f"the {self._engine} engine holds no model; load one.")
        self._turn += 1
        turn, num_answered = self._turn, 0
        self._is_answering = True
        for start in range(0, len(requests), _REQUESTS_PER_MESSAGE):
            end = start + _REQUESTS_PER_MESSAGE
            self._send(wire.Ask(requests[start:end], end >= len(requests)), "taking its requests")
        while True:
            if turn != self._turn:
                raise RuntimeError("a later call of the engine has ended this answer.")
            reply = self._receive(self._answer_timeout, f"answering, {num_answered} of {len(requests)} requests done")
            if not isinstance(reply, wire.Answered):
                break
            num_answered += len(reply.answers)
            yield reply.answers
        self._is_answering = False
        if num_answered != len(requests):
            what = f"the {self._engine} engine gave {num_answered} answers to {len(requests)} requests."
            raise EvaluatorFailure(ModelStatus.ENGINE_CRASHED, what)

    def restart(self) -> None:
        """End the engine's process, so that the next model is loaded into a fresh one."""
        self.close()

    def close(self) -> None:
        """Close the engine and end its process, and all that it started. Another thread may do it, at any time."""
        child = self._child
        if child is not None and not self._is_busy and not self._is_answering:
            try:
                child.send(wire.encode(wire.Close()))
            except (TimeoutError, ConnectionError):
                child.end()
            else:
                child.exit_code(_SECONDS_TO_CLOSE)
        self._end()
        self._num_loads = 0

    def _start(self) -> Settings:
        self._child = ChildProcess("gembench.evaluate.engine_worker", send_timeout=self._answer_timeout)
        self._end_child = weakref.finalize(self, self._child.end)
        self._num_loads = 0
        try:
            return self._call(wire.Open(self._engine, self._options), wire.Opened, "starting").settings
        except EvaluatorFailure as failure:
            raise EngineStartError(str(failure)) from failure

    def _end(self) -> None:
        self._child = None  # first of all: a thread that waits for the child then knows why it is gone
        self._end_child()
        self._holds_model = False
        self._is_answering = False
        self._turn += 1

    def _settle(self) -> None:
        """Let an answer that was left half-way come to its end, whichever that is."""
        if not self._is_answering:
            return
        self._turn += 1
        try:
            self._send(wire.Stop(), "stopping")
            while isinstance(self._receive(self._answer_timeout, "stopping"), wire.Answered):
                pass
        except EvaluatorFailure:
            self._end()
        self._is_answering = False

    def _call(self, call: wire.Call, kind: type[_R], doing: str) -> _R:
        self._send(call, doing)
        reply = self._receive(self._load_timeout, doing)
        if not isinstance(reply, kind):
            raise self._end_for(ModelStatus.ENGINE_CRASHED, f"sent {reply} while {doing}")
        return reply

    def _send(self, call: wire.Call, doing: str) -> None:
        with self._watched(self._answer_timeout, doing) as child:
            child.send(wire.encode(call))

    def _receive(self, timeout: float, doing: str) -> wire.Call | wire.Reply:
        """The next reply.

        Raises:
            EvaluatorFailure: the engine failed, in a way that it knows or not, fell silent or died.
        """
        with self._watched(timeout, doing) as child:
            reply = wire.decode(child.receive(timeout))
        match reply:
            case wire.Failed(status, message):
                self._is_answering = False
                raise EvaluatorFailure(status, message)
            case wire.Crashed(summary):
                raise self._end_for(ModelStatus.ENGINE_CRASHED, f"failed while {doing}: {summary}")
            case wire.Refused(exit_code, message):
                self._end()
                raise (UsageError if exit_code == UsageError.exit_code else EngineStartError)(message)
        return reply

    @contextmanager
    def _watched(self, timeout: float, doing: str) -> Iterator[ChildProcess]:
        """The child, ended if it falls silent or dies, or if this process is interrupted in the middle of a message."""
        child = self._child
        if child is None:
            raise EvaluatorFailure(ModelStatus.ENGINE_CRASHED, f"the {self._engine} engine does not run; load a model.")
        self._is_busy = True
        try:
            yield child
        except TimeoutError as error:
            what = f"was silent for {timeout:g} s while {doing} and was ended; give it more time if it is only slow"
            raise self._end_for(ModelStatus.TIMEOUT, what) from error
        except (EOFError, ConnectionError) as error:
            if self._child is not child:
                what = f"the {self._engine} engine was closed while {doing}."
                raise EvaluatorFailure(ModelStatus.ENGINE_CRASHED, what) from error
            code = child.exit_code(_SECONDS_TO_CLOSE)
            status = ModelStatus.OUT_OF_MEMORY if code == -signal.SIGKILL else ModelStatus.ENGINE_CRASHED
            raise self._end_for(status, f"{_manner_of_death(code)} while {doing}") from error
        except BaseException:
            self._end()
            raise
        finally:
            self._is_busy = False

    def _end_for(self, status: ModelStatus, what: str) -> EvaluatorFailure:
        """End the process for a failure, and say what happened with its last words."""
        words = self._child.last_words() if self._child is not None else ""
        self._end()
        return EvaluatorFailure(
            status, f"the {self._engine} engine {what}{f'; its last words: {words}' if words else '.'}"
        )


def _manner_of_death(exit_code: int | None) -> str:
    if exit_code is None:
        return "hung up without ending"
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    if exit_code == -signal.SIGKILL:
        return "was killed (SIGKILL), probably by the kernel because memory ran out,"
    names = [known.name for known in signal.Signals if known == -exit_code]  # a real-time signal has none
    return f"died of {' '.join(names) or f'signal {-exit_code}'} ({signal.strsignal(-exit_code)})"
