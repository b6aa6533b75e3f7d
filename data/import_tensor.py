"""The tensor of an import: rows are put down on disk one by one, and only those are kept that answer enough.

M models, Q queries.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from gembench.data.import_merge import Row
from gembench.data.outcomes import Outcome

_TYPES = {"correct": np.int8, "score": np.float32, "outcome": np.uint8, "seconds": np.float32, "repeats": np.int32}


class CellsOnDisk:
    """Files of [M, Q] in a folder, one a variable: what was written need not stay in memory.

    Args:
        folder: where.
        names: which variables, of those of a `Row`.
        num_models: the most rows that will be appended.
        num_queries: Q.
    """

    def __init__(self, folder: Path, names: Iterable[str], num_models: int, num_queries: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._arrays = {
            name: open_memmap(folder / f"{name}.npy", "w+", _TYPES[name], (num_models, num_queries)) for name in names
        }
        self.num_models = 0
        self.num_answered_of_query = np.zeros(num_queries, np.int64)

    def append(self, row: Row) -> None:
        """One more model."""
        for name, array in self._arrays.items():
            array[self.num_models] = getattr(row, name)
        self.num_models += 1
        self.num_answered_of_query += row.outcome == Outcome.ANSWERED

    def variables(self, is_kept: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
        """The variables, of the models that were appended and of the queries that are kept; to be called once."""
        return {name: self._columns(array, is_kept) for name, array in self._arrays.items()}

    def _columns(self, array: NDArray[Any], is_kept: NDArray[np.bool_]) -> NDArray[Any]:
        """Columns are taken away in place, row by row: the rest moves to the front."""
        if is_kept.all():
            return array[: self.num_models]
        num_kept = int(is_kept.sum())
        flat = array.reshape(-1)
        for row in range(self.num_models):
            flat[row * num_kept : (row + 1) * num_kept] = array[row, is_kept]
        return flat[: self.num_models * num_kept].reshape(self.num_models, num_kept)
