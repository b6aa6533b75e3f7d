"""Pre-flight: what can be known of a model before any of its weights is fetched, and whether an engine should try it.

Only small JSON files and the headers of safetensors files are read, here or on the Hub.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gembench.data.status import ModelStatus
from gembench.evaluate import hub
from gembench.evaluate.architecture import (
    adapter_key,
    architecture_key,
    architecture_name,
    quantization_method,
)
from gembench.evaluate.duplicates import DuplicateWeights
from gembench.evaluate.evaluator import EvaluatorFailure
from gembench.evaluate.model_files import ADAPTER_CONFIG, CONFIG, LocalFiles, ModelFiles, chat_template, read_json
from gembench.evaluate.model_list import ModelSource, parse_hub_id
from gembench.evaluate.required_files import check_tokenizer, is_adapter, needed_files
from gembench.evaluate.weights import check_config_fits, read_adapter_weights, read_weights

_PARALLEL_CHECKS = 8


@dataclass(frozen=True)
class Preflight:
    """What a look at a model's small files says.

    Attributes:
        source: the model, with the commit that its revision is now, and what the Hub knows where the list was silent.
        status: `PENDING` if an engine should try it, else why not.
        message: why not, and what a person can do; "" if it can run.
        folder: where its files lie on this machine: the user's own folder, or a snapshot in the Hugging Face cache;
            None if they are still to be fetched.
        files: name → bytes of the files that it needs, its weights among them.
        weight_files: those of `files` that hold weights.
        sha256: name → hex digest, of those files whose digest the Hub knows.
        architecture: its class, such as `LlamaForCausalLM`; for an adapter, its base's.
        architecture_key: models with the same one may follow each other in one live engine.
        num_parameters: of the model, or of base and adapter together; None if unknown.
        quantization: how its weights are quantized, "" if they are not.
        has_chat_template: whether it says how to write a conversation down.
        base: for a LoRA adapter, the model that it adapts.
        duplicate_of: the model before it in the list with the very same weights, "" if there is none.
    """

    source: ModelSource
    status: ModelStatus = ModelStatus.PENDING
    message: str = ""
    folder: Path | None = None
    files: Mapping[str, int] = field(default_factory=dict)
    weight_files: tuple[str, ...] = ()
    sha256: Mapping[str, str] = field(default_factory=dict)
    architecture: str = ""
    architecture_key: str = ""
    num_parameters: int | None = None
    quantization: str = ""
    has_chat_template: bool = False
    base: "Preflight | None" = None
    duplicate_of: str = ""

    @property
    def can_run(self) -> bool:
        """Whether an engine should try it."""
        return not self.status.is_failure

    @property
    def disk_bytes(self) -> int:
        """What its files take on disk, its base's included."""
        return sum(self.files.values()) + (self.base.disk_bytes if self.base else 0)

    @property
    def download_bytes(self) -> int:
        """What is still to be fetched."""
        own = 0 if self.folder else sum(self.files.values())
        return own + (self.base.download_bytes if self.base else 0)


def preflight(source: ModelSource, known: Sequence[ModelSource] = ()) -> Preflight:
    """Look at a model without fetching its weights. What is wrong with the model is in the result, never raised.

    Args:
        source: the model.
        known: other models of the list: where an adapter names one of them as its base, that one is meant.
    """
    return _Checks(known).check(source)


def preflight_all(sources: Sequence[ModelSource]) -> Iterator[Preflight]:
    """Look at every model, some at once, and yield them in their order, each with the model that it duplicates."""
    checks = _Checks(sources)
    seen = DuplicateWeights()
    with ThreadPoolExecutor(_PARALLEL_CHECKS) as pool:
        for found in pool.map(checks.check, sources):
            yield replace(found, duplicate_of=_duplicate_of(found, seen)) if found.can_run else found


def _duplicate_of(found: Preflight, seen: DuplicateWeights) -> str:
    if found.base:
        return ""  # The same adapter of two bases is two models.
    if found.folder:
        return seen.first_on_disk(found.source.model, tuple(found.folder / name for name in found.weight_files))
    if all(name in found.sha256 for name in found.weight_files):
        return seen.first_published(found.source.model, tuple(found.sha256[name] for name in found.weight_files))
    return ""


