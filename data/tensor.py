"""Opening and writing tensors: Zarr v3 groups that plain `xarray.open_zarr` reads, without a warning."""

import os
import warnings
from pathlib import Path
from typing import Any

import xarray as xr
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from gembench.data.cells import read_values, row_blocks
from gembench.data.digest import ATTRIBUTE, content_digest
from gembench.data.npz import read_npz
from gembench.data.schema import check_structure
from gembench.data.stores import (
    ROOT_FILE,
    Store,
    existing_store,
    file_system,
    is_url,
    is_zarr_folder,
    local_path,
    pack,
    url_exists,
    url_store,
)
from gembench.errors import CorruptTensorError, GembenchError, SchemaError, TensorError, TensorExistsError
from gembench.replacing import folder_beside, put_in_place

ROWS_BEFORE_SHARDS = 256
"""Up to this many models, each row is a file of its own; beyond, some hundred rows share a file."""
ROWS_PER_SHARD = 256
VALUES_PER_CHUNK = 1 << 16
"""How a long variable over models or queries alone is cut."""
CELLS_PER_BATCH = 1 << 14
"""Zarr compresses the rows of so many cells in one go: short rows, one by one, cost it mostly its own bookkeeping."""


def open_tensor(location: str | os.PathLike[str]) -> xr.Dataset:
    """The tensor at a path or fsspec URL: a Zarr group, read lazily, or an `.npz`.

    Names, dimensions, types and ids are checked; cells are checked when they are read, by `check_tensor`,
    `complete_part` and `verify_digest`. Read single variables with `cells.read_values`, which names a damaged chunk.

    Raises:
        TensorNotFoundError: nothing lies there.
        NewerSchemaError: a newer gembench wrote it.
        SchemaError: it is no tensor, or does not keep to the schema.
        CorruptTensorError: its metadata or ids cannot be read back.
        TensorError: it cannot be reached.
    """
    place = os.fspath(location)
    if place.endswith(".npz"):
        return read_npz(place)
    store = existing_store(place)
    try:
        dataset = _open_group(store)
    except zarr.errors.NodeNotFoundError as error:
        raise SchemaError(f"{place}: no Zarr v3 group lies there; name the folder or URL of a tensor.") from error
    except OSError as error:
        raise TensorError(f"{place}: cannot be read: {error}.") from error
    except Exception as error:  # Damaged metadata and ids fail in as many ways as there are parsers and codecs.
        raise CorruptTensorError(
            f"{place}: cannot be opened as a Zarr v3 group ({type(error).__name__}: {error}); "
            f"restore the tensor or record it again."
        ) from error
    dataset.encoding["source"] = place
    check_structure(dataset)
    return dataset


def _open_group(store: Store) -> xr.Dataset:
    group = zarr.open_group(store, mode="r", zarr_format=3)
    is_consolidated = group.metadata.consolidated_metadata is not None
    dataset: xr.Dataset = xr.open_zarr(
        store, zarr_format=3, consolidated=is_consolidated, chunks=None, decode_timedelta=False
    )
    return dataset


def write_tensor(dataset: xr.Dataset, location: str | os.PathLike[str], *, overwrite: bool = False) -> str:
    """Checks a tensor and writes it to a folder, a `.zip` or a URL; returns its content digest.

    A local tensor appears whole or not at all. At a URL, what was written is removed again after a failure.

    Raises:
        TensorExistsError: something lies there, and `overwrite` is false or it is no tensor.
        SchemaError: the dataset does not keep to the schema. Nothing is written.
        CorruptTensorError: the dataset is itself read from a store, and that is damaged.
        TensorError: it cannot be written there.
    """
    place = os.fspath(location)
    check_place(place, overwrite=overwrite)
    check_structure(dataset)
    digest = content_digest(dataset)
    sealed = dataset.assign_attrs({ATTRIBUTE: digest})
    try:
        if is_url(place):
            _write_to_url(sealed, place)
        else:
            _write_to_path(sealed, local_path(place))
    except GembenchError:
        raise
    except Exception as error:  # Full or read-only disks, refusing servers, attributes that are no JSON.
        raise TensorError(f"{place}: cannot be written: {type(error).__name__}: {error}.") from error
    return digest


