"""From a tensor to the formats of others: each a file or a folder that appears whole or not at all."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import xarray as xr

from gembench.data.export_catalog import EXPORT_FORMATS
from gembench.data.schema import check_structure
from gembench.data.stores import is_url, local_path
from gembench.errors import GembenchError, TensorError, TensorExistsError, UsageError
from gembench.extras import require_extra
from gembench.replacing import folder_beside, put_in_place

Write = Callable[[xr.Dataset, Path], set[str]]
"""Writes a tensor to a path where nothing lies, and returns which of its variables are not, or not exactly, there."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        target: where.
        num_models: M.
        num_queries: Q.
        left_out: variables and coordinates of the tensor that the format does not hold, or not exactly, by name.
    """

    target: str
    num_models: int
    num_queries: int
    left_out: tuple[str, ...]


def export_tensor(dataset: xr.Dataset, format_name: str, target: str, *, overwrite: bool = False) -> Exported:
    """Write a tensor in another format, some models at a time.

    Args:
        dataset: the tensor.
        format_name: one of `EXPORT_FORMATS`.
        target: a local path.
        overwrite: replace the file, or the folder of such an export, that lies there.

    Raises:
        UsageError: there is no such format, or the target is no local path.
        MissingExtraError: what the format needs is not installed.
        TensorExistsError: something lies there that is not to be overwritten.
        SchemaError: the tensor does not keep to the schema.
        CorruptTensorError: the tensor cannot be read back.
        TensorError: the target cannot be written.
    """
    if format_name not in EXPORT_FORMATS:
        raise UsageError(f"no format is called {format_name!r}; there are {', '.join(EXPORT_FORMATS)}.")
    chosen = EXPORT_FORMATS[format_name]
    require_extra("import", *chosen.needs)
    check_export_target(format_name, target, overwrite=overwrite)
    check_structure(dataset)
    write: Write = import_module(chosen.module).write
    path = local_path(target)
    try:
        with folder_beside(path) as workplace:
            written = workplace / path.name
            left_out = write(dataset, written)
            put_in_place(written, path)
    except GembenchError:
        raise
    except Exception as error:  # Full or read-only disks; ids that are no valid Unicode; each library has its own.
        raise TensorError(f"{target}: cannot be written: {type(error).__name__}: {error}.") from error
    return Exported(target, dataset.sizes["model"], dataset.sizes["query"], tuple(sorted(left_out)))


def check_export_target(format_name: str, target: str, *, overwrite: bool = False) -> None:
    """Make sure, before any work, that an export may be written there.

    Raises:
        UsageError: it is no local path, or its folder is missing.
        TensorExistsError: something lies there that is not to be overwritten.
    """
    if is_url(target):
        raise UsageError(f"{target}: exports are written to local paths; write it here, then copy it there.")
    path = local_path(target)
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{target}: there is no folder {path.absolute().parent}; make it first.")
    if not path.exists():
        return
    if not overwrite:
        raise TensorExistsError(f"{target}: something lies there; choose another place, or ask to overwrite it.")
    is_folder = EXPORT_FORMATS[format_name].is_folder
    is_like = [one.name for one in path.iterdir()] in ([], ["data"]) if path.is_dir() else path.is_file()
    if path.is_dir() != is_folder or not is_like:
        raise TensorExistsError(f"{target}: what lies there is no such export, so it is not overwritten; remove it.")
