"""Ctrl-C that is not lost: JAX catches everything at some places while it traces, KeyboardInterrupt too."""

import signal
import threading
from types import FrameType

_happened = threading.Event()


def remember_ctrl_c() -> None:
    """From now on Ctrl-C is remembered too; nothing changes where it is ignored or somebody else's already."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _on_ctrl_c)


def check_ctrl_c() -> None:
    """For long work, now and then, in any thread.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed, and here we still are.
    """
    if _happened.is_set():
        raise KeyboardInterrupt


def _on_ctrl_c(number: int, frame: FrameType | None) -> None:
    _happened.set()
    signal.default_int_handler(number, frame)
