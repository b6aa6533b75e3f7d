"""Which models to record: what `--models` says, ids on the Hub, local folders, or a file of either."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from gembench.errors import UsageError

_HUB_ID = re.compile(r"(?P<repo_id>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?")
_NUMBERS = ("downloads", "likes", "num_parameters")
_COLUMNS = ("model", "folder", "parent", "base", "license", "created", *_NUMBERS)
_CONFIG_FILES = ("config.json", "adapter_config.json")


class ModelListError(UsageError):
    """A list of models cannot be read."""


@dataclass(frozen=True)
class ModelSource:
    """A model and where it is, either on the Hub (`repo_id`) or in a folder here.

    Attributes:
        model: its id in the tensor: `org/name`, `org/name@revision`, or the user's own name for a folder.
        repo_id: `org/name` on the Hub; None for a folder.
        revision: a branch, tag or commit of that; None for the newest.
        folder: its files here; None for a model on the Hub.
        parent: the model that it was made from, "" if unknown.
        base: the root of its model tree, "" if unknown.
        license: as its card names it, "" if unknown.
        downloads: in the last 30 days, None if unknown.
        likes: None if unknown.
        num_parameters: None if unknown.
        created: ISO 8601 date or time, "" if unknown.
    """

    model: str
    repo_id: str | None = None
    revision: str | None = None
    folder: Path | None = None
    parent: str = ""
    base: str = ""
    license: str = ""
    downloads: int | None = None
    likes: int | None = None
    num_parameters: int | None = None
    created: str = ""

    def __post_init__(self) -> None:
        if (self.repo_id is None) == (self.folder is None):
            raise ValueError(f"{self.model}: a model has either a repo_id or a folder.")


def read_models(models: str) -> tuple[ModelSource, ...]:
    """The models that `--models` names, in its order, each once.

    Args:
        models: a file (one id or folder a line, `#` starts a comment; or `.csv` with a column `model` and any of
            folder, parent, base, license, downloads, likes, num_parameters, created), or ids and folders with commas
            between them. A folder may hold one checkpoint or many, one a subfolder. What exists here as a folder is a
            folder, even if it looks like an id. In a file, folders are relative to the file.

    Raises:
        ModelListError: no models, one twice, an unknown column, a wrong value, or a folder that is not there. The line
            names the file and the line in it.
    """
    path = Path(models).expanduser()
    if path.is_file():
        found = _from_csv(path) if path.suffix.lower() == ".csv" else _from_lines(path)
    else:
        found = _from_entries(models)
    sources: list[ModelSource] = []
    first_places: dict[str, str] = {}
    for place, source in found:
        if source.model in first_places:
            raise ModelListError(
                f"{place}: {source.model!r} was named before, by {first_places[source.model]}; name each model once, "
                f"and folders of one name differently, in a CSV file's column 'model'."
            )
        first_places[source.model] = place
        sources.append(source)
    if not sources:
        raise ModelListError(f"--models {models!r} names no model; give ids such as org/name, folders, or a file.")
    return tuple(sources)


def parse_hub_id(text: str) -> tuple[str, str | None] | None:
    """(`org/name`, revision or None) of `org/name[@revision]`, or None if it is no such id."""
    match = _HUB_ID.fullmatch(text)
    return (match["repo_id"], match["revision"]) if match else None


def _from_entries(models: str) -> Iterator[tuple[str, ModelSource]]:
    for entry in filter(None, map(str.strip, models.split(","))):
        place = f"--models entry {entry!r}"
        for source in _sources(entry, Path(), place):
            yield place, source


def _from_lines(path: Path) -> Iterator[tuple[str, ModelSource]]:
    for number, line in enumerate(_text(path).splitlines(), start=1):
        entry = re.sub(r"(^|\s)#.*", "", line).strip()
        if entry:
            place = f"{path}, line {number}"
            for source in _sources(entry, path.parent, place):
                yield place, source


def _sources(entry: str, root: Path, place: str) -> Sequence[ModelSource]:
    folder = root / Path(entry).expanduser()
    if folder.is_dir():
        return _in_folder(folder, place)
    hub_id = parse_hub_id(entry)
    if hub_id is None:
        raise ModelListError(f"{place}: {entry!r} is neither a folder here nor an id such as org/name or org/name@tag.")
    return (ModelSource(entry, repo_id=hub_id[0], revision=hub_id[1]),)


def _in_folder(folder: Path, place: str) -> Sequence[ModelSource]:
    """The checkpoint that a folder is, or those in its subfolders, by name."""
    folder = folder.resolve()
    if _is_checkpoint(folder):
        return (ModelSource(folder.name, folder=folder),)
    found = tuple(
        ModelSource(child.name, folder=child)
        for child in sorted(folder.iterdir())
        if child.is_dir() and _is_checkpoint(child)
    )
    if not found:
        raise ModelListError(f"{place}: no config.json or adapter_config.json in {folder} or a folder in it.")
    return found


def _is_checkpoint(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _CONFIG_FILES)


def _from_csv(path: Path) -> Iterator[tuple[str, ModelSource]]:
    reader = csv.DictReader(_text(path).splitlines(keepends=True), strict=True)
    try:
        _check_columns(reader.fieldnames or (), path)
        for row in reader:
            place = f"{path}, line {reader.line_num}"
            if None in row or None in row.values():
                raise ModelListError(f"{place}: has not as many values as the header; quote values that hold commas.")
            yield place, _from_row({name: value.strip() for name, value in row.items()}, path.parent, place)
    except csv.Error as error:
        raise ModelListError(f"{path}, after line {reader.line_num}: {error}.") from error


def _check_columns(columns: Iterable[str], path: Path) -> None:
    columns = list(columns)
    unknown = [name for name in columns if name not in _COLUMNS]
    if unknown:
        raise ModelListError(f"{path}, line 1: unknown column {unknown[0]!r}; there are {', '.join(_COLUMNS)}.")
    if "model" not in columns:
        raise ModelListError(f"{path}, line 1: no column 'model'; it names each model, by id or as you like.")
    if len(set(columns)) < len(columns):
        raise ModelListError(f"{path}, line 1: a column occurs twice.")


def _from_row(row: Mapping[str, str], root: Path, place: str) -> ModelSource:
    repo_id = revision = folder = None
    model = row["model"]
    if not model:
        raise ModelListError(f"{place}: the model has no name.")
    if row.get("folder"):
        folder = (root / Path(row["folder"]).expanduser()).resolve()
        if not folder.is_dir():
            raise ModelListError(f"{place}: no folder {folder}; it is relative to the file.")
    else:
        hub_id = parse_hub_id(model)
        if hub_id is None:
            raise ModelListError(f"{place}: {model!r} is no id such as org/name; a model that is not has a folder.")
        repo_id, revision = hub_id
    numbers = {name: _number(row[name], name, place) for name in _NUMBERS if row.get(name)}
    created = row.get("created", "")
    if created:
        _check_date(created, place)
    return ModelSource(
        model,
        repo_id,
        revision,
        folder,
        parent=row.get("parent", ""),
        base=row.get("base", ""),
        license=row.get("license", ""),
        created=created,
        **numbers,
    )


def _number(value: str, column: str, place: str) -> int:
    if not value.isdecimal():
        raise ModelListError(f"{place}: {column} is {value!r}; write a whole number, or leave it empty.")
    return int(value)


def _check_date(value: str, place: str) -> None:
    try:
        date.fromisoformat(value) if len(value) == len("2025-01-31") else datetime.fromisoformat(value)
    except ValueError:
        raise ModelListError(f"{place}: created is {value!r}; write a date such as 2025-01-31.") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelListError(f"{path}: cannot be read as text: {error}.") from error
