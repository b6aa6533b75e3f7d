"""A Python process of ours that talks in messages, may hang or crash, and leaves nothing behind.

It leads a session, and so a process group, of its own: all that it starts is ended with it, and Ctrl-C reaches this
process only. Should this process be killed outright, a guard, a shell that waits for the end of a pipe, kills the
group. (Linux can send a signal at the parent's death, but it does so when the parent's *thread* ends, and not to
grandchildren.)
"""

import fcntl
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from multiprocessing.connection import Connection

_GUARD = 'read -r group; read -r end; kill -s KILL -- "-$group"'
_TERMINAL_CODES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_TAIL_BYTES = 16_384
_TAIL_LINES = 3
_LINE_LENGTH = 300
# How often to look whether the child lives, should something that it started keep its end of the socket open.
_SECONDS_PER_LOOK = 1.0
_SECONDS_TO_DIE = 10.0


class ChildProcess:
    """`python -m MODULE N`, where N is the number of the child's end of a socket. What it prints goes to a log.

    Args:
        module: what to run.
        send_timeout: the seconds after which a message that the child does not take is given up.
    """

    def __init__(self, module: str, *, send_timeout: float) -> None:
        self._owner = os.getpid()
        self._is_ended = False
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, `end` closes it
        fcntl.fcntl(self._log, fcntl.F_SETFL, fcntl.fcntl(self._log, fcntl.F_GETFL) | os.O_APPEND)
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        ours, theirs = socket.socketpair()
        with theirs:
            # A child that stops in the middle of a message must not stop this process.
            for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
                ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(send_timeout) + 1, 0))
            self._connection = Connection(ours.detach())
            # `Connection.poll` makes a selector for every look.
            self._replies = select.poll()
            self._replies.register(self._connection.fileno(), select.POLLIN)
            self._child = subprocess.Popen(
                # -P: the folder that the command was called in has no say in what is imported.
                [sys.executable, "-P", "-m", module, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                # Threads that wait for each other sleep: on shared cores, spinning makes an engine five times slower.
                env={
                    "OMP_WAIT_POLICY": "PASSIVE",
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(sys.path),
                    "PYTHONUNBUFFERED": "1",
                },
            )
        self._tell_guard()

    def _tell_guard(self) -> None:
        pipe = self._guard.stdin
        if pipe is not None:
            pipe.write(f"{self._child.pid}\n".encode())
            pipe.flush()

    def send(self, block: bytes) -> None:
        """Send a message.

        Raises:
            TimeoutError: the child does not take it.
            ConnectionError: the child is gone.
        """
        try:
            self._connection.send_bytes(block)
        except BlockingIOError as error:
            raise TimeoutError from error

    def receive(self, timeout: float) -> bytes:
        """The next message.

        Raises:
            TimeoutError: none came in that many seconds, or one stopped half-way.
            EOFError, ConnectionError: the child is gone.
        """
        deadline = time.monotonic() + timeout
        while not self._replies.poll(1000 * max(0.0, min(_SECONDS_PER_LOOK, deadline - time.monotonic()))):
            if self._child.poll() is not None and not self._replies.poll(0):
                raise EOFError
            if time.monotonic() >= deadline:
                raise TimeoutError
        try:
            return self._connection.recv_bytes()
        except BlockingIOError as error:
            raise TimeoutError from error

    def exit_code(self, timeout: float) -> int | None:
        """How it ended, a signal as its negative number; None if it still runs after that many seconds."""
        with suppress(subprocess.TimeoutExpired):
            return self._child.wait(timeout)
        return None

    def forget_log(self) -> None:
        """Empty the log, which would else grow with every model."""
        self._log.truncate(0)

    def last_words(self) -> str:
        """The last lines that it printed, in one line; "" if there are none, or it was ended."""
        if self._log.closed:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        lines = (line.strip() for line in _TERMINAL_CODES.sub(b"", tail).decode(errors="replace").splitlines())
        return " | ".join([line[:_LINE_LENGTH] for line in lines if line][-_TAIL_LINES:])

    def end(self, patience: float = 2.0) -> None:
        """End it and all that it started: asked to first, killed after `patience` seconds. Idempotent."""
        if self._is_ended or os.getpid() != self._owner:  # A fork of this process has no business with the child.
            return
        self._is_ended = True
        if self.exit_code(0) is None:
            self._signal_group(signal.SIGTERM)
            self.exit_code(patience)
        self._signal_group(signal.SIGKILL)
        self.exit_code(_SECONDS_TO_DIE)  # One that a driver holds in the kernel dies when the driver lets go.
        self._guard.kill()
        self._guard.communicate()
        self._log.close()
        # The connection closes with its last user: another thread may be waiting for a message.

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # All of the group have ended by themselves.
            os.killpg(self._child.pid, number)
