"""Submissions on the disk: a folder each, with the policy's file, its card and its result, and nothing else.

Whatever is read here was written by strangers: a folder that is not what it should be is refused, by name.
"""

import dataclasses
import hashlib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from gembench.errors import BenchmarkError, UsageError
from gembench.leaderboard import policy_file, result_file
from gembench.leaderboard.entry import Card, Published
from gembench.leaderboard.policy_file import PolicyFile
from gembench.leaderboard.result_file import Result, from_json, to_json
from gembench.replacing import folder_beside

POLICY, CARD, RESULT = "policy.py", "card.toml", "result.json"
_FILES = {POLICY: policy_file.LARGEST_FILE, CARD: 2**14, RESULT: result_file.LARGEST_FILE}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SEPARATORS = re.compile("[,=]")


def read_submissions(folder: Path) -> tuple[Published, ...]:
    """The submissions in a folder, by name; none where there is no such folder.

    Raises:
        BenchmarkError: what lies there is no submission.
    """
    if not folder.is_dir():
        return ()
    return tuple(
        read_submission(place) for place in sorted(folder.iterdir()) if place.is_dir() and place.name[0] not in "._"
    )


def read_submission(folder: Path) -> Published:
    """One submission.

    Raises:
        BenchmarkError: a file is missing, one too many, too large or not what it should be, or they differ.
    """
    texts = _read_files(folder)
    card = _read_card(texts[CARD], folder / CARD)
    result = from_json(texts[RESULT], str(folder / RESULT))
    for what, stated, wanted in (
        (f"name in {CARD}", card.name, folder.name),
        (f"policy in {RESULT}", result.scores.name, folder.name),
        (f"file_sha256 in {RESULT}", result.file_sha256, hashlib.sha256(texts[POLICY].encode()).hexdigest()),
    ):
        if stated != wanted:
            raise BenchmarkError(f"{folder}: the {what} is {stated!r:.90}, but should be {wanted}; submit it again.")
    return Published(card, texts[POLICY], result, is_submission=True)


def write_submission(folder: Path, card: Card, text: str, result: Result) -> Path:
    """Write a submission into a folder of submissions, whole or not at all, and give its place.

    Raises:
        UsageError: it is there already, or cannot be written.
    """
    target = check_place(folder, card.name)
    try:
        with folder_beside(target) as workplace:
            part = workplace / card.name
            part.mkdir()
            (part / POLICY).write_bytes(text.encode())
            (part / CARD).write_bytes(tomli_w.dumps(dataclasses.asdict(card)).encode())
            (part / RESULT).write_bytes(to_json(result).encode())
            part.rename(target)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}; choose another folder.") from error
    return target


def check_place(folder: Path, name: str) -> Path:
    """Where the submission of that name will lie. The folder is made where it is missing.

    Raises:
        UsageError: the name is none, is taken, or the folder cannot be made.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{name}' is no name of a policy; take small letters, digits and underscores.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make {folder}: {error.strerror}; choose another folder.") from error
    if (folder / name).exists():
        raise UsageError(f"{folder / name}: is there already; choose another name, or remove it to submit it anew.")
    return folder / name


def make_card(
    name: str,
    author: str,
    source: str,
    license_expression: str,
    description: str,
    policy_class: str,
    hyper_parameters: Mapping[str, str | int | float | bool],
) -> Card:
    """A card whose license is an SPDX expression and whose texts are lines.

    Raises:
        UsageError: the license is none, a text is empty, or a hyper-parameter cannot be named on a command line.
    """
    for what, text in (("author", author), ("source", source), ("description", description)):
        if not text.strip() or not all(letter.isprintable() for letter in text):
            raise UsageError(f"the {what} should be a line of text, got {text!r:.60}.")
    for key, value in hyper_parameters.items():
        if isinstance(value, str) and _SEPARATORS.search(value):
            raise UsageError(f"{key} is {value!r:.60}: a text with , or = in it cannot be submitted.")
    try:
        license_name = canonicalize_license_expression(license_expression)
    except InvalidLicenseExpression as error:
        raise UsageError(
            f"'{license_expression}' is no SPDX license expression; give one like MIT or Apache-2.0."
        ) from error
    return Card(name, author, source, license_name, description, policy_class, dict(hyper_parameters))


def policy_file_of(published: Published, folder: Path) -> PolicyFile:
    """A submission's file, class and hyper-parameters, as they are scored."""
    card = published.card
    settings = ",".join(f"{key}={value}" for key, value in card.hyper_parameters.items())
    return PolicyFile(str(folder / card.name / POLICY), published.code, card.policy_class, settings)


def _read_files(folder: Path) -> dict[str, str]:
    names = sorted(place.name for place in folder.iterdir() if place.name != "__pycache__")
    if names != sorted(_FILES):
        raise BenchmarkError(f"{folder}: should hold {', '.join(_FILES)} alone, but holds {', '.join(names)}.")
    texts = {}
    for name, largest in _FILES.items():
        place = folder / name
        try:
            if place.is_symlink() or not place.is_file():
                raise BenchmarkError(f"{place}: should be a plain file.")
            with place.open("rb") as file:
                content = file.read(largest + 1)
            texts[name] = content.decode("utf-8")
        except OSError as error:
            raise BenchmarkError(f"{place}: cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise BenchmarkError(f"{place}: is no text in UTF-8.") from error
        if len(content) > largest:
            raise BenchmarkError(f"{place}: is larger than {largest:,} bytes.")
    return texts


def _read_card(text: str, place: Path) -> Card:
    try:
        stated: dict[str, Any] = tomllib.loads(text)
    except ValueError as error:
        raise BenchmarkError(f"{place}: is no TOML: {error}.") from error
    names = [field.name for field in dataclasses.fields(Card)]
    if sorted(stated) != sorted(names):
        raise BenchmarkError(f"{place}: should have {', '.join(names)}, but has {', '.join(stated) or 'nothing'}.")
    hyper_parameters = stated.pop("hyper_parameters")
    if not isinstance(hyper_parameters, dict) or not all(
        isinstance(value, str | int | float) for value in hyper_parameters.values()
    ):
        raise BenchmarkError(f"{place}: hyper_parameters should be a table of numbers, texts and truth values.")
    for name, value in stated.items():
        if not isinstance(value, str):
            raise BenchmarkError(f"{place}: {name} should be a text.")
    return Card(**stated, hyper_parameters=hyper_parameters)
