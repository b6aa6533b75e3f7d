"""The schema of a tensor: what each variable is, and the check that a dataset keeps to it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gembench.data.cells import checked_blocks, place_of, read_values
from gembench.data.outcomes import Outcome, outcome_attributes
from gembench.errors import NewerSchemaError, SchemaError

SCHEMA_VERSION = 1
"""The version this gembench writes, and the newest it reads."""

Kind = Literal["int8", "uint8", "float32", "integer", "float", "number", "string", "date or string"]

CELL = ("model", "query")
MODEL = ("model",)
QUERY = ("query",)


@dataclass(frozen=True)
class Variable:
    """What the schema says of one variable or coordinate."""

    dims: tuple[str, ...]
    kind: Kind
    is_required: bool = False


VARIABLES: Mapping[str, Variable] = MappingProxyType(
    {
        "model": Variable(MODEL, "string", is_required=True),
        "query": Variable(QUERY, "string", is_required=True),
        "correct": Variable(CELL, "int8", is_required=True),
        "outcome": Variable(CELL, "uint8", is_required=True),
        "score": Variable(CELL, "float32"),
        "response": Variable(CELL, "string"),
        "repeats": Variable(CELL, "integer"),
        "seconds": Variable(CELL, "float"),
        "prompt_tokens": Variable(CELL, "integer"),
        "completion_tokens": Variable(CELL, "integer"),
        "load_seconds": Variable(MODEL, "float"),
        "query_seconds": Variable(MODEL, "float32"),
        "model_status": Variable(MODEL, "string"),
        "model_message": Variable(MODEL, "string"),
    }
)
COORDINATES: Mapping[str, Variable] = MappingProxyType(
    {
        "revision": Variable(MODEL, "string"),
        "parent": Variable(MODEL, "string"),
        "base": Variable(MODEL, "string"),
        "downloads": Variable(MODEL, "number"),
        "likes": Variable(MODEL, "number"),
        "license": Variable(MODEL, "string"),
        "num_parameters": Variable(MODEL, "number"),
        "created": Variable(MODEL, "date or string"),
        "task": Variable(QUERY, "string"),
        "subject": Variable(QUERY, "string"),
        "doc_hash": Variable(QUERY, "string"),
        "target_hash": Variable(QUERY, "string"),
    }
)
_DTYPE_KINDS: Mapping[Kind, str] = MappingProxyType(
    {"integer": "iu", "float": "f", "number": "iuf", "string": "OTU", "date or string": "MOTU"}
)


def check_tensor(dataset: xr.Dataset) -> None:
    """Checks all that the schema says, reading the cells some rows at a time.

    Raises:
        SchemaError: with the variable, the place, and the remedy in one line.
        NewerSchemaError: a newer gembench wrote the tensor.
        CorruptTensorError: stored bytes cannot be read back.
    """
    check_structure(dataset)
    for _ in checked_blocks(dataset):
        pass


def check_structure(dataset: xr.Dataset) -> None:
    """Checks names, dimensions, types and ids, and reads no cell. Raises as `check_tensor`."""
    _check_version(dataset)
    for name, variable in {**VARIABLES, **COORDINATES}.items():
        _check_variable(dataset, name, variable)
    for name in ("model", "query"):
        _check_ids(dataset, name)
    names = outcome_attributes()["flag_meanings"]
    if dataset["outcome"].attrs.get("flag_meanings") != names:
        raise SchemaError(f"{place_of(dataset)}: 'outcome' does not name its values; set flag_meanings to {names!r}.")


def _check_version(dataset: xr.Dataset) -> None:
    place = place_of(dataset)
    version = dataset.attrs.get("schema_version")
    if version is None:
        raise SchemaError(f"{place}: no attribute 'schema_version'; is this a gembench tensor? This gembench writes 1.")
    if isinstance(version, bool) or not isinstance(version, int | np.integer) or version < 1:
        raise SchemaError(f"{place}: 'schema_version' is {version!r}; write {SCHEMA_VERSION}.")
    if version > SCHEMA_VERSION:
        raise NewerSchemaError(
            f"{place}: schema version {version} is newer than {SCHEMA_VERSION}, the newest that this gembench reads; "
            f"upgrade gembench."
        )


def _check_variable(dataset: xr.Dataset, name: str, variable: Variable) -> None:
    place = place_of(dataset)
    if name not in dataset.variables:
        if variable.is_required:
            raise SchemaError(f"{place}: no variable {name!r}; add it, {variable.kind} over {variable.dims}.")
        return
    stored = dataset[name]
    if "trial" in stored.dims:
        raise SchemaError(f"{place}: {name!r} has the dimension 'trial', reserved and not read yet; select one trial.")
    if stored.dims != variable.dims:
        raise SchemaError(f"{place}: {name!r} has dimensions {stored.dims}; transpose or rename to {variable.dims}.")
    if not _is_kind(stored.dtype, variable.kind):
        raise SchemaError(f"{place}: {name!r} is of type {stored.dtype}; convert it to {variable.kind}.")
    if stored.dtype == np.dtype(object) and variable.kind == "string" and stored.ndim == 1:
        _check_strings(dataset, name)


def _check_strings(dataset: xr.Dataset, name: str) -> None:
    for position, value in enumerate(read_values(dataset, name)):
        if not isinstance(value, str):
            raise SchemaError(
                f"{place_of(dataset)}: {name!r} is {value!r} at {position}; write a string, '' if unknown."
            )


def _is_kind(dtype: np.dtype[Any], kind: Kind) -> bool:
    return dtype.kind in _DTYPE_KINDS[kind] if kind in _DTYPE_KINDS else dtype == np.dtype(kind)


def _check_ids(dataset: xr.Dataset, name: str) -> None:
    place = place_of(dataset)
    ids = read_values(dataset, name).tolist()
    if not ids:
        raise SchemaError(f"{place}: no {name} at all; a tensor needs at least one.")
    for position, identifier in enumerate(ids):
        if not isinstance(identifier, str) or not identifier:
            raise SchemaError(f"{place}: {name} {position} has the id {identifier!r}; give it a name.")
    identifier, occurrences = Counter(ids).most_common(1)[0]
    if occurrences > 1:
        positions = [position for position, other in enumerate(ids) if other == identifier]
        raise SchemaError(
            f"{place}: {name} id {identifier!r} occurs {occurrences} times, first at {positions[0]} and "
            f"{positions[1]}; keep one."
        )


def make_tensor(
    correct: NDArray[np.int8],
    models: Sequence[str],
    queries: Sequence[str],
    *,
    tasks: Sequence[str] | None = None,
    model_coordinates: Mapping[str, Sequence[Any]] | None = None,
    query_coordinates: Mapping[str, Sequence[Any]] | None = None,
    variables: Mapping[str, NDArray[Any]] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """A conforming tensor in memory, checked.

    Args:
        correct: [M, Q] int8 (or bool), 1 right, 0 wrong, -1 never answered.
        models: M ids, each once.
        queries: Q ids, each once.
        tasks: the task of each query, Q names.
        model_coordinates: name → M values, such as `parent` or `downloads`.
        query_coordinates: name → Q values, such as `subject`.
        variables: further variables of the schema: [M, Q] such as `score` and `seconds`, [M] such as `load_seconds`.
            Without `outcome`, a cell counts as answered where `correct` is 0 or 1, as not asked elsewhere.
        attributes: further attributes, such as the suite and the engine's settings.

    Raises:
        SchemaError: something does not fit the schema.
    """
    correct = np.asarray(correct)
    values: dict[str, Any] = {"correct": correct.astype(np.int8) if correct.dtype == np.bool_ else correct}
    values.update(variables or {})
    if "outcome" not in values:
        values["outcome"] = np.where(correct >= 0, np.uint8(Outcome.ANSWERED), np.uint8(Outcome.NOT_ASKED))
    for name in values:
        if name not in VARIABLES or name in ("model", "query"):
            raise SchemaError(f"the schema has no variable {name!r}; assign it to the finished dataset.")
    coordinates: dict[str, tuple[tuple[str, ...], Any]] = {
        "model": (MODEL, np.array(list(models), dtype=object)),
        "query": (QUERY, np.array(list(queries), dtype=object)),
    }
    coordinates.update({name: (MODEL, column) for name, column in (model_coordinates or {}).items()})
    coordinates.update({name: (QUERY, column) for name, column in (query_coordinates or {}).items()})
    if tasks is not None:
        coordinates["task"] = (QUERY, tasks)
    cells = {name: (VARIABLES[name].dims, _as_array(column)) for name, column in values.items()}
    columns = {name: (dims, _as_array(column)) for name, (dims, column) in coordinates.items()}
    _check_shapes({**cells, **columns}, {"model": len(models), "query": len(queries)})
    dataset = xr.Dataset(cells, columns, {**(attributes or {}), "schema_version": SCHEMA_VERSION})
    dataset["outcome"].attrs.update(outcome_attributes())
    check_tensor(dataset)
    return dataset


def _as_array(values: Any) -> NDArray[Any]:
    """Strings as objects: NumPy's fixed-width strings have no stable Zarr type."""
    array = np.asarray(values)
    return np.asarray(values, dtype=object) if array.dtype.kind == "U" else array


def _check_shapes(arrays: Mapping[str, tuple[tuple[str, ...], NDArray[Any]]], sizes: Mapping[str, int]) -> None:
    for name, (dims, array) in arrays.items():
        expected = tuple(sizes[dim] for dim in dims)
        if array.shape != expected:
            raise SchemaError(
                f"{name!r} has the shape {array.shape}, but {sizes['model']} models and {sizes['query']} queries need "
                f"{expected}."
            )
