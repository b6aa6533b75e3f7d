"""A sandbox for programs that a model wrote: bubblewrap, without network, files of the machine, or time without end.

A program sees the standard library, a small /tmp of its own and nothing else. Whether it ran to its end is told by a
random word that it is not given, so that leaving early or printing a success is none. A program written against this
very runner could still find that word in its own memory: grades tell honest models apart, they are no seal.
"""

import contextlib
import json
import math
import os
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from gembench.errors import GembenchError

_RUNNER = Path(__file__).with_name("sandbox_runner.py")
_INSTALL = "install the Debian package bubblewrap (0.8 or newer)"
_MOST_PROCESSES = 16
_MOST_OPEN_FILES = 64
_LARGEST_FILE = 16 * 2**20
_LONGEST_VERDICT = 2**16
_SECONDS_AFTER_TIME = 2
_SECONDS_TO_START = 60.0
# What systemd hands out to services without a user: nobody's files, and a count of processes of their own.
_FIRST_USER, _NUM_USERS = 61184, 4336


class SandboxError(GembenchError):
    """The sandbox itself does not work: nothing is known about the program."""


@dataclass(frozen=True)
class SandboxResult:
    """What became of a program.

    Attributes:
        has_finished: its last statement was carried out, and no exception left it.
        message: why not, in one line; "" if it has.
        seconds: from start to end, that of the sandbox included.
    """

    has_finished: bool
    message: str
    seconds: float


@cache
def require_sandbox() -> None:
    """Make sure that there is a sandbox and that it works; tried once.

    Raises:
        SandboxError: there is none, or it cannot run a program that does nothing.
    """
    try:
        result = run_sandboxed("pass", seconds=30, memory_bytes=2**29)
    except SandboxError as error:
        raise SandboxError(f"code written by a model cannot be run here: {error}") from error
    if not result.has_finished:
        raise SandboxError(f"code written by a model cannot be run here: an empty program failed ({result.message}).")


def run_sandboxed(program: str, *, seconds: float, memory_bytes: int) -> SandboxResult:
    """Run a Python program to its end, or to that of its time.

    Args:
        program: its text.
        seconds: the longest that it may take, once it has begun.
        memory_bytes: the most address space of each of its processes, and the most that /tmp holds.

    Raises:
        SandboxError: bubblewrap is missing or fails.
    """
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise SandboxError(f"there is no bwrap; {_INSTALL}.")
    started, finished = secrets.token_hex(), secrets.token_hex()
    order = {
        "program": program,
        "started": started,
        "finished": finished,
        "limits": _limits(seconds, memory_bytes),
        "user": _FIRST_USER + secrets.randbelow(_NUM_USERS),
    }
    start = time.monotonic()
    said, exit_code = _run(_command(bwrap, memory_bytes), json.dumps(order).encode(), started.encode(), seconds)
    duration = time.monotonic() - start
    before, is_started, verdict = said.decode(errors="replace").partition(started)
    if not is_started:
        reason = " ".join(before.split())[:300] or f"it did not start in {_SECONDS_TO_START:g} s"
        raise SandboxError(f"bwrap fails: {reason}; {_INSTALL}, and allow it user namespaces.")
    if verdict == finished:
        return SandboxResult(has_finished=True, message="", seconds=duration)
    if exit_code is None:
        return SandboxResult(has_finished=False, message=f"it took longer than {seconds:g} s", seconds=duration)
    reason = " ".join(verdict.split()) or f"it ended early with exit code {exit_code}"
    return SandboxResult(has_finished=False, message=reason, seconds=duration)


def _run(command: list[str], order: bytes, started: bytes, seconds: float) -> tuple[bytes, int | None]:
    """What was said, and the exit code, None if time ran out. The program's time runs from the word `started` on."""
    reader, writer = os.pipe()
    try:
        with _file_of(order) as orders, _process(command, orders, writer) as process:
            said = _read_until(started, reader)
            try:
                exit_code = process.wait(seconds) if started in said else None
            except subprocess.TimeoutExpired:
                exit_code = None
            finally:
                process.kill()
        # Nobody read in between: a pipe that is full stops whoever floods it.
        os.set_blocking(reader, False)
        with contextlib.suppress(BlockingIOError):
            said += os.read(reader, _LONGEST_VERDICT)
    finally:
        os.close(reader)
    return said, exit_code


def _file_of(content: bytes) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115, the caller closes it
    file.write(content)
    file.seek(0)
    return file


def _process(command: list[str], orders: IO[bytes], writer: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, stdin=orders, stdout=subprocess.DEVNULL, stderr=writer, start_new_session=True)
    finally:
        # The sandbox alone holds that end now, so that reading ends when the sandbox does.
        os.close(writer)


def _read_until(word: bytes, reader: int) -> bytes:
    """What is said up to the word and a little beyond, or all of it if the word does not come in time."""
    said = b""
    deadline = time.monotonic() + _SECONDS_TO_START
    while word not in said and select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(reader, _LONGEST_VERDICT)
        if not chunk:
            break
        said += chunk
    return said


def _limits(seconds: float, memory_bytes: int) -> dict[str, int]:
    return {
        "RLIMIT_AS": memory_bytes,
        # Should the clock on the wall not end it, which is what a person understands.
        "RLIMIT_CPU": math.ceil(seconds) + _SECONDS_AFTER_TIME,
        "RLIMIT_FSIZE": min(_LARGEST_FILE, memory_bytes),
        "RLIMIT_NPROC": _MOST_PROCESSES,
        "RLIMIT_NOFILE": _MOST_OPEN_FILES,
        "RLIMIT_CORE": 0,
    }


def _command(bwrap: str, memory_bytes: int) -> list[str]:
    python = Path(sys.executable).resolve()
    installed = Path(sys.base_prefix).resolve()
    command = [bwrap, "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    command += ["--die-with-parent", "--new-session", "--clearenv", "--setenv", "HOME", "/tmp", "--cap-drop", "ALL"]
    if os.getuid() == 0:
        # The runner becomes a user of its own: of root the kernel does not limit the number of processes.
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-user", "--disable-userns"]
    # Folders on the way are made passable, and empty: the interpreter may lie in a home.
    for folder in (Path("/etc"), *reversed(installed.parents[:-1])):
        command += ["--perms", "0755", "--dir", str(folder)]
    for place in ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", str(installed)):
        command += ["--ro-bind-try", place, place]
    command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    command += ["--perms", "1777", "--size", str(memory_bytes), "--tmpfs", "/tmp", "--chdir", "/tmp"]
    command += ["--remount-ro", "/"]
    return [*command, str(python), "-I", "-S", "-B", "-X", "utf8", "-c", _RUNNER.read_text(encoding="utf-8")]
