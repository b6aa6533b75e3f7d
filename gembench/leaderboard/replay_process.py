"""A process of ours that replays programs of strangers: how it is waited for, and what is said when they fail."""

import json
import time
from collections.abc import Generator, Sequence
from typing import Any

from gembench.errors import GembenchError
from gembench.evaluate.child_process import ChildProcess

_SECONDS_TO_TAKE_A_MESSAGE = 60.0


class ReplayTimeoutError(GembenchError):
    """A replay takes too long."""


class ReplayDiedError(GembenchError):
    """A replay ended in the middle; the message is its last words, or what that mostly means."""


def follow(module: str, messages: Sequence[bytes], *, seconds: float) -> Generator[Any, None, None]:
    """What `python -m MODULE` says in JSON once it has these messages. Closed, it ends the process.

    Args:
        module: what to run, as `ChildProcess` does.
        messages: what it is told.
        seconds: the longest that it may take for all.

    Raises:
        ReplayTimeoutError: it takes longer.
        ReplayDiedError: it is gone.
    """
    child = ChildProcess(module, send_timeout=_SECONDS_TO_TAKE_A_MESSAGE)
    deadline = time.monotonic() + seconds
    try:
        for message in messages:
            child.send(message)
        while True:
            yield json.loads(child.receive(max(0.0, deadline - time.monotonic())))
    except TimeoutError as error:
        raise ReplayTimeoutError from error
    except (EOFError, ConnectionError) as error:
        raise ReplayDiedError(child.last_words() or "of too much memory") from error
    finally:
        child.end(patience=0)


def why_not_replayed(error: Exception) -> str:
    """What JAX or XLA made of a program, the first line of it."""
    first_line = next(iter(str(error).splitlines()), "")
    return f"programs cannot be replayed: {type(error).__name__}: {first_line}"