class _Checks:
    """The checks of one list: a base that many adapters share is looked at once."""

    def __init__(self, known: Sequence[ModelSource]) -> None:
        self._known = {source.model: source for source in known}
        self._one_base = threading.Lock()
        self._bases: dict[tuple[str | None, str | None, Path | None], Preflight] = {}

    def check(self, source: ModelSource, *, is_base: bool = False) -> Preflight:
        try:
            opened = _open(source)
            source = opened.source
            files = opened.files
            if is_base and is_adapter(files):
                raise EvaluatorFailure(
                    ModelStatus.UNSUPPORTED, f"{files.place} is an adapter itself; merge it into its base."
                )
            found = self._check_adapter(source, files) if is_adapter(files) else _check_full_model(source, files)
            folder = opened.folder or hub.complete_snapshot(str(source.repo_id), str(source.revision), found.files)
        except EvaluatorFailure as failure:
            return Preflight(source, failure.status, str(failure))
        sha256 = {name: opened.sha256[name] for name in found.files if name in opened.sha256}
        return replace(found, folder=folder, sha256=sha256)

    def _check_adapter(self, source: ModelSource, files: ModelFiles) -> Preflight:
        config = read_json(files, ADAPTER_CONFIG)
        if config.get("peft_type", "LORA") != "LORA":
            raise EvaluatorFailure(
                ModelStatus.UNSUPPORTED,
                f"{files.place}: a PEFT adapter of type {config['peft_type']}; engines serve LORA alone: merge it into "
                f"its base and record that.",
            )
        weights = read_adapter_weights(files)
        base = self._base(source, config, files)
        if not base.can_run:
            raise EvaluatorFailure(base.status, f"{files.place}: its base model cannot run: {base.message}")
        base_parameters = base.num_parameters
        return Preflight(
            replace(source, parent=source.parent or base.source.model),
            files=needed_files(files, weights.files),
            weight_files=weights.files,
            architecture=base.architecture,
            architecture_key=adapter_key(base.architecture_key, f"{base.source.model} {base.source.revision}"),
            num_parameters=None if base_parameters is None else base_parameters + weights.num_parameters,
            quantization=base.quantization,
            has_chat_template=bool(chat_template(files)) or base.has_chat_template,
            base=base,
        )

    def _base(self, source: ModelSource, config: Mapping[str, Any], files: ModelFiles) -> Preflight:
        base_source = self._find_base(source, config, files)
        key = (base_source.repo_id, base_source.revision, base_source.folder)
        with self._one_base:
            if key not in self._bases:
                self._bases[key] = self.check(base_source, is_base=True)
            return self._bases[key]

    def _find_base(self, source: ModelSource, config: Mapping[str, Any], files: ModelFiles) -> ModelSource:
        named = config.get("base_model_name_or_path")
        for name in (named, source.parent, source.base):
            if not isinstance(name, str) or not name or name == source.model:
                continue
            if name in self._known:
                return self._known[name]
            # A path in a file from the Hub names a folder of its author's machine.
            folder = (source.folder / name).resolve() if source.folder else None
            if folder and folder != source.folder and folder.is_dir():
                return ModelSource(name, folder=folder)
            hub_id = parse_hub_id(name)
            if hub_id:
                revision = config.get("revision") if name == named else None
                return ModelSource(name, repo_id=hub_id[0], revision=hub_id[1] or revision)
        raise EvaluatorFailure(
            ModelStatus.UNSUPPORTED,
            f"{files.place}: its base model is not known: base_model_name_or_path in {ADAPTER_CONFIG} is {named!r}, "
            f"neither on the Hub nor here; name it in the column 'base' of the list of models.",
        )


@dataclass(frozen=True)
class _Opened:
    """A source pinned to a commit, its files, the folder that they are in, and the digests that are known of them."""

    source: ModelSource
    files: ModelFiles
    folder: Path | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)


def _open(source: ModelSource) -> _Opened:
    if source.folder is not None:
        return _Opened(source, LocalFiles(source.folder), source.folder)
    if hub.is_offline():
        snapshot = hub.cached_snapshot(str(source.repo_id), source.revision)
        return _Opened(replace(source, revision=snapshot.name), LocalFiles(snapshot), snapshot)
    repo = hub.repo(str(source.repo_id), source.revision)
    pinned = replace(
        source,
        revision=repo.sha,
        parent=source.parent or repo.parent,
        license=source.license or repo.license,
        downloads=repo.downloads if source.downloads is None else source.downloads,
        likes=repo.likes if source.likes is None else source.likes,
        num_parameters=repo.num_parameters if source.num_parameters is None else source.num_parameters,
        created=source.created or repo.created,
    )
    return _Opened(pinned, repo, sha256=repo.sha256)


def _check_full_model(source: ModelSource, files: ModelFiles) -> Preflight:
    if CONFIG not in files.sizes:
        if any(name.endswith(".gguf") for name in files.sizes):
            read_weights(files)  # Says what to do with GGUF files.
        raise EvaluatorFailure(
            ModelStatus.UNSUPPORTED,
            f"{files.place}: no {CONFIG}, so that no engine knows it; leave it out, or export it for transformers.",
        )
    config = read_json(files, CONFIG)
    architecture = architecture_name(config, files.place)
    quantization = quantization_method(config)
    weights = read_weights(files)
    if not quantization:
        check_config_fits(files, config, weights)
    check_tokenizer(files)
    return Preflight(
        source,
        files=needed_files(files, weights.files),
        weight_files=weights.files,
        architecture=architecture,
        architecture_key=architecture_key(config),
        num_parameters=weights.num_parameters if source.num_parameters is None else source.num_parameters,
        quantization=quantization,
        has_chat_template=bool(chat_template(files)),
    )
