"""A recording: a journal that takes batches of cells, and the tensor that is published from it.

`out.zarr` is recorded beside its journal `out.zarr.journal`. The tensor appears when the recording ends or is
interrupted, and now and then before; the same recording opened again goes on where the journal stops.
"""

import os
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr

from gembench.data.coordinates import coordinate_columns
from gembench.data.journal import Journal
from gembench.data.outcomes import Outcome
from gembench.data.schema import make_tensor
from gembench.data.stores import is_url, local_path
from gembench.data.tensor import write_tensor
from gembench.errors import TensorExistsError, UsageError

JOURNAL_SUFFIX = ".journal"


class Recording:
    """An open recording: a context manager, held by one process.

    Raises:
        UsageError: the location is a URL or an `.npz`, or its folder is missing.
        TensorExistsError: a tensor lies there that was not recorded here.
        TensorError: the journal cannot be opened, or another process holds it.
    """

    def __init__(self, location: str | os.PathLike[str]) -> None:
        self.location = os.fspath(location)
        self.journal = Journal(find_journal(self.location))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.journal.close()

    def publish(self) -> str:
        """Write the tensor of all that the journal holds, in place of the last one; returns its content digest."""
        return write_tensor(self.tensor(), self.location, overwrite=True)

    def tensor(self) -> xr.Dataset:
        """The tensor of all that the journal holds, in memory."""
        queries, models = self.journal.queries(), self.journal.models()
        shape = (len(models), len(queries))
        columns: dict[str, np.ndarray[Any, Any]] = {
            "correct": np.full(shape, -1, np.int8),
            "outcome": np.full(shape, Outcome.NOT_ASKED, np.uint8),
            "score": np.full(shape, np.nan, np.float32),
            "response": np.full(shape, "", object),
            "seconds": np.full(shape, np.nan, np.float32),
            "prompt_tokens": np.zeros(shape, np.int32),
            "completion_tokens": np.zeros(shape, np.int32),
        }
        for row, model in enumerate(models):
            of_model = self.journal.columns(model.position)
            asked = np.asarray(of_model["query"], np.intp)
            for name, column in columns.items():
                # None, for a cell without a score, becomes NaN.
                column[row, asked] = np.asarray(of_model[name], column.dtype)
        columns["load_seconds"] = np.asarray([model.load_seconds for model in models], np.float64)
        columns["model_status"] = np.asarray([model.status.value for model in models], object)
        columns["model_message"] = np.asarray([model.message for model in models], object)
        return make_tensor(
            columns.pop("correct"),
            [model.id for model in models],
            [name for name, _ in queries],
            model_coordinates=coordinate_columns([model.coordinates for model in models]),
            query_coordinates=coordinate_columns([coordinates for _, coordinates in queries]),
            variables=columns,
            attributes=self.journal.settings,
        )


def find_journal(location: str) -> Path:
    """Where the journal of a recording at that location lies, or will lie.

    Raises:
        UsageError: the location is a URL or an `.npz`, or its folder is missing.
        TensorExistsError: a tensor lies there that was not recorded here.
    """
    if is_url(location) or location.endswith(".npz"):
        raise UsageError(f"{location}: record into a local folder (.zarr) or .zip, then copy the tensor.")
    path = local_path(location)
    journal = journal_of(path)
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{location}: there is no folder {path.absolute().parent}; make it first.")
    if path.exists() and not journal.exists():
        raise TensorExistsError(
            f"{location}: something lies there that no recording of {journal.name} made; choose another place."
        )
    return journal


def journal_of(path: Path) -> Path:
    """Where the journal of a recorded tensor lies."""
    return path.with_name(path.name + JOURNAL_SUFFIX)