def check_place(location: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Make sure, before any work, that a tensor may be written there.

    Raises:
        TensorExistsError: something lies there, and `overwrite` is false or it is no tensor.
        TensorError: nothing can be written there, or it cannot be reached.
    """
    place = os.fspath(location)
    if place.endswith(".npz"):
        raise TensorError(f"{place}: tensors are written as Zarr; name a folder (.zarr) or a .zip.")
    if is_url(place) and place.endswith(".zip"):
        raise TensorError(f"{place}: a .zip is written locally only; write it to a path, then copy it there.")
    exists, is_tensor = _look_at_url(place) if is_url(place) else _look_at_path(place)
    if exists and not overwrite:
        raise TensorExistsError(f"{place}: something lies there; choose another place, or ask to overwrite it.")
    if exists and not is_tensor:
        raise TensorExistsError(f"{place}: what lies there is no tensor, so it is not overwritten; remove it yourself.")


def _look_at_url(url: str) -> tuple[bool, bool]:
    """Whether anything lies there, and whether it may be a tensor."""
    return url_exists(url), url_exists(f"{url}/{ROOT_FILE}")


def _look_at_path(place: str) -> tuple[bool, bool]:
    """As for a URL."""
    path = local_path(place)
    try:
        return path.exists(), is_zarr_folder(path) or (path.is_file() and path.suffix == ".zip")
    except OSError as error:
        raise TensorError(f"{place}: cannot be reached: {error}.") from error


def _write_to_url(dataset: xr.Dataset, url: str) -> None:
    system, path = file_system(url)
    if system.exists(path):
        system.rm(path, recursive=True)
    try:
        _write_group(dataset, url_store(url, read_only=False))
    except BaseException:
        if system.exists(path):
            system.rm(path, recursive=True)
        raise


def _write_to_path(dataset: xr.Dataset, path: Path) -> None:
    """Nothing half-written is ever at `path`."""
    with folder_beside(path) as workplace:
        written = workplace / "tensor"
        _write_group(dataset, zarr.storage.LocalStore(written))
        if path.suffix == ".zip":
            packed = workplace / "tensor.zip"
            pack(written, packed)
            put_in_place(packed, path)
        else:
            put_in_place(written, path)


def _write_group(dataset: xr.Dataset, store: Store) -> None:
    is_sharded = dataset.sizes["model"] > ROWS_BEFORE_SHARDS
    blocks = row_blocks(dataset.sizes["model"], dataset.sizes["query"], ROWS_PER_SHARD if is_sharded else 1)
    rows_per_batch = max(1, CELLS_PER_BATCH // dataset.sizes["query"])
    for number, rows in enumerate(blocks):
        block = _loaded(dataset, rows)
        with zarr.config.set({"codec_pipeline.batch_size": rows_per_batch}):
            if number == 0:
                encoding = _encoding(dataset, is_sharded)
                block.to_zarr(store, mode="w-", zarr_format=3, consolidated=False, encoding=encoding)
            else:
                block.to_zarr(store, mode="a-", zarr_format=3, consolidated=False, append_dim="model")
    with warnings.catch_warnings():
        # Without consolidated metadata xarray warns each reader; with it, zarr warns the writer of a coming standard.
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        zarr.consolidate_metadata(store, zarr_format=3)


def _loaded(dataset: xr.Dataset, rows: slice) -> xr.Dataset:
    """Some rows in memory, read in such a way that a damaged source is named."""
    part = dataset.isel(model=rows)
    for name in part.data_vars:
        part[name] = part[name].copy(data=read_values(dataset, str(name), rows))
    return part


def _encoding(dataset: xr.Dataset, is_sharded: bool) -> dict[str, dict[str, Any]]:
    """Chunks of one model's row, compressed, with a checksum; a lost chunk of `correct` reads as never answered."""
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in dataset.variables.items():
        is_by_row = variable.dims[:1] == ("model",) and variable.ndim > 1
        first = 1 if is_by_row else min((VALUES_PER_CHUNK, *variable.shape[:1]))
        codecs = (ZstdCodec(level=3), Crc32cCodec())
        encoding[str(name)] = {"compressors": codecs}
        if variable.ndim:
            encoding[str(name)]["chunks"] = (first, *variable.shape[1:])
        if is_by_row and is_sharded:
            encoding[str(name)]["shards"] = (ROWS_PER_SHARD, *variable.shape[1:])
        if name == "correct":
            encoding[str(name)]["fill_value"] = -1
    return encoding
