"""NumPy `.npz`: `correct`, `models`, `queries`, `outcome`, and `task` and `score` where the tensor has them.

It holds all that the content digest covers; `gembench.data.npz` reads it. Costs, responses and cards are left out.
"""

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gembench.data.cells import read_values, row_blocks
from gembench.data.export_cells import variables_beside
from gembench.errors import TensorError

ROWS = {"correct": np.int8, "outcome": np.uint8, "score": np.float32}


def write(dataset: xr.Dataset, path: Path) -> set[str]:
    """Write a tensor, the arrays of cells some models at a time; returns what is left out."""
    names = {"model": "models", "query": "queries", "task": "task"}
    with zipfile.ZipFile(path, "x") as archive:
        for variable, name in names.items():
            if variable in dataset.variables:
                with _member(archive, name) as member:
                    np.lib.format.write_array(member, _as_strings(read_values(dataset, variable), variable))
        for name in ROWS:
            if name in dataset.variables:
                with _member(archive, name) as member:
                    _write_rows(dataset, name, member)
    return variables_beside(dataset, [*names, *ROWS])


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """A file of the archive, with no time of its own: the same tensor gives the same bytes."""
    member = zipfile.ZipInfo(f"{name}.npy")
    member.compress_type = zipfile.ZIP_DEFLATED
    return archive.open(member, "w", force_zip64=True)


def _as_strings(values: NDArray[Any], name: str) -> NDArray[np.str_]:
    strings = np.asarray(values.tolist(), dtype=np.str_)
    if strings.tolist() != values.tolist():
        raise TensorError(f"{name!r}: a text ends in a NUL, which NumPy cannot store; rename it.")
    return strings


def _write_rows(dataset: xr.Dataset, name: str, member: IO[bytes]) -> None:
    """The header of an array [M, Q] and its rows, as `numpy.lib.format` specifies version 1.0."""
    dtype = np.dtype(ROWS[name]).newbyteorder("<")
    shape = (dataset.sizes["model"], dataset.sizes["query"])
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)
    for rows in row_blocks(*shape):
        member.write(np.ascontiguousarray(read_values(dataset, name, rows), dtype).tobytes())
