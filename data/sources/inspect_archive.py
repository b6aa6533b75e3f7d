"""Inspect's log files: what the header of an `.eval` zip or a `.json` says, and what became of each sample.

Nothing is unpacked to a disk. Members are read a piece at a time, so that one that unpacks to more than it says, or to
more than is sensible, is left before it is in memory.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import fsspec

from gembench.data.sources.files import parse_json, read_bytes
from gembench.data.sources.texts import reason
from gembench.errors import SourceError

if sys.version_info >= (3, 14):
    import zipfile
else:
    from backports.zstd import zipfile

MAX_JSON = 1 << 30
"""A `.json` log holds every message of a run, and is parsed as a whole."""
MAX_MEMBER = 256 << 20
MAX_MEMBERS = 1 << 30
"""All that is read of one archive."""
PIECE = 1 << 20
HEADER, SUMMARIES = "header.json", "summaries.json"
START, JOURNAL = "_journal/start.json", "_journal/summaries/"
Json = Mapping[str, Any]


@dataclass(frozen=True)
class InspectLog:
    """A log as its file has it.

    Attributes:
        header: `eval`, `results`, `status` and more; `results` is missing where the run crashed.
        samples: by id and epoch, the last word on each: scores, error, limit, times.
    """

    header: Json
    samples: list[Json]


def read_inspect_log(file: str) -> InspectLog:
    """What a log says.

    Raises:
        SourceError: it is no log of Inspect, cut short, or holds more than is read.
    """
    if file.endswith(".eval"):
        header, samples = _read_archive(file)
    else:
        content = parse_json(read_bytes(file, MAX_JSON), file)
        header = content if isinstance(content, dict) else {}
        samples = header.get("samples") or []
    if not isinstance(header.get("eval"), dict) or not isinstance(samples, list):
        raise SourceError(f"{file}: holds no 'eval' with 'samples'; is this a log of Inspect?")
    return InspectLog(header, _last_of_each(samples, file))


def _last_of_each(samples: Iterable[Any], file: str) -> list[Json]:
    """A sample that was asked again stands behind its first try."""
    last: dict[tuple[str, int], Json] = {}
    for number, sample in enumerate(samples, start=1):
        identifier = sample.get("id") if isinstance(sample, dict) else None
        epoch = sample.get("epoch", 1) if isinstance(sample, dict) else None
        if not isinstance(identifier, str | int) or not isinstance(epoch, int):
            raise SourceError(f"{file}: sample {number} has no 'id' and 'epoch'; is this a log of Inspect?")
        last[str(identifier)[:1000], epoch] = sample
    return list(last.values())


def _read_archive(file: str) -> tuple[Json, list[Any]]:
    try:
        with fsspec.open(file, "rb") as stored, zipfile.ZipFile(stored) as archive:
            return _Archive(archive, file).read()
    except SourceError:
        raise
    except Exception as error:  # zipfile, each codec and each file system raise their own.
        raise SourceError(f"{file}: cannot be read as a zip: {reason(error)}; copy it again.") from error


class _Archive:
    """An open `.eval`, and how much of it was read."""

    def __init__(self, archive: zipfile.ZipFile, file: str) -> None:
        self.archive = archive
        self.file = file
        self.names = set(archive.namelist())
        self.num_bytes = 0

    def read(self) -> tuple[Json, list[Any]]:
        for name in self.names:
            if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
                raise SourceError(f"{self.file}: the member {name!r:.80} leads out of the archive; do not trust it.")
        if HEADER in self.names:
            header = self._object(HEADER)
        elif START in self.names:
            header = {"status": "started", **self._object(START)}
        else:
            raise SourceError(f"{self.file}: holds neither {HEADER} nor {START}; is this a log of Inspect?")
        samples: list[Any] = []
        for name in [SUMMARIES] if SUMMARIES in self.names else self._journal():
            part = self._json(name)
            if not isinstance(part, list):
                raise SourceError(f"{self.file}, {name}: holds no list of samples; is this a log of Inspect?")
            samples += part
        if header.get("invalidated"):
            samples = self._without_invalid(samples)
        return header, samples

    def _journal(self) -> list[str]:
        """The summaries of a run that crashed, in the order in which they were written."""
        numbers = {
            name: name.removeprefix(JOURNAL).removesuffix(".json") for name in self.names if name.startswith(JOURNAL)
        }
        written = {name: int(number) for name, number in numbers.items() if number.isascii() and number.isdecimal()}
        return sorted(written, key=lambda name: written[name])

    def _without_invalid(self, samples: list[Any]) -> list[Any]:
        """Summaries do not say which samples a person has struck out: the samples themselves do."""
        checked = []
        for sample in samples:
            name = f"samples/{sample.get('id')}_epoch_{sample.get('epoch')}.json" if isinstance(sample, dict) else ""
            full = self._json(name) if name in self.names else None
            struck_out = full.get("invalidation") if isinstance(full, dict) else None
            checked.append({**sample, "invalidation": struck_out} if struck_out else sample)
        return checked

    def _object(self, name: str) -> Json:
        value = self._json(name)
        if not isinstance(value, dict):
            raise SourceError(f"{self.file}, {name}: holds no object; is this a log of Inspect?")
        return value

    def _json(self, name: str) -> Any:
        return parse_json(self._read(name), f"{self.file}, {name}")

    def _read(self, name: str) -> bytes:
        size = self.archive.getinfo(name).file_size
        self.num_bytes += size
        if size > MAX_MEMBER or self.num_bytes > MAX_MEMBERS:
            raise SourceError(f"{self.file}, {name}: unpacks to {size:,} bytes, more than is read of a log.")
        pieces = []
        with self.archive.open(name) as member:
            # A piece at a time: a read of it all would unpack what the member holds, not what it says it holds.
            while piece := member.read(PIECE):
                pieces.append(piece)
        return b"".join(pieces)
