"""What a recorded row depends on, as digests: two rows under one fingerprint are answers of one and the same model."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from gembench.evaluate.file_digest import combined_sha256, file_sha256
from gembench.evaluate.model_files import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    CONFIG,
    GENERATION_CONFIG,
    TOKENIZER_FILES,
    LocalFiles,
    chat_template,
)
from gembench.evaluate.weights import weight_files

_NOTHING_KNOWN: Mapping[str, str] = MappingProxyType({})


def fingerprint(
    folder: Path, *, base_folder: Path | None = None, known_sha256: Mapping[str, str] = _NOTHING_KNOWN
) -> Mapping[str, str]:
    """Hex sha256 of a checkpoint's `weights`, `config`, `generation_config`, `tokenizer` and `chat_template`.

    What is not there has the digest "". A new commit that changes none of them leaves the fingerprint as it is.

    Args:
        folder: the checkpoint, or a LoRA adapter.
        base_folder: of an adapter, the model that it adapts: its digests follow, their names beginning with `base_`.
        known_sha256: name → digest of files of `folder` that need not be read, as the Hub publishes them.

    Raises:
        EvaluatorFailure: no weights are there.
        OSError: a file cannot be read.
    """
    files = LocalFiles(folder)

    def digest(name: str) -> str:
        if name not in files.sizes:
            return ""
        return known_sha256.get(name) or file_sha256(folder / name)

    is_adapter = base_folder is not None
    tokenizer = [f"{name} {digest(name)}" for name in TOKENIZER_FILES if name in files.sizes]
    template = chat_template(files)
    found = {
        "weights": combined_sha256(map(digest, (ADAPTER_WEIGHTS,) if is_adapter else weight_files(files))),
        "config": digest(ADAPTER_CONFIG if is_adapter else CONFIG),
        "generation_config": digest(GENERATION_CONFIG),
        "tokenizer": combined_sha256(tokenizer) if tokenizer else "",
        "chat_template": hashlib.sha256(template.encode()).hexdigest() if template else "",
    }
    if base_folder is not None:
        found.update({f"base_{name}": value for name, value in fingerprint(base_folder).items()})
    return MappingProxyType(found)
