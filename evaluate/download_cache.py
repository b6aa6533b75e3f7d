"""Models brought to this machine and taken off it again, within a bounded part of the disk."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from gembench.data.status import ModelStatus
from gembench.evaluate.download import check_goes_on, download, gigabytes
from gembench.evaluate.evaluator import Checkpoint, EvaluatorFailure
from gembench.evaluate.folder_lock import SharedFolder, remove_unheld
from gembench.evaluate.preflight import Preflight


class Fetched:
    """A model on this machine's disk, or the reason why it is not. A context manager that releases it.

    Attributes:
        preflight: what was known before.
        checkpoint: where it is, or the failure that kept it away.
    """

    def __init__(
        self, preflight: Preflight, checkpoint: Checkpoint | EvaluatorFailure, cache: "DownloadCache | None" = None
    ) -> None:
        self.preflight = preflight
        self.checkpoint = checkpoint
        self._cache = cache

    def release(self) -> None:
        """Say that the files are no longer needed, so that the cache may remove what it downloaded. Idempotent."""
        cache, self._cache = self._cache, None
        if cache is not None:
            cache.release(self.preflight)

    def __enter__(self) -> "Fetched":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


@dataclass
class _Stored:
    """A folder of downloaded files, whole or in part, and how many models need it: a base serves many adapters."""

    hold: SharedFolder
    num_bytes: int
    num_users: int = 0
    is_whole: bool = False

    def let_go(self) -> None:
        """Remove it, unless a later process can go on from a download that was stopped."""
        if self.is_whole:
            self.hold.release()
        else:
            self.hold.keep()


class DownloadCache:
    """Downloads models into a folder of its own, never more than so many bytes of them at once. Thread-safe.

    What lies elsewhere, in the user's folders or the Hugging Face cache, is used there and never touched. A context
    manager that closes it.

    Args:
        folder: the cache's own; made if it is not there. Several processes may share it.
        disk_bytes: the most that the models held at once may take.
        keeps: whether models that nobody needs any more stay as long as there is room, to be had again without a
            download. Those released longest ago go first.
    """

    def __init__(self, folder: Path, disk_bytes: int, *, keeps: bool = False) -> None:
        self._folder = folder
        self._disk_bytes = disk_bytes
        self._keeps = keeps
        self._in_use: dict[Path, _Stored] = {}
        self._idle: dict[Path, _Stored] = {}
        """In the order in which they are to go."""
        self._changed = threading.Condition()
        self._one_download = threading.Lock()
        self._knows_leftovers = False
        self._is_closed = False

    def remove_leftovers(self, wanted: Sequence[Preflight]) -> None:
        """Remove what earlier processes left behind, but for what these models need and can go on with.

        Only the first call does so: what is there later is this cache's own, or another process's.
        """
        if self._knows_leftovers:
            return
        with self._one_download, self._changed:
            self._knows_leftovers = True
            self._folder.mkdir(parents=True, exist_ok=True)
            # Backwards, so that what is wanted first goes last where not all may stay.
            for part in [part for model in reversed(wanted) for part in _to_fetch(model)]:
                folder = self._place(part)
                if folder.is_dir() and folder not in self._in_use and folder not in self._idle:
                    self._idle[folder] = _Stored(SharedFolder(folder), _own_bytes(part))
            remove_unheld(self._folder, frozenset(self._idle))
            self._make_room(0)

    def fetch(self, preflight: Preflight, stopping: threading.Event | None = None) -> Fetched:
        """Bring a model here, waiting until those released leave room for it. What went wrong is in the result.

        Args:
            preflight: the model.
            stopping: given to `stop`, it ends the download or the wait.

        Raises:
            DownloadStoppedError: `stop` was called.
        """
        if not preflight.can_run:
            return Fetched(preflight, EvaluatorFailure(preflight.status, preflight.message))
        parts = _to_fetch(preflight)
        try:
            self._check_room(preflight)
            if not self._take_here(parts):
                self._take_all(parts, stopping or threading.Event())
        except EvaluatorFailure as failure:
            return Fetched(preflight, failure)
        base = preflight.base
        base_folder = (base.folder or self._place(base)) if base else None
        folder = preflight.folder or self._place(preflight)
        return Fetched(preflight, Checkpoint(preflight.source.model, folder, base_folder), self)

    def has(self, preflight: Preflight) -> bool:
        """Whether all of a model is here now, so that it is fetched at once."""
        with self._changed:
            here = {**self._in_use, **self._idle}
            return all(self._place(part) in here and here[self._place(part)].is_whole for part in _to_fetch(preflight))

    def release(self, preflight: Preflight) -> None:
        """Take back what `fetch` gave."""
        for part in reversed(_to_fetch(preflight)):
            self._give(part)

    def stop(self, stopping: threading.Event) -> None:
        """End the downloads and waits that were given this event: they raise DownloadStoppedError. Others go on."""
        with self._changed:
            stopping.set()
            self._changed.notify_all()

    def close(self) -> None:
        """Remove what nobody needs, now and from now on. A download that was stopped stays for a later process."""
        with self._changed:
            self._is_closed = True
            for stored in self._idle.values():
                stored.let_go()
            self._idle.clear()

    def __enter__(self) -> "DownloadCache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _place(self, part: Preflight) -> Path:
        return self._folder / f"{part.source.repo_id}@{part.source.revision}".replace("/", "--")

    def _check_room(self, preflight: Preflight) -> None:
        if preflight.download_bytes > self._disk_bytes:
            raise EvaluatorFailure(
                ModelStatus.DOWNLOAD_FAILED,
                f"{preflight.source.model} takes {gigabytes(preflight.download_bytes)}, more than the "
                f"{gigabytes(self._disk_bytes)} that downloads may take here; allow more.",
            )

    def _take_here(self, parts: Sequence[Preflight]) -> bool:
        """Take what needs no download, and so no wait for the downloads of others: all of it, or nothing."""
        with self._changed:
            folders = [self._place(part) for part in parts]
            here = [self._in_use.get(folder) or self._idle.get(folder) for folder in folders]
            if not all(stored and stored.is_whole for stored in here):
                return False
            for folder in folders:
                stored = self._idle.pop(folder, None) or self._in_use[folder]
                stored.num_users += 1
                self._in_use[folder] = stored
            return True

    def _take_all(self, parts: Sequence[Preflight], stopping: threading.Event) -> None:
        taken: list[Preflight] = []
        # One model at a time, base and all: two that wait for room, each holding a part, would wait for ever.
        with self._one_download:
            try:
                for part in parts:
                    if not self._take_here([part]):
                        self._bring(part, stopping)
                    taken.append(part)
            except BaseException:
                for part in taken:
                    self._give(part)
                raise

    def _bring(self, part: Preflight, stopping: threading.Event) -> None:
        folder, num_bytes = self._place(part), _own_bytes(part)
        with self._changed:
            while self._bytes_in_use() + num_bytes > self._disk_bytes:
                check_goes_on(part, stopping)
                self._changed.wait()
            check_goes_on(part, stopping)
            stored = self._idle.pop(folder, None)
            self._make_room(num_bytes)
        self._folder.mkdir(parents=True, exist_ok=True)
        stored = stored or _Stored(SharedFolder(folder), num_bytes)
        try:
            download(part, folder, stopping)
        except EvaluatorFailure:
            stored.hold.release()
            raise
        except BaseException:
            with self._changed:
                self._set_aside(stored)
            raise
        with self._changed:
            stored.is_whole, stored.num_users = True, 1
            self._in_use[folder] = stored

    def _give(self, part: Preflight) -> None:
        with self._changed:
            stored = self._in_use[self._place(part)]
            stored.num_users -= 1
            if stored.num_users == 0:
                self._set_aside(self._in_use.pop(stored.hold.folder))
                self._changed.notify_all()

    def _set_aside(self, stored: _Stored) -> None:
        """Let go of what nobody needs now, or leave it idle. What is there in part takes room as well."""
        if self._is_closed or (stored.is_whole and not self._keeps):
            stored.let_go()
        else:
            self._idle[stored.hold.folder] = stored

    def _make_room(self, num_bytes: int) -> None:
        """Remove what is idle, the oldest first, until so many bytes fit beside the rest."""
        room = self._disk_bytes - num_bytes - self._bytes_in_use()
        while self._idle and sum(stored.num_bytes for stored in self._idle.values()) > room:
            self._idle.pop(next(iter(self._idle))).hold.release()

    def _bytes_in_use(self) -> int:
        return sum(stored.num_bytes for stored in self._in_use.values())


def _to_fetch(preflight: Preflight) -> Sequence[Preflight]:
    """What of a model is not here by itself: its base, if it has one, then its own files."""
    return [part for part in (preflight.base, preflight) if part and not part.folder]


def _own_bytes(part: Preflight) -> int:
    return sum(part.files.values())
