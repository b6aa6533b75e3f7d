"""Reading logs into the spool, several at once: a process each, none of which outlives the import."""

import contextlib
import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import cast

import fsspec

from gembench.data.import_spool import Part, Spool
from gembench.data.sources.source import Choice, Log, SourceFormat
from gembench.errors import SourceError
from gembench.jax_setup import num_cores

BYTES_WORTH_A_PROCESS = 16 << 20
"""Logs that together are smaller are read sooner than processes start."""


@dataclass(frozen=True)
class LogRead:
    """A log is done.

    Attributes:
        log: which.
        parts: what it says, a part a model; none if it cannot be used.
        problem: why it cannot be used; None if it can.
        was_spooled: whether an import before this one had read it.
    """

    log: Log
    parts: tuple[Part, ...]
    problem: str | None
    was_spooled: bool


def read_logs(
    source: SourceFormat,
    logs: Sequence[Log],
    choice: Choice,
    spool: Spool,
    *,
    num_processes: int | None = None,
    on_log: Callable[[LogRead], None],
) -> list[LogRead]:
    """Read all logs that are not in the spool yet, and return what each says, in the order of `logs`.

    Processes are spawned, so that a script that calls this must do so under `if __name__ == "__main__"`.

    Args:
        source: the module of the format.
        logs: which.
        choice: what to read of them.
        spool: where what they say is put down.
        num_processes: how many read at once; None for one a core, and none but this one for little.
        on_log: told as each log is done.

    Raises:
        SourceError: a file cannot be reached, or a reading process was killed.
        SpoolError: the spool cannot be used.
    """
    keys = [_key(source, log, choice) for log in logs]
    done: dict[int, LogRead] = {}

    def note(number: int, parts: Sequence[Part], problem: str | None, *, was_spooled: bool) -> None:
        done[number] = LogRead(logs[number], tuple(parts), problem, was_spooled)
        on_log(done[number])

    def note_new(number: int, problem: str | None) -> None:
        parts = spool.parts(keys[number]) if problem is None else None
        note(number, parts or (), problem, was_spooled=False)

    unread = []
    for number, key in enumerate(keys):
        parts = spool.parts(key)
        if parts is None:
            unread.append(number)
        else:
            note(number, parts, None, was_spooled=True)
    # The largest first, so that the last process to end is not far behind the others.
    unread.sort(key=lambda number: -logs[number].num_bytes)
    module = cast(ModuleType, source).__name__
    jobs = [(number, (module, logs[number], choice, spool.folder, keys[number])) for number in unread]
    if num_processes is None:
        num_processes = 1 if is_little([logs[number] for number in unread]) else num_cores()
    num_processes = min(num_processes, len(jobs))
    if num_processes <= 1:
        for number, job in jobs:
            note_new(number, _read_log(*job, spool))
    else:
        with _pool(num_processes) as pool:
            # Processes start as work comes.
            with _ctrl_c_blocked():
                numbers: dict[Future[str | None], int] = {pool.submit(_read_log, *job): number for number, job in jobs}
            try:
                for future in as_completed(numbers):
                    note_new(numbers.pop(future), future.result())
            except BrokenProcessPool as error:
                raise SourceError(
                    "a process that read logs was killed, perhaps because memory ran out; the same command goes on "
                    "where this one stopped."
                ) from error
    return [done[number] for number in range(len(logs))]


def _key(source: SourceFormat, log: Log, choice: Choice) -> str:
    """What a log is filed under: it changes with the log's files, and with how they are read."""
    try:
        files = []
        for file in log.files:
            system, path = fsspec.core.url_to_fs(file)
            files.append([file, system.ukey(path)])
    except (OSError, ValueError, ImportError) as error:
        raise SourceError(f"{file}: cannot be reached: {error}.") from error
    chosen = [choice.metric, choice.filter_name, sorted(choice.columns.items())]
    what = [version("gembench"), cast(ModuleType, source).__name__, chosen, files]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def is_little(logs: Sequence[Log]) -> bool:
    """Whether logs are read sooner than processes start, and so soon that what was read of them need not be kept."""
    sizes = [log.num_bytes for log in logs]
    return all(sizes) and sum(sizes) < BYTES_WORTH_A_PROCESS


def _read_log(module: str, log: Log, choice: Choice, folder: Path, key: str, spool: Spool | None = None) -> str | None:
    """Reads a log into the spool, in whichever process; returns why it cannot be used."""
    source = cast(SourceFormat, import_module(module))
    try:
        (spool or _spool_of_process(folder)).write(key, source.read_log(log, choice))
    except SourceError as error:
        return str(error)
    return None


_spools: dict[Path, Spool] = {}


def _spool_of_process(folder: Path) -> Spool:
    """One for all logs that a process reads: it remembers orders of queries."""
    return _spools.setdefault(folder, Spool(folder))


@contextlib.contextmanager
def _pool(num_processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end at once when this one fails, is interrupted or is killed.

    They hold the reading end of a pipe on which nothing is ever sent: it ends when its other end, here, is closed.
    """
    spawning = multiprocessing.get_context("spawn")
    watched, lifeline = spawning.Pipe(duplex=False)
    pool = ProcessPoolExecutor(num_processes, spawning, _start_process, (watched,))
    try:
        yield pool
        pool.shutdown()
    finally:
        lifeline.close()
        pool.shutdown(cancel_futures=True)
        watched.close()


@contextlib.contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """A process that is started meanwhile never sees Ctrl-C, which reaches all that belong to a terminal."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_process(watched: "Connection[None, None]") -> None:
    threading.Thread(target=_end_with, args=(watched,), daemon=True).start()


def _end_with(watched: "Connection[None, None]") -> None:
    with contextlib.suppress(EOFError, OSError):
        watched.recv()
    os._exit(1)
