"""An engine that does what it is told: each prompt, and each model's name, is an order."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import Answer, Checkpoint, EvaluatorFailure, Generate, LogLikelihood


def obey(order: str) -> str:
    what, _, with_what = order.partition(" ")
    match what:
        case "hang":
            time.sleep(1000)
        case "ignore_sigterm":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case "on_sigterm":
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(bool(Path(with_what).write_text("asked"))))
        case "sleep":
            time.sleep(float(with_what))
        case "kill":
            os.kill(os.getpid(), signal.Signals[with_what])
        case "exit":
            sys.exit(int(with_what))
        case "fail":
            raise EvaluatorFailure(ModelStatus(with_what), f"told to fail: {with_what}")
        case "raise":
            raise RuntimeError("two\nlines")
        case "pid":
            return str(os.getpid())
        case "sleeper":  # a grandchild that holds every descriptor it can get
            sleeper = subprocess.Popen(["/bin/sleep", "1000"], close_fds=False)
            return str(sleeper.pid)
        case "fork":
            forked = os.fork()
            if not forked:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(1000)
            return str(forked)
        case "print":
            print(with_what)
            print(f"\x1b[31m{with_what}\x1b[0m to stderr", file=sys.stderr)
        case "size":
            return "x" * int(with_what)
    return order


class Obedient:
    def __init__(self, at_start: str = "", close_file: str | None = None):
        obey(at_start)
        self._close_file = close_file

    @property
    def settings(self):
        return {"engine": "obedient", "version": 3, "temperature": 0.5, "dtype": None}

    def load(self, checkpoint: Checkpoint) -> None:
        self._model = checkpoint.model
        obey(checkpoint.model)

    def answer(self, requests):
        for position in reversed(range(len(requests))):
            match requests[position]:
                case Generate(prompt):
                    if prompt != "skip":
                        yield position, Answer(text=obey(prompt))
                case LogLikelihood(context, continuation):
                    yield position, Answer(log_likelihood=-len(context) / 7, prompt_tokens=len(continuation))

    def close(self) -> None:
        if self._close_file:
            Path(self._close_file).write_text("closed")


class Picky(Obedient):
    def can_swap(self, checkpoint):
        return checkpoint.model == self._model


class Unimportable:
    def __init__(self):
        raise ValueError("the driver is too old")
