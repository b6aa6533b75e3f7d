"""Bringing one model's files into a folder, again and again where the network fails."""

import shutil
import threading
from pathlib import Path

from gembench.data.status import ModelStatus
from gembench.evaluate import hub
from gembench.evaluate.evaluator import EvaluatorFailure
from gembench.evaluate.hub_errors import DISK_FULL, DownloadStoppedError, is_transient
from gembench.evaluate.preflight import Preflight

SECONDS_BETWEEN_ATTEMPTS = (5.0, 15.0, 45.0, 120.0)
"""Waits between attempts at one model. Each attempt is already repeated, request by request, by `huggingface_hub`."""


def download(part: Preflight, folder: Path, stopping: threading.Event) -> None:
    """Bring a model's own files, not its base's, into a folder whose parent exists. What is there already stays.

    Raises:
        EvaluatorFailure: `DOWNLOAD_FAILED` or `GATED`.
        DownloadStoppedError: `stopping` was set.
    """
    for seconds in (*SECONDS_BETWEEN_ATTEMPTS, None):
        try:
            _attempt(part, folder, stopping)
        except EvaluatorFailure as failure:
            if seconds is None or not is_transient(failure):
                raise
            stopping.wait(seconds)
        else:
            return


def check_goes_on(part: Preflight, stopping: threading.Event) -> None:
    """Raise DownloadStoppedError if `stopping` was set."""
    if stopping.is_set():
        raise DownloadStoppedError(f"{part.source.model}: the download was stopped.")


def gigabytes(num_bytes: int) -> str:
    """As messages say it."""
    return f"{num_bytes / 1e9:.3g} GB"


def _attempt(part: Preflight, folder: Path, stopping: threading.Event) -> None:
    source = part.source
    missing = sum(part.files.values()) - sum(_size(folder / name) for name in part.files)
    free = shutil.disk_usage(folder.parent).free
    if missing > free:
        raise EvaluatorFailure(
            ModelStatus.DOWNLOAD_FAILED,
            f"{source.model}: the disk is full: {gigabytes(missing)} to fetch, {gigabytes(free)} free at "
            f"{folder.parent}; free some space, or set GEMBENCH_CACHE_DIR to another disk.",
        ) from OSError(DISK_FULL, "No space left on device")
    check_goes_on(part, stopping)
    hub.download(str(source.repo_id), str(source.revision), tuple(part.files), folder, is_stopping=stopping.is_set)
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
