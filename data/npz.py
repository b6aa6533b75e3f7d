"""Tensors in a NumPy `.npz`: `correct`, `models`, `queries`, and optionally `task`, `score` and `outcome`."""

import zipfile
from collections.abc import Mapping
from typing import IO, Any

import fsspec
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gembench.data.schema import make_tensor
from gembench.errors import CorruptTensorError, GembenchError, SchemaError, TensorError, TensorNotFoundError

MISSING = (-1, 255)
"""How an `.npz` writes that a model never answered a query, signed and unsigned."""


def read_npz(location: str) -> xr.Dataset:
    """A tensor from an `.npz` at a path or fsspec URL, in memory.

    `correct` is [M, Q] bool or integer, 1 right, 0 wrong, -1 or 255 never answered; `models` and `queries` are strings;
    `task` is [Q] strings; `score` is [M, Q] floating point in [0, 1], read only where answered; `outcome` is [M, Q]
    uint8 as in the schema. Pickled objects are never loaded.

    Raises:
        TensorNotFoundError: nothing lies there.
        CorruptTensorError: the file is no readable `.npz`.
        SchemaError: an array is missing, or does not hold what it should.
    """
    try:
        with fsspec.open(location, "rb") as file:
            return _as_tensor(_load_arrays(file, location), location)
    except GembenchError:
        raise
    except FileNotFoundError as error:
        raise TensorNotFoundError(f"{location}: no such file.") from error
    except (OSError, ImportError) as error:
        raise TensorError(f"{location}: cannot be read: {error}.") from error


def _load_arrays(file: IO[bytes], location: str) -> dict[str, NDArray[Any]]:
    """All arrays of the schema that the file holds."""
    if not zipfile.is_zipfile(file):
        raise CorruptTensorError(f"{location}: not an .npz file, or cut short; write it with numpy.savez_compressed.")
    file.seek(0)
    arrays = {}
    name = ""
    try:
        with np.load(file, allow_pickle=False) as stored:
            for name in ("correct", "models", "queries", "task", "score", "outcome"):
                if name in stored:
                    arrays[name] = stored[name]
    except Exception as error:  # zipfile, zlib and the header's parser each raise their own.
        if "allow_pickle" in str(error):
            raise SchemaError(
                f"{location}: {name!r} holds pickled objects, which gembench never loads; "
                f"save it as plain numbers or strings."
            ) from error
        raise CorruptTensorError(f"{location}: {name!r} cannot be read back: {error}; write the file again.") from error
    return arrays


def _as_tensor(arrays: Mapping[str, NDArray[Any]], location: str) -> xr.Dataset:
    for name in ("correct", "models", "queries"):
        if name not in arrays:
            raise SchemaError(f"{location}: no array {name!r}; save correct, models and queries.")
    for name, num_dims in (("correct", 2), ("models", 1), ("queries", 1), ("task", 1), ("score", 2), ("outcome", 2)):
        if name in arrays and arrays[name].ndim != num_dims:
            raise SchemaError(f"{location}: {name!r} has {arrays[name].ndim} dimensions; save it with {num_dims}.")
    for name in ("models", "queries", "task"):
        if name in arrays and arrays[name].dtype.kind != "U":
            raise SchemaError(f"{location}: {name!r} is of type {arrays[name].dtype}; save strings.")
    correct = _read_correct(arrays["correct"], location)
    variables: dict[str, NDArray[Any]] = {}
    if "score" in arrays:
        variables["score"] = _read_score(arrays["score"], correct, location)
    if "outcome" in arrays:
        variables["outcome"] = arrays["outcome"]
    try:
        tensor = make_tensor(
            correct,
            arrays["models"].tolist(),
            arrays["queries"].tolist(),
            tasks=arrays["task"].tolist() if "task" in arrays else None,
            variables=variables,
        )
    except SchemaError as error:
        raise SchemaError(f"{location}: {error}") from error
    tensor.encoding["source"] = location
    return tensor


def _read_correct(stored: NDArray[Any], location: str) -> NDArray[np.int8]:
    if stored.dtype.kind not in "biu":
        raise SchemaError(f"{location}: 'correct' is of type {stored.dtype}; save uint8, int8 or bool.")
    is_missing = np.isin(stored, MISSING)
    is_wrong = ~is_missing & (stored != 0) & (stored != 1)
    if is_wrong.any():
        row, column = np.argwhere(is_wrong)[0]
        raise SchemaError(
            f"{location}: 'correct' is {stored[row, column]} at [{row}, {column}]; "
            f"save 1 right, 0 wrong, 255 or -1 never answered."
        )
    return np.where(is_missing, -1, stored.astype(np.int8)).astype(np.int8)


def _read_score(stored: NDArray[Any], correct: NDArray[np.int8], location: str) -> NDArray[np.float32]:
    """The scores of answered cells; what stands elsewhere means nothing."""
    if stored.dtype.kind != "f":
        raise SchemaError(f"{location}: 'score' is of type {stored.dtype}; save floating-point numbers.")
    if stored.shape != correct.shape:
        raise SchemaError(f"{location}: 'score' has the shape {stored.shape}, but 'correct' {correct.shape}.")
    return np.where(correct >= 0, stored, np.nan).astype(np.float32)
