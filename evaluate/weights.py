"""A checkpoint's weights: which files hold them, whether all are there, and whether the config fits them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import EvaluatorFailure
from gembench.evaluate.model_files import (
    ADAPTER_WEIGHTS,
    PICKLE_SUFFIXES,
    SINGLE_WEIGHTS,
    WEIGHTS_INDEX,
    ModelFiles,
    read_json,
)
from gembench.evaluate.weight_headers import TensorInfo, read_header

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")


@dataclass(frozen=True)
class Weights:
    """The tensors of a checkpoint.

    Attributes:
        files: the safetensors files that hold them.
        tensors: type and shape of each, by name.
    """

    files: tuple[str, ...]
    tensors: Mapping[str, TensorInfo]

    @property
    def num_parameters(self) -> int:
        """Numbers in all tensors; where weights are packed, several of them count as one."""
        return sum(tensor.num_elements for tensor in self.tensors.values())


def weight_files(files: ModelFiles) -> tuple[str, ...]:
    """The safetensors files that hold a full model's weights: one, or the shards that the index names.

    Raises:
        EvaluatorFailure: `UNSAFE_FORMAT`, `UNSUPPORTED` or `WEIGHT_MISMATCH`.
    """
    if SINGLE_WEIGHTS in files.sizes:
        return (SINGLE_WEIGHTS,)
    if WEIGHTS_INDEX in files.sizes:
        return tuple(sorted(set(_weight_map(files).values())))
    raise _no_weights(files, SINGLE_WEIGHTS)


def read_weights(files: ModelFiles) -> Weights:
    """A full model's weights, after a look at the headers alone. Raises as `weight_files` and `read_header`."""
    names = weight_files(files)
    placed = _weight_map(files) if SINGLE_WEIGHTS not in files.sizes else {}
    for name in names:
        if name not in files.sizes:
            raise _mismatch(files, f"{WEIGHTS_INDEX} names {name}, which is missing")
    headers = {name: read_header(files, name) for name in names}
    for tensor, name in placed.items():
        if tensor not in headers[name]:
            raise _mismatch(files, f"{WEIGHTS_INDEX} places {tensor} in {name}, which does not hold it")
    return Weights(names, {tensor: info for header in headers.values() for tensor, info in header.items()})


def read_adapter_weights(files: ModelFiles) -> Weights:
    """A LoRA adapter's weights. Raises as `read_weights`."""
    if ADAPTER_WEIGHTS not in files.sizes:
        raise _no_weights(files, ADAPTER_WEIGHTS)
    return Weights((ADAPTER_WEIGHTS,), read_header(files, ADAPTER_WEIGHTS))


def check_config_fits(files: ModelFiles, config: Mapping[str, Any], weights: Weights) -> None:
    """Compare what the config says with the weights, as far as names and shapes tell for any architecture.

    Two things are looked at: the shape of the token embedding, and that no layer is missing. The engine compares the
    rest when it loads the model.

    Raises:
        EvaluatorFailure: `WEIGHT_MISMATCH`.
    """
    text_config = config.get("text_config")
    sizes = text_config if isinstance(text_config, dict) else config
    expected = (sizes.get("vocab_size"), sizes.get("hidden_size"))
    for name, tensor in weights.tensors.items():
        if name.endswith("embed_tokens.weight") and None not in expected and tensor.shape != expected:
            raise _mismatch(
                files,
                f"config.json says vocab_size {expected[0]} and hidden_size {expected[1]}, but {name} has the shape "
                f"{list(tensor.shape)}",
            )
    num_layers = sizes.get("num_hidden_layers")
    layers = {int(match[1]) for name in weights.tensors if (match := _LAYER.search(name))}
    if layers and isinstance(num_layers, int):
        missing = sorted(set(range(num_layers)) - layers)
        if missing:
            raise _mismatch(
                files, f"config.json says num_hidden_layers {num_layers}, but layer {missing[0]} has no weights"
            )


def _weight_map(files: ModelFiles) -> Mapping[str, str]:
    weight_map = read_json(files, WEIGHTS_INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise _mismatch(files, f"{WEIGHTS_INDEX} has no weight_map")
    for name in weight_map.values():
        if not isinstance(name, str) or "/" in name or not name.endswith(".safetensors"):
            raise _mismatch(files, f"{WEIGHTS_INDEX} names {name!r}, which is no safetensors file of this folder")
    return weight_map


def _no_weights(files: ModelFiles, expected: str) -> EvaluatorFailure:
    pickles = [name for name in files.sizes if name.endswith(PICKLE_SUFFIXES) and name != "training_args.bin"]
    if pickles:
        return EvaluatorFailure(
            ModelStatus.UNSAFE_FORMAT,
            f"{files.place}: the weights are pickled ({pickles[0]}), and loading them may run any code; ask its author "
            f"for safetensors, or convert them in a sandbox.",
        )
    if any(name.endswith(".gguf") for name in files.sizes):
        return EvaluatorFailure(
            ModelStatus.UNSUPPORTED,
            f"{files.place}: the weights are GGUF files alone; serve one with llama.cpp and record it as a server.",
        )
    return _mismatch(files, f"there are no weights: neither {expected} nor an index of shards")


def _mismatch(files: ModelFiles, what: str) -> EvaluatorFailure:
    return EvaluatorFailure(ModelStatus.WEIGHT_MISMATCH, f"{files.place}: {what}; fetch or export it again.")
