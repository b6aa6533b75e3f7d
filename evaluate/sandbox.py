"""A sandbox for programs of strangers: bubblewrap, without network, files of the machine, or time without end.

A program sees the standard library, the libraries that it is given, a small /tmp of its own and nothing else. Whether
it ran to its end is told by a random word that it is not given, so that leaving early or printing a success is none. A
program written against this very runner could still find that word in its own memory: grades tell honest models apart,
they are no seal.
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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import IO

from gembench.errors import GembenchError
from gembench.evaluate.system_calls import make_filter

_LIBRARIES = "/libraries"
_RUNNER = Path(__file__).with_name("sandbox_runner.py")
_INSTALL = "install the Debian package bubblewrap (0.8 or newer)"
_MOST_PROCESSES = 16
_MOST_OPEN_FILES = 64
_CHUNK = 2**20
_LARGEST_FILE = 16 * 2**20
_LARGEST_TMP = 2**28
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
        output: what it handed to `write_output`.
    """

    has_finished: bool
    message: str
    seconds: float
    output: bytes = b""


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


def run_sandboxed(
    program: str,
    *,
    seconds: float,
    memory_bytes: int,
    max_processes: int = _MOST_PROCESSES,
    may_fork: bool = True,
    max_output: int = 0,
    libraries: Mapping[str, Path] = MappingProxyType({}),
) -> SandboxResult:
    """Run a Python program to its end, or to that of its time.

    Args:
        program: its text.
        seconds: the longest that it may take, once it has begun.
        memory_bytes: the most address space of each of its processes.
        max_processes: the most processes and threads at a time.
        may_fork: whether it may start processes; if not, `memory_bytes` bounds all that it takes but a small /tmp.
        max_output: the most bytes that it may hand to the function `write_output`, which it finds among its names.
        libraries: files and folders that it may read and import, by their path in a folder on its path.

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
        "limits": _limits(seconds, memory_bytes, max_processes),
        "user": _FIRST_USER + secrets.randbelow(_NUM_USERS),
        "libraries": _LIBRARIES if libraries else None,
        "has_output": max_output > 0,
    }
    start = time.monotonic()
    command = _command(bwrap, memory_bytes, libraries)
    system_calls = make_filter(may_fork=may_fork)
    said, output, exit_code = _run(
        command, json.dumps(order).encode(), system_calls, started.encode(), seconds, max_output
    )
    duration = time.monotonic() - start
    before, is_started, verdict = said.decode(errors="replace").partition(started)
    if not is_started:
        reason = " ".join(before.split())[:300] or f"it did not start in {_SECONDS_TO_START:g} s"
        raise SandboxError(f"bwrap fails: {reason}; {_INSTALL}, and allow it user namespaces.")
    if len(output) > max_output:
        message = f"it wrote more than {max_output:,} bytes"
        return SandboxResult(has_finished=False, message=message, seconds=duration)
    if verdict == finished:
        return SandboxResult(has_finished=True, message="", seconds=duration, output=output)
    if exit_code is None:
        return SandboxResult(has_finished=False, message=f"it took longer than {seconds:g} s", seconds=duration)
    reason = " ".join(verdict.split()) or f"it ended early with exit code {exit_code}"
    return SandboxResult(has_finished=False, message=reason, seconds=duration)


def _run(
    command: list[str], order: bytes, system_calls: bytes, started: bytes, seconds: float, max_output: int
) -> tuple[bytes, bytes, int | None]:
    """What was said, the output, and the exit code, None if time ran out. Time runs from the word `started` on."""
    (reader, writer), (outputs, output_writer) = os.pipe(), os.pipe()
    try:
        with (
            _file_of(order) as orders,
            _file_of(system_calls) as rules,
            _process(command, orders, rules, output_writer, writer) as process,
        ):
            said, output, exit_code = _read_until(started, reader), b"", None
            try:
                if started in said:
                    deadline = time.monotonic() + seconds
                    output = _read_output(outputs, max_output, deadline)
                    if len(output) <= max_output:
                        exit_code = process.wait(max(0.0, deadline - time.monotonic()))
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
        os.close(outputs)
    return said, output, exit_code


def _file_of(content: bytes) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115, the caller closes it
    file.write(content)
    file.seek(0)
    return file


def _process(
    command: list[str], orders: IO[bytes], rules: IO[bytes], output: int, verdicts: int
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [command[0], "--seccomp", str(rules.fileno()), *command[1:]],
            stdin=orders,
            stdout=output,
            stderr=verdicts,
            pass_fds=[rules.fileno()],
            # What bubblewrap itself is given can be read in /proc, whatever it clears for the program.
            env={},
            start_new_session=True,
        )
    finally:
        # The sandbox alone holds these ends now, so that reading ends when the sandbox does.
        os.close(output)
        os.close(verdicts)


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


def _read_output(reader: int, max_bytes: int, deadline: float) -> bytes:
    """All that is written until the sandbox ends, time runs out, or it is too much."""
    output = bytearray()
    while len(output) <= max_bytes and select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(reader, _CHUNK)
        if not chunk:
            break
        output += chunk
    return bytes(output)


def _limits(seconds: float, memory_bytes: int, max_processes: int) -> dict[str, int]:
    return {
        "RLIMIT_AS": memory_bytes,
        # Should the clock on the wall not end it, which is what a person understands.
        "RLIMIT_CPU": math.ceil(seconds) + _SECONDS_AFTER_TIME,
        "RLIMIT_FSIZE": min(_LARGEST_FILE, memory_bytes),
        "RLIMIT_NPROC": max_processes,
        "RLIMIT_NOFILE": _MOST_OPEN_FILES,
        "RLIMIT_CORE": 0,
    }


def _command(bwrap: str, memory_bytes: int, libraries: Mapping[str, Path]) -> list[str]:
    python = Path(sys.executable).resolve()
    command = [bwrap, "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    command += ["--die-with-parent", "--new-session", "--clearenv", "--setenv", "HOME", "/tmp", "--cap-drop", "ALL"]
    if os.getuid() == 0:
        # The runner becomes a user of its own: of root the kernel does not limit the number of processes.
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-user", "--disable-userns"]
    # Folders on the way are made passable, and empty: the interpreter may lie in a home.
    shelves = {Path(_LIBRARIES, name).parent: None for name in sorted(libraries)}
    for folder in (Path("/etc"), Path("/usr"), *reversed(python.parents[:-1]), *shelves):
        command += ["--perms", "0755", "--dir", str(folder)]
    for place in (*_places_of_python(), Path("/etc/ld.so.cache"), python):
        command += ["--ro-bind-try", str(place), str(place)]
    for folder in _installed_packages():
        command += ["--tmpfs", str(folder), "--remount-ro", str(folder)]
    for name, source in libraries.items():
        command += ["--ro-bind", str(source.resolve()), f"{_LIBRARIES}/{name}"]
    command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    tmp_bytes = min(_LARGEST_TMP, memory_bytes)
    command += ["--perms", "1777", "--size", str(tmp_bytes), "--tmpfs", "/tmp", "--chdir", "/tmp"]
    command += ["--remount-ro", "/"]
    return [*command, str(python), "-I", "-S", "-B", "-X", "utf8", "-c", _RUNNER.read_text(encoding="utf-8")]


def _places_of_python() -> tuple[Path, ...]:
    """Where its libraries lie, and those of C."""
    installed = Path(sys.base_prefix).resolve()
    places = (Path(root, name) for root in ("/usr", "/", installed) for name in ("lib", "lib64"))
    return tuple(dict.fromkeys(places))


def _installed_packages() -> Iterator[Path]:
    """What was installed beside the standard library, such as gembench with its tensors, is none of it."""
    for place in _places_of_python():
        for name in ("site-packages", "dist-packages"):
            yield from sorted(place.glob(f"python*/{name}"))
