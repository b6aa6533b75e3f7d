"""A checkpoint on this machine's disk, looked over before an engine opens it: what is there, and what must not be.

Engines that are handed a bad checkpoint fill in random numbers, run its code or die; here it becomes a typed failure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gembench.data.status import ModelStatus
from gembench.evaluate.architecture import architecture_name, check_no_remote_code, quantization_method
from gembench.evaluate.evaluator import Checkpoint, EvaluatorFailure
from gembench.evaluate.model_files import (
    CONFIG,
    GENERATION_CONFIG,
    TOKENIZER_CONFIG,
    TOKENIZERS,
    LocalFiles,
    ModelFiles,
    read_json,
)
from gembench.evaluate.weights import Weights, check_config_fits, read_adapter_weights, read_weights


@dataclass(frozen=True)
class Loadable:
    """A checkpoint whose files are in order.

    Attributes:
        model_folder: where config and full weights lie: the checkpoint's own folder, or its base's for an adapter.
        tokenizer_folder: whose tokenizer it uses: its own, or its base's for an adapter that brings none.
        config: of the full model.
        weights: headers of the full model's weights.
        end_tokens: the token ids that end an answer.
    """

    model_folder: Path
    tokenizer_folder: Path
    config: Mapping[str, Any]
    weights: Weights
    end_tokens: frozenset[int]


def check_loadable(checkpoint: Checkpoint) -> Loadable:
    """Look over a checkpoint's files; of the weights, the headers alone are read.

    Raises:
        EvaluatorFailure: REMOTE_CODE, UNSAFE_FORMAT, NO_TOKENIZER, WEIGHT_MISMATCH, UNSUPPORTED or NOT_FOUND.
    """
    files = LocalFiles(checkpoint.base_folder or checkpoint.folder)
    if CONFIG not in files.sizes:
        raise EvaluatorFailure(ModelStatus.UNSUPPORTED, f"{files.place}: no {CONFIG}; fetch the model again.")
    config = read_json(files, CONFIG)
    architecture_name(config, files.place)
    weights = read_weights(files)
    if not quantization_method(config):
        check_config_fits(files, config, weights)
    own_files = LocalFiles(checkpoint.folder)
    if checkpoint.base_folder is not None:
        read_adapter_weights(own_files)
    tokenizer_files = next((some for some in (own_files, files) if _has_tokenizer(some)), None)
    if tokenizer_files is None:
        raise EvaluatorFailure(
            ModelStatus.NO_TOKENIZER,
            f"{own_files.place}: no tokenizer; put the tokenizer files of the model that it was made from beside it.",
        )
    if TOKENIZER_CONFIG in tokenizer_files.sizes:
        check_no_remote_code(read_json(tokenizer_files, TOKENIZER_CONFIG), tokenizer_files.place, TOKENIZER_CONFIG)
    return Loadable(
        model_folder=files.folder,
        tokenizer_folder=tokenizer_files.folder,
        config=config,
        weights=weights,
        end_tokens=_end_tokens(files, config),
    )


def _has_tokenizer(files: ModelFiles) -> bool:
    return any(all(files.sizes.get(name, 0) > 0 for name in names) for names in TOKENIZERS)


def _end_tokens(files: ModelFiles, config: Mapping[str, Any]) -> frozenset[int]:
    """From the generation config; from the config where that says nothing, as older models have it."""
    generation = read_json(files, GENERATION_CONFIG) if GENERATION_CONFIG in files.sizes else {}
    end = generation.get("eos_token_id", config.get("eos_token_id"))
    return frozenset([end] if isinstance(end, int) else end or [])
