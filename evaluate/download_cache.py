"""Models brought to this machine and taken off it again, within a bounded part of the disk."""

import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from gembench.data.status import ModelStatus
from gembench.evaluate import hub
from gembench.evaluate.evaluator import Checkpoint, EvaluatorFailure
from gembench.evaluate.folder_lock import SharedFolder, remove_unheld
from gembench.evaluate.hub_errors import DISK_FULL, DownloadStoppedError, is_transient
from gembench.evaluate.preflight import Preflight

SECONDS_BETWEEN_ATTEMPTS = (5.0, 15.0, 45.0, 120.0)
"""Waits between attempts at one model. Each attempt is already repeated, request by request, by `huggingface_hub`."""


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
        """Say that the files are no longer needed: those that were downloaded are removed. Idempotent."""
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
class _Held:
    """A folder of downloaded files, and how many models need it: a base serves many adapters."""

    hold: SharedFolder
    num_bytes: int
    num_users: int = 1


class DownloadCache:
    """Downloads models into a folder of its own, never more than so many bytes of them at once. Thread-safe.

    What lies elsewhere, in the user's folders or the Hugging Face cache, is used there and never touched.

    Args:
        folder: the cache's own; made if it is not there. Several processes may share it.
        disk_bytes: the most that the models held at once may take.
    """

    def __init__(self, folder: Path, disk_bytes: int) -> None:
        self._folder = folder
        self._disk_bytes = disk_bytes
        self._held: dict[Path, _Held] = {}
        self._changed = threading.Condition()
        self._one_download = threading.Lock()
        self._stopping = threading.Event()

    def remove_leftovers(self, wanted: Sequence[Preflight]) -> None:
        """Remove what earlier processes left behind, but for what these models need and can go on with."""
        self._folder.mkdir(parents=True, exist_ok=True)
        keep = {self._place(part) for model in wanted for part in (model, model.base) if part}
        remove_unheld(self._folder, frozenset(keep))

    def fetch(self, preflight: Preflight) -> Fetched:
        """Bring a model here, waiting until those released leave room for it. What went wrong is in the result.

        Raises:
            DownloadStoppedError: `stop` was called.
        """
        if not preflight.can_run:
            return Fetched(preflight, EvaluatorFailure(preflight.status, preflight.message))
        parts = [part for part in (preflight.base, preflight) if part]
        taken: list[Preflight] = []
        try:
            self._check_room(preflight)
            with self._one_download:
                for part in parts:
                    self._take(part)
                    taken.append(part)
        except BaseException as error:
            for part in taken:
                self._give(part)
            if isinstance(error, EvaluatorFailure):
                return Fetched(preflight, error)
            raise
        folders = [part.folder or self._place(part) for part in parts]
        base_folder = folders[0] if preflight.base else None
        return Fetched(preflight, Checkpoint(preflight.source.model, folders[-1], base_folder), self)

    def release(self, preflight: Preflight) -> None:
        """Take back what `fetch` gave."""
        for part in (preflight, preflight.base):
            if part:
                self._give(part)

    def stop(self) -> None:
        """End downloads and waits in other threads, which raise DownloadStoppedError."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()

    def _place(self, part: Preflight) -> Path:
        return self._folder / f"{part.source.repo_id}@{part.source.revision}".replace("/", "--")

    def _check_room(self, preflight: Preflight) -> None:
        if preflight.download_bytes > self._disk_bytes:
            raise EvaluatorFailure(
                ModelStatus.DOWNLOAD_FAILED,
                f"{preflight.source.model} takes {_gigabytes(preflight.download_bytes)}, more than the "
                f"{_gigabytes(self._disk_bytes)} that downloads may take here; allow more.",
            )

    def _take(self, part: Preflight) -> None:
        if part.folder:
            return
        folder = self._place(part)
        with self._changed:
            if folder in self._held:
                self._held[folder].num_users += 1
                return
            while self._used_bytes() + part.download_bytes > self._disk_bytes and not self._stopping.is_set():
                self._changed.wait()
        self._folder.mkdir(parents=True, exist_ok=True)
        hold = SharedFolder(folder)
        try:
            self._download(part, folder)
        except EvaluatorFailure:
            hold.release()
            raise
        except BaseException:
            hold.keep()  # The next recording goes on from here.
            raise
        with self._changed:
            self._held[folder] = _Held(hold, part.download_bytes)

    def _give(self, part: Preflight) -> None:
        with self._changed:
            held = self._held.get(self._place(part)) if not part.folder else None
            if held is None:
                return
            held.num_users -= 1
            if held.num_users == 0:
                held.hold.release()
                del self._held[held.hold.folder]
                self._changed.notify_all()

    def _used_bytes(self) -> int:
        return sum(held.num_bytes for held in self._held.values())

    def _download(self, part: Preflight, folder: Path) -> None:
        for seconds in (*SECONDS_BETWEEN_ATTEMPTS, None):
            try:
                self._attempt(part, folder)
            except EvaluatorFailure as failure:
                if seconds is None or not is_transient(failure):
                    raise
                self._stopping.wait(seconds)
            else:
                return

    def _attempt(self, part: Preflight, folder: Path) -> None:
        source = part.source
        missing = sum(part.files.values()) - sum(_size(folder / name) for name in part.files)
        free = shutil.disk_usage(self._folder).free
        if missing > free:
            raise EvaluatorFailure(
                ModelStatus.DOWNLOAD_FAILED,
                f"{source.model}: the disk is full: {_gigabytes(missing)} to fetch, {_gigabytes(free)} free at "
                f"{self._folder}; free some space, or set GEMBENCH_CACHE_DIR to another disk.",
            ) from OSError(DISK_FULL, "No space left on device")
        if self._stopping.is_set():
            raise DownloadStoppedError(f"{source.model}: the download was stopped.")
        hub.download(
            str(source.repo_id),
            str(source.revision),
            tuple(part.files),
            folder,
            is_stopping=self._stopping.is_set,
        )
        for name, size in part.files.items():
            if _size(folder / name) != size:
                found = _size(folder / name)
                (folder / name).unlink(missing_ok=True)
                what = f"arrived with {found:,} of {size:,} bytes" if found else "did not arrive"
                raise EvaluatorFailure(
                    ModelStatus.DOWNLOAD_FAILED, f"{source.model}: {name} {what}; try again with --retry-failed."
                )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _gigabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.3g} GB"
