"""The Hugging Face Hub: what it knows of models, and their files. This and `hub_errors` import `huggingface_hub`.

`HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE` are read at each call, `HF_HOME` when the library is first imported.
Requests that fail with 408, 429, 5xx or no connection are repeated by the library's own exponential back-off, which
waits as long as `Retry-After` says.
"""

import glob
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import EvaluatorFailure
from gembench.evaluate.hub_errors import DownloadStoppedError, hub_endpoint, hub_failures
from gembench.evaluate.hub_facts import Facts

if TYPE_CHECKING:
    from huggingface_hub import HfApi, ModelInfo

_TIMEOUT_SECONDS = 30
_RETRIED = (408, 429, 500, 502, 503, 504)
LIST_PROPERTIES = ("createdAt", "downloads", "gated", "likes", "private", "safetensors", "sha", "tags")


@dataclass(frozen=True)
class Repo:
    """A model repository at a commit: what the Hub knows of it, and its files as `ModelFiles`.

    Attributes:
        repo_id: `org/name`.
        sha: the commit.
        sizes: bytes of each file outside subfolders, by name.
        sha256: hex digest, of the files that the Hub stores as large files.
        parent: the first model that the card says it was made from, "" if it does not.
        license: as the card names it, "" if it does not.
        downloads: in the last 30 days.
        likes: how many people like it.
        num_parameters: as its safetensors files say; None if the Hub has not counted.
        created: ISO 8601 time, "" if unknown.
    """

    repo_id: str
    sha: str
    sizes: Mapping[str, int]
    sha256: Mapping[str, str]
    parent: str
    license: str
    downloads: int | None
    likes: int | None
    num_parameters: int | None
    created: str

    @property
    def place(self) -> str:
        """Repository and commit."""
        return f"{self.repo_id} at {self.sha[:12]}"

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes from `start` to before `stop`, or to the file's end. Raises EvaluatorFailure."""
        from huggingface_hub import hf_hub_url

        stop = self.sizes[name] if stop is None else min(stop, self.sizes[name])
        if start >= stop:
            return b""
        url = hf_hub_url(self.repo_id, name, revision=self.sha, endpoint=hub_endpoint())
        with hub_failures(self.repo_id, self.sha):
            return _get(url, start, stop)


def is_offline() -> bool:
    """Whether `HF_HUB_OFFLINE` forbids the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def hub_api() -> "HfApi":
    """The library's client for the endpoint that `HF_ENDPOINT` names now."""
    from huggingface_hub import HfApi

    return HfApi(endpoint=hub_endpoint(), library_name="gembench")


def repo(repo_id: str, revision: str | None) -> Repo:
    """What the Hub knows of a repository at a revision (None for the newest), by one request.

    Raises:
        EvaluatorFailure: `NOT_FOUND`, `GATED`, or `DOWNLOAD_FAILED` where the Hub cannot be asked.
    """
    from huggingface_hub import ModelInfo

    # `HfApi.model_info` asks once and gives up; the library's back-off asks again.
    url = f"{hub_api().endpoint}/api/models/{repo_id}"
    if revision:
        url += f"/revision/{quote(revision, safe='')}"
    with hub_failures(repo_id, revision):
        info = ModelInfo(**json.loads(_get(f"{url}?blobs=true")))  # type: ignore[no-untyped-call]
    files = [file for file in info.siblings or () if "/" not in file.rfilename]
    return Repo(
        repo_id=info.id,
        sha=str(info.sha),
        sizes={file.rfilename: file.size or 0 for file in files},
        sha256={file.rfilename: file.lfs.sha256 for file in files if file.lfs},
        **facts_of(info)._asdict(),
    )


def card(repo_id: str) -> "ModelInfo":
    """What the Hub knows of a repository at its newest commit, without its files, by one request.

    Raises:
        EvaluatorFailure: `NOT_FOUND`, `GATED`, or `DOWNLOAD_FAILED` where the Hub cannot be asked.
    """
    from huggingface_hub import ModelInfo

    wanted = "&".join(f"expand={name}" for name in LIST_PROPERTIES)
    with hub_failures(repo_id, None):
        said = json.loads(_get(f"{hub_api().endpoint}/api/models/{repo_id}?{wanted}"))
        if not isinstance(said, dict) or "id" not in said:
            raise ValueError("the answer describes no model")
        return ModelInfo(**said)  # type: ignore[no-untyped-call]


