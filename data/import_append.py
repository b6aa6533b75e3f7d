"""A tensor that logs are added to: its rows, and all else that it holds, on the models and queries of the new one."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gembench.data.cells import place_of, read_values
from gembench.data.coordinates import coordinates_of
from gembench.data.import_layout import QueryList
from gembench.data.import_merge import IN_STORE, NOBODY, Row
from gembench.data.outcomes import Outcome
from gembench.data.recording import journal_of
from gembench.data.schema import CELL, COORDINATES
from gembench.data.status import ModelStatus
from gembench.data.stores import is_url, local_path
from gembench.data.tensor import open_tensor
from gembench.errors import SourceError, UsageError

LIST = "the tensor"
"""The digest of its list of queries in the query table, unlike that of any log."""
_MERGED = frozenset({"correct", "score", "outcome", "seconds", "repeats"})


class ExistingTensor:
    """The tensor that is appended to.

    Raises:
        TensorNotFoundError: there is none.
        UsageError: it is recorded by gembench, which would write it anew.
        SourceError: it has variables of which it is not clear what a new model or query has there.
        TensorError: it cannot be opened.
    """

    def __init__(self, location: str | os.PathLike[str]) -> None:
        place = os.fspath(location)
        if not is_url(place) and journal_of(local_path(place)).exists():
            raise UsageError(
                f"{place}: a recording writes this tensor anew from {journal_of(local_path(place)).name}; import into "
                f"another."
            )
        self.dataset = open_tensor(place)
        self.models: dict[str, int] = {name: row for row, name in enumerate(self._texts("model"))}
        self.has_score = "score" in self.dataset
        for name, variable in self.dataset.variables.items():
            if variable.dims not in (CELL, CELL[:1], CELL[1:], ()):
                raise SourceError(f"{place}: {str(name)!r} has dimensions {variable.dims}: nothing can be appended.")

    @property
    def queries(self) -> QueryList:
        """Its queries; their task is "" where it names none."""
        ids = self._texts("query")
        names = [name for name, one in COORDINATES.items() if one.dims == CELL[1:] and name in self.dataset.variables]
        columns = {name: self._texts(name) for name in names}
        return QueryList(ids, columns.pop("task", [""] * len(ids)), columns)

    def model_coordinates(self, models: Sequence[str]) -> list[dict[str, Any]]:
        """What it knows of each of some models; nothing of those that it does not have."""
        known = [model for model in models if model in self.models]
        found = dict(zip(known, coordinates_of(self.dataset, "model", known), strict=True))
        return [found.get(model, {}) for model in models]

    def fill(self, row: Row, model: str, positions: NDArray[np.int32]) -> None:
        """Put the cells of a model that it has into an empty row, its queries at these positions."""
        rows = slice(self.models[model], self.models[model] + 1)
        row.correct[positions] = read_values(self.dataset, "correct", rows)[0]
        row.outcome[positions] = read_values(self.dataset, "outcome", rows)[0]
        if self.has_score:
            row.score[positions] = read_values(self.dataset, "score", rows)[0]
        else:
            row.score[positions] = np.where(row.correct >= 0, row.correct, np.nan)[positions]
        if "seconds" in self.dataset:
            row.seconds[positions] = read_values(self.dataset, "seconds", rows)[0]
        asked = row.outcome != Outcome.NOT_ASKED
        row.repeats[asked] = 1
        if "repeats" in self.dataset:
            row.repeats[positions] = read_values(self.dataset, "repeats", rows)[0]
        row.holder[:] = np.where(asked, IN_STORE, NOBODY)

    def variables(self, models: Sequence[str], positions: NDArray[np.int32], num_queries: int) -> Mapping[str, Any]:
        """All other variables on the new models and queries, where those that it lacks have nothing.

        Args:
            models: M names.
            positions: where its own queries lie among the new ones, -1 for those that are left out.
            num_queries: Q.
        """
        own = np.asarray([self.models.get(model, -1) for model in models])
        others = {
            str(name): one
            for name, one in self.dataset.variables.items()
            if name not in _MERGED and name not in COORDINATES and name not in CELL
        }
        return {
            name: _on(variable.dims, read_values(self.dataset, name), name, own, positions, num_queries)
            for name, variable in others.items()
        }

    def _texts(self, name: str) -> list[str]:
        return [str(text) for text in read_values(self.dataset, name)]

    def __str__(self) -> str:
        return place_of(self.dataset)


def _on(
    dims: tuple[Any, ...],
    values: NDArray[Any],
    name: str,
    own: NDArray[np.intp],
    positions: NDArray[np.int32],
    num_queries: int,
) -> tuple[tuple[Any, ...], NDArray[Any]]:
    shape = tuple(len(own) if dim == "model" else num_queries for dim in dims)
    extended = np.full(shape, _nothing(values.dtype, name), values.dtype)
    new_rows, kept = np.flatnonzero(own >= 0), positions >= 0
    if not dims:
        return dims, values
    if dims == CELL:
        extended[np.ix_(new_rows, positions[kept])] = values[np.ix_(own[new_rows], np.flatnonzero(kept))]
    elif dims == CELL[:1]:
        extended[new_rows] = values[own[new_rows]]
    else:
        extended[positions[kept]] = values[kept]
    return dims, extended


def _nothing(dtype: np.dtype[Any], name: str) -> Any:
    """What stands where the tensor knows nothing: a model whose logs are imported was measured."""
    if name == "model_status":
        return ModelStatus.OK.value
    return {"f": np.nan, "M": "NaT", "m": "NaT", "O": "", "T": "", "U": ""}.get(dtype.kind, 0)
