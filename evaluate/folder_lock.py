"""A folder that several processes use and the last one removes, whatever way the others ended."""

import fcntl
import os
import shutil
from pathlib import Path


class SharedFolder:
    """A hold on a folder, which keeps every process from removing it. The system drops a dead process's holds.

    The lock file lies beside the folder, so that it can be taken before there is a folder.
    """

    def __init__(self, folder: Path) -> None:
        """Wait for whoever is removing the folder, then hold it."""
        self.folder = folder
        self._lock = _locked(_lock_path(folder))

    def release(self) -> None:
        """Give the hold back, and remove the folder if it was the last one."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # Someone else holds it.
            os.close(self._lock)
            return
        try:
            shutil.rmtree(self.folder, ignore_errors=True)
            _lock_path(self.folder).unlink(missing_ok=True)
        finally:
            os.close(self._lock)

    def keep(self) -> None:
        """Give the hold back, and leave the folder."""
        os.close(self._lock)


def remove_unheld(parent: Path, keep: frozenset[Path]) -> None:
    """Remove the folders in a folder that nobody holds, as dead processes leave them, but for those in `keep`."""
    for folder in [entry for entry in parent.iterdir() if entry.is_dir() and entry not in keep]:
        SharedFolder(folder).release()


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _locked(path: Path) -> int:
    """The descriptor of the lock file, once nobody removes the folder any more."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            if os.path.samestat(os.fstat(lock), path.stat()):
                return lock
        except FileNotFoundError:
            pass  # Removed between opening and locking: take its successor.
        os.close(lock)