def children(base: str) -> Iterator["ModelInfo"]:
    """The models whose cards name `base` as what they were made from, page by page. Raises EvaluatorFailure."""
    with hub_failures(base, None):
        yield from hub_api().list_models(filter=f"base_model:{base}", expand=list(LIST_PROPERTIES))  # type: ignore[arg-type]


def facts_of(info: "ModelInfo") -> Facts:
    """What is kept of a card. The parent is the first that it names."""
    return Facts(
        parent=next(iter(parents(info)), ""),
        license=license_of(info),
        downloads=info.downloads,
        likes=info.likes,
        num_parameters=info.safetensors.total if info.safetensors else None,
        created=info.created_at.isoformat() if info.created_at else "",
    )


def parents(info: "ModelInfo") -> Sequence[str]:
    """The models that a card names as its bases, in the order of its tags."""
    named = [tag.split(":") for tag in info.tags or () if tag.startswith("base_model:")]
    return list(dict.fromkeys(parts[-1] for parts in named))


def license_of(info: "ModelInfo") -> str:
    """The licence that a card names, "" if it names none."""
    return next((tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")), "")


def cached_snapshot(repo_id: str, revision: str | None) -> Path:
    """The folder in the user's own Hugging Face cache that holds a revision, whole or in part; named by its commit.

    Raises:
        EvaluatorFailure: `DOWNLOAD_FAILED`, there is none.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo_id, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise EvaluatorFailure(
            ModelStatus.DOWNLOAD_FAILED,
            f"{repo_id}: HF_HUB_OFFLINE is set, and {revision or 'main'} is not in the Hugging Face cache; unset it, "
            f"or run hf download {repo_id} first.",
        ) from error


def complete_snapshot(repo_id: str, sha: str, sizes: Mapping[str, int]) -> Path | None:
    """The folder in the user's own Hugging Face cache that holds all these files (name → bytes) of a commit, if any."""
    from huggingface_hub import try_to_load_from_cache

    paths = [try_to_load_from_cache(repo_id, name, revision=sha) for name in sizes]
    found = [Path(path) for path in paths if isinstance(path, str)]
    whole = len(found) == len(sizes) and all(path.stat().st_size == sizes[path.name] for path in found)
    return found[0].parent if found and whole else None


def download(
    repo_id: str, sha: str, names: Sequence[str], folder: Path, *, is_stopping: Callable[[], bool] = lambda: False
) -> None:
    """Fetch files of a commit into a folder, those that are not there yet, with the library's own retries.

    Raises:
        EvaluatorFailure: `is_transient` says whether another attempt may do better.
        DownloadStoppedError: `is_stopping` came true.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    class StoppableProgress(tqdm):
        """Draws nothing, as a live view has the terminal, and ends the download between two pieces of a file."""

        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **{**settings, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            if is_stopping():
                raise DownloadStoppedError(f"{repo_id}: the download was stopped.")
            return super().update(n)  # type: ignore[no-any-return]

    with hub_failures(repo_id, sha):
        snapshot_download(
            repo_id,
            revision=sha,
            local_dir=folder,
            allow_patterns=[glob.escape(name) for name in names],
            endpoint=hub_endpoint(),
            library_name="gembench",
            tqdm_class=StoppableProgress,
        )


def _get(url: str, start: int = 0, stop: int | None = None) -> bytes:
    """The body of a URL, or its bytes from `start` to before `stop`, even where a server ignores ranges."""
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        hf_raise_for_status,
        http_stream_backoff,
    )

    headers = build_hf_headers(library_name="gembench")
    headers["Accept-Encoding"] = "identity"
    if stop is not None:
        headers["Range"] = f"bytes={start}-{stop - 1}"
    body = bytearray()
    with http_stream_backoff(
        "GET", url, headers=headers, timeout=_TIMEOUT_SECONDS, retry_on_status_codes=_RETRIED
    ) as response:
        hf_raise_for_status(response)
        skipped = start if response.status_code != 206 else 0
        for chunk in response.iter_bytes():
            body += chunk
            if stop is not None and len(body) >= skipped + stop - start:
                break
    return bytes(body[skipped:] if stop is None else body[skipped : skipped + stop - start])
