"""The files of logs: found in folders, globs and URLs, and read within bounds."""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import fsspec
import orjson

from gembench.data.sources.texts import clean_text, reason
from gembench.data.stores import is_url, local_path
from gembench.errors import SourceError

MAX_BYTES = 4 << 30
"""The most that is read of one file, unpacked: what a hostile archive can cost."""


def find_files(places: Sequence[str], is_wanted: Callable[[str], bool], what: str) -> list[tuple[str, int]]:
    """The wanted files in files, folders, globs and fsspec URLs, each once, with their sizes (0 where unknown).

    They come in the order of the places, those of one place sorted. Where a place names a file outright, and no place
    has a file of a wanted name, the file is taken at its word: people rename logs.

    Args:
        places: paths and URLs.
        is_wanted: says from the path whether a file is one.
        what: what is looked for, for the message.

    Raises:
        SourceError: a place does not exist or cannot be listed, or there is no wanted file in any.
    """
    wanted: dict[str, int] = {}
    named: dict[str, int] = {}
    for place in places:
        is_named, files = _files_at(place)
        if is_named:
            named.update(files)
        wanted.update((path, size) for path, size in files if is_wanted(path))
    found = wanted or named
    if not found:
        raise SourceError(
            f"{', '.join(places) or 'no place given'}: no {what} lies there; name the folder that has it."
        )
    return list(found.items())


def _files_at(place: str) -> tuple[bool, list[tuple[str, int]]]:
    """Whether a place names one file, and all files there."""
    try:
        if not is_url(place):
            path = local_path(place)
            if path.is_file():
                return True, [(str(path), path.stat().st_size)]
            if path.is_dir():
                return False, sorted(_files_under(path))
        return _files_of_system(place)
    except SourceError:
        raise
    except Exception as error:  # Each file system raises its own when it is offline or refuses.
        raise SourceError(f"{place}: cannot be listed: {reason(error)}.") from error


def _files_under(folder: Path) -> Iterator[tuple[str, int]]:
    """Links to folders are not followed: a link to a folder above would have no end."""

    def refuse(error: OSError) -> None:
        raise SourceError(f"{error.filename}: cannot be listed: {error.strerror}.") from error

    for parent, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            path = Path(parent, name)
            if path.is_file():
                yield str(path), path.stat().st_size


def _files_of_system(place: str) -> tuple[bool, list[tuple[str, int]]]:
    """Globs of any file system, and files and folders of a foreign one."""
    system, path = fsspec.core.url_to_fs(place)
    if system.isfile(path):
        return True, [(place, int(system.size(path) or 0))]
    tops = [path] if system.isdir(path) else sorted(system.glob(path))
    if not tops:
        raise SourceError(f"{place}: nothing lies there.")
    local = not is_url(place)
    found = []
    for top in tops:
        for name, entry in sorted(system.find(top, detail=True).items()):
            found.append((name if local else system.unstrip_protocol(name), int(entry.get("size") or 0)))
    return False, found


def read_bytes(location: str, max_bytes: int = MAX_BYTES) -> bytes:
    """All bytes of a file, unpacked where its name ends in `.gz`, `.zst`, `.bz2` or `.xz`.

    Raises:
        SourceError: it cannot be read, or unpacks to more than `max_bytes`.
    """
    try:
        with fsspec.open(location, "rb", compression="infer") as file:
            data: bytes = file.read(max_bytes + 1)
    except Exception as error:  # Each file system and each decompressor raises its own.
        raise SourceError(f"{location}: cannot be read: {reason(error)}; copy it again.") from error
    if len(data) > max_bytes:
        raise SourceError(f"{location}: unpacks to more than {max_bytes:,} bytes; split it if that is meant.")
    return data


def parse_json(data: bytes, location: str) -> Any:
    """What JSON says, with the NaN and Infinity that Python's own writer puts into it.

    Raises:
        SourceError: it is not JSON; the message has the line.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as strict:
        try:
            return json.loads(data)
        except json.JSONDecodeError as error:
            raise SourceError(
                f"{location}, line {error.lineno}: {error.msg}; the file is cut short or not JSON, copy it again."
            ) from error
        except (ValueError, RecursionError) as error:  # Not UTF-8, a number of thousands of digits, or nested too deep.
            raise SourceError(f"{location}, line {strict.lineno}: {strict.msg}; write the file again.") from error


def plain_settings(stated: Mapping[str, Any], names: Sequence[str]) -> dict[str, str | int | float]:
    """Those of the named settings that are texts or finite numbers, to be kept as an attribute."""
    settings: dict[str, str | int | float] = {}
    for name in names:
        value = stated.get(name)
        if isinstance(value, str):
            settings[name] = clean_text(value)
        elif isinstance(value, int | float) and abs(value) < math.inf:
            settings[name] = value
    return settings
