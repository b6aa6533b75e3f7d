"""The header of a safetensors file: which tensors it holds, in which shape and type, and whether it is whole.

Source: the format's description, https://github.com/huggingface/safetensors#format.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import EvaluatorFailure
from gembench.evaluate.model_files import ModelFiles

_FIRST_READ = 100_000
"""Bytes that hold the whole header of most files, so that one request is enough."""
_LARGEST_HEADER = 100_000_000
"""The format's own limit."""
_GIT_LFS_POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class TensorInfo:
    """A tensor's type, as the format names it (`BF16`), and shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def num_elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def read_header(files: ModelFiles, name: str) -> Mapping[str, TensorInfo]:
    """The tensors of a safetensors file, by name.

    Raises:
        EvaluatorFailure: `WEIGHT_MISMATCH`, the file is cut off or no safetensors file.
    """
    size = files.sizes[name]
    start = files.read(name, 0, min(size, _FIRST_READ))
    if start.startswith(_GIT_LFS_POINTER):
        raise _mismatch(files, name, "is a Git LFS pointer, not the weights; run git lfs pull there")
    length = int.from_bytes(start[:8], "little")
    if size < 8 or length > _LARGEST_HEADER:
        raise _mismatch(files, name, "is no safetensors file; fetch it again")
    end = 8 + length
    if size < end:
        raise _mismatch(files, name, f"is cut off within its header, at {size:,} bytes; fetch it again")
    text = start[8:end] if end <= len(start) else start[8:] + files.read(name, len(start), end)
    try:
        header = json.loads(text)
        header.pop("__metadata__", None)
        tensors = {tensor: _tensor_info(entry) for tensor, entry in header.items()}
        expected = end + max((int(entry["data_offsets"][1]) for entry in header.values()), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise _mismatch(files, name, "is no safetensors file: its header makes no sense; fetch it again") from error
    if size != expected:
        ending = "it is cut off" if size < expected else "something follows its tensors"
        raise _mismatch(files, name, f"has {size:,} of {expected:,} bytes: {ending}; fetch it again")
    return tensors


def _tensor_info(entry: Mapping[str, Any]) -> TensorInfo:
    return TensorInfo(str(entry["dtype"]), tuple(int(length) for length in entry["shape"]))


def _mismatch(files: ModelFiles, name: str, what: str) -> EvaluatorFailure:
    return EvaluatorFailure(ModelStatus.WEIGHT_MISMATCH, f"{files.place}: {name} {what}.")
