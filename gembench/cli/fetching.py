"""How models come to this machine: looked at first, then downloaded ahead of the engines that need them."""

from __future__ import annotations

import shutil
from functools import lru_cache, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from gembench.data.journal import ModelRow
    from gembench.evaluate.download_cache import DownloadCache
    from gembench.evaluate.model_list import ModelSource
    from gembench.evaluate.preflight import Preflight
    from gembench.live.row import Candidate

    Fetch = Callable[[Sequence[ModelRow]], Generator[Candidate, None, None]]

SHARE_OF_DISK = 0.5
TEMPLATES_KEPT = 32


def look_at(sources: Sequence[ModelSource]) -> Mapping[str, Preflight]:
    """The pre-flight of every model, by its id."""
    from gembench.evaluate.preflight import preflight_all

    return {one.source.model: one for one in preflight_all(sources)}


def fetch_files(preflights: Mapping[str, Preflight], cache: DownloadCache, *, with_chat_template: bool) -> Fetch:
    """A function that brings the models of some rows here, one after the other."""
    from gembench.evaluate.chat_template import TokenizerTemplate
    from gembench.live.candidates import fetched_candidates

    # A search comes back to its survivors; a tokenizer takes some 10 MB.
    make_template = lru_cache(maxsize=TEMPLATES_KEPT)(TokenizerTemplate) if with_chat_template else None
    return partial(fetched_candidates, preflights=preflights, cache=cache, make_template=make_template)


def download_cache(disk: int | None, *, keeps: bool = False) -> DownloadCache:
    """Where downloads go: at most `disk` bytes of them, by default half of what is free.

    Args:
        disk: the most bytes.
        keeps: whether a model that was used stays for the next time, as long as no other needs its room.
    """
    from gembench.cache_folder import cache_folder
    from gembench.evaluate.download_cache import DownloadCache

    folder = cache_folder() / "models"
    return DownloadCache(folder, disk or int(SHARE_OF_DISK * _free_bytes(folder)), keeps=keeps)


def _free_bytes(folder: Path) -> int:
    """On the disk that a folder is, or will be, on."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
