"""What the writers of exports share: a tensor's cells, some models at a time, and what a format leaves out."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gembench.data.cells import checked_blocks, read_values
from gembench.data.schema import CELL, COORDINATES, VARIABLES


@dataclass(frozen=True, eq=False)
class ModelCells:
    """The cells of one model.

    Attributes:
        position: the model's, on the tensor's dimension.
        model: its id.
        values: [Q] each, by variable; those of `CELL` that the tensor has and that were asked for.
    """

    position: int
    model: str
    values: dict[str, NDArray[Any]]


def each_model(dataset: xr.Dataset, beside: Collection[str] = ()) -> Iterator[ModelCells]:
    """`correct`, `outcome` and, where there is one, `score` of each model, checked; and more variables of cells.

    Raises:
        SchemaError: a cell holds a value that the schema forbids.
        CorruptTensorError: stored bytes cannot be read back.
    """
    models = read_values(dataset, "model").tolist()
    of_cells = [name for name, variable in VARIABLES.items() if variable.dims == CELL and name in dataset.variables]
    more = [name for name in of_cells if name in beside and name not in ("correct", "outcome", "score")]
    for block in checked_blocks(dataset):
        for row, position in enumerate(range(block.rows.start, block.rows.stop)):
            values: dict[str, NDArray[Any]] = {"correct": block.correct[row], "outcome": block.outcome[row]}
            if block.score is not None:
                values["score"] = block.score[row]
            for name in more:
                values[name] = read_values(dataset, name, slice(position, position + 1))[0]
            yield ModelCells(position, models[position], values)


def variables_beside(dataset: xr.Dataset, held: Collection[str]) -> set[str]:
    """The variables and coordinates of the schema that a tensor has, without those that a format holds."""
    return {name for name in (*VARIABLES, *COORDINATES) if name in dataset.variables} - set(held)


def is_score_exact(cells: ModelCells, threshold: float) -> bool:
    """Whether the scores alone say what is right: from the threshold on."""
    answered = cells.values["correct"] >= 0
    return bool(np.array_equal(cells.values["score"][answered] >= threshold, cells.values["correct"][answered] == 1))
