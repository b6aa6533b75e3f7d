"""The files of a checkpoint, wherever they lie: their sizes, their bytes, and what they are for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import EvaluatorFailure

CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
SINGLE_WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
GENERATION_CONFIG = "generation_config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")
TOKENIZERS = (
    ("tokenizer.json",),
    ("tokenizer.model",),
    ("vocab.json", "merges.txt"),
    ("spiece.model",),
    ("sentencepiece.bpe.model",),
    ("tekken.json",),
    ("vocab.txt",),
)
"""Any of these sets of files makes a tokenizer."""
TOKENIZER_FILES = (
    *dict.fromkeys(name for names in TOKENIZERS for name in names),
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
)
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")

_LARGEST_JSON = 200_000_000


class ModelFiles(Protocol):
    """A checkpoint's own folder, without subfolders, here or on the Hub."""

    @property
    def place(self) -> str:
        """Where they lie, for messages."""
        ...

    @property
    def sizes(self) -> Mapping[str, int]:
        """Bytes of each file, by name."""
        ...

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes from `start` to before `stop`, or to the file's end if that comes first.

        Raises:
            EvaluatorFailure: they cannot be had.
        """
        ...


@dataclass(frozen=True)
class LocalFiles:
    """A checkpoint's files in a folder here."""

    folder: Path

    @property
    def place(self) -> str:
        """The folder."""
        return str(self.folder)

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Bytes of each file, by name; links are followed."""
        try:
            return {entry.name: entry.stat().st_size for entry in sorted(self.folder.iterdir()) if entry.is_file()}
        except OSError as error:
            raise EvaluatorFailure(ModelStatus.NOT_FOUND, f"{self.folder} cannot be listed: {error}.") from error

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes of a file. Raises EvaluatorFailure if it cannot be read."""
        try:
            with (self.folder / name).open("rb") as file:
                file.seek(start)
                return file.read(-1 if stop is None else stop - start)
        except OSError as error:
            raise EvaluatorFailure(ModelStatus.NOT_FOUND, f"{self.folder / name} cannot be read: {error}.") from error


def read_json(files: ModelFiles, name: str) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        EvaluatorFailure: it is no JSON object, or cannot be had.
    """
    size = files.sizes[name]
    if size > _LARGEST_JSON:
        raise EvaluatorFailure(
            ModelStatus.UNSUPPORTED, f"{files.place}: {name} has {size:,} bytes, too many to be real."
        )
    try:
        value = json.loads(files.read(name))
    except (ValueError, RecursionError) as error:
        raise EvaluatorFailure(
            ModelStatus.UNSUPPORTED, f"{files.place}: {name} is no JSON ({error}); ask its author for an intact one."
        ) from error
    if not isinstance(value, dict):
        raise EvaluatorFailure(ModelStatus.UNSUPPORTED, f"{files.place}: {name} holds no JSON object.")
    return value


def chat_template(files: ModelFiles) -> str:
    """The text of a checkpoint's chat template, "" if it has none.

    Several named templates, as some tokenizers have, count as the JSON text of their list.
    """
    if TEMPLATE_FILES[0] in files.sizes:
        return files.read(TEMPLATE_FILES[0]).decode(errors="replace")
    for name in (TEMPLATE_FILES[1], TOKENIZER_CONFIG):
        template = read_json(files, name).get("chat_template") if name in files.sizes else None
        if template:
            return template if isinstance(template, str) else json.dumps(template, sort_keys=True)
    return ""
