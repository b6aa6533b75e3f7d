"""Reading a tensor's cells, some rows at a time, so that no wrong value and no damaged chunk gets past unnoticed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gembench.data.outcomes import Outcome
from gembench.errors import CorruptTensorError, SchemaError, TensorError

CELLS_PER_BLOCK = 1 << 24
"""How many cells are held at once: 16 MiB of `correct`, and 64 MiB of `score`."""


@dataclass(frozen=True, eq=False)
class Block:
    """Some models' rows, checked.

    Attributes:
        rows: which models, as positions on the tensor's `model` dimension.
        correct: [rows, Q] int8, 1 right, 0 wrong, -1 never answered.
        outcome: [rows, Q] uint8, values of `Outcome`.
        score: [rows, Q] float32 in [0, 1], NaN where never answered; None where the tensor has no scores.
    """

    rows: slice
    correct: NDArray[np.int8]
    outcome: NDArray[np.uint8]
    score: NDArray[np.float32] | None


def place_of(dataset: xr.Dataset) -> str:
    """How messages name a tensor: by the location that it was opened from."""
    return str(dataset.encoding.get("source", "the tensor"))


def read_values(dataset: xr.Dataset, name: str, rows: slice = slice(None)) -> NDArray[Any]:
    """The values of a variable, for some `rows` (positions on `model`) where it has that dimension.

    Raises:
        CorruptTensorError: the stored bytes cannot be decoded.
        TensorError: the store cannot be read at all.
    """
    variable = dataset[name].variable
    selected = variable.isel(model=rows) if "model" in variable.dims else variable
    try:
        return np.asarray(selected.values)
    except FileNotFoundError as error:
        raise CorruptTensorError(
            f"{place_of(dataset)}: {name!r} has lost a file ({error}); restore the tensor or record it again."
        ) from error
    except OSError as error:
        raise TensorError(f"{place_of(dataset)}: {name!r} cannot be read: {error}.") from error
    except Exception as error:  # Each codec raises what it likes on foreign bytes.
        raise CorruptTensorError(
            f"{place_of(dataset)}: {name!r} cannot be read back{_where_damaged(dataset, name, rows)} "
            f"({type(error).__name__}: {error}); restore the tensor, or record these models again."
        ) from error


def _where_damaged(dataset: xr.Dataset, name: str, rows: slice) -> str:
    """Names the first model whose row alone cannot be read."""
    variable = dataset[name].variable
    if "model" not in variable.dims:
        return ""
    for row in range(*rows.indices(dataset.sizes["model"])):
        try:
            _ = variable.isel(model=slice(row, row + 1)).values
        except Exception:  # As above: the caller reports the error, this only finds its row.
            if name == "model":
                return f" at position {row}"
            return f" for model {str(dataset['model'].values[row])!r}"
    return ""


def row_blocks(num_models: int, num_queries: int, multiple: int = 1) -> Iterator[slice]:
    """Cuts the rows into blocks of at most `CELLS_PER_BLOCK` cells, but no less than `multiple` rows each."""
    rows_per_block = max(1, CELLS_PER_BLOCK // max(1, num_queries) // multiple) * multiple
    for first in range(0, num_models, rows_per_block):
        yield slice(first, min(first + rows_per_block, num_models))


def checked_blocks(dataset: xr.Dataset) -> Iterator[Block]:
    """The cells of a tensor whose structure is sound, block by block, each checked before it is handed out.

    Raises:
        SchemaError: a cell holds a value that the schema forbids.
        CorruptTensorError: a chunk cannot be read back.
    """
    for rows in row_blocks(dataset.sizes["model"], dataset.sizes["query"]):
        block = Block(
            rows=rows,
            correct=read_values(dataset, "correct", rows),
            outcome=read_values(dataset, "outcome", rows),
            score=read_values(dataset, "score", rows) if "score" in dataset else None,
        )
        _check_block(dataset, block)
        yield block


def _check_block(dataset: xr.Dataset, block: Block) -> None:
    correct, outcome, score = block.correct, block.outcome, block.score
    answered = correct >= 0
    _refuse(dataset, block, "correct", (correct < -1) | (correct > 1), "write 1 right, 0 wrong, -1 never answered")
    _refuse(dataset, block, "outcome", outcome > max(Outcome), f"write 0 to {max(Outcome):d}, as its attributes name")
    _refuse(
        dataset,
        block,
        "outcome",
        answered & (outcome != Outcome.ANSWERED),
        "only an answered cell (1) is right or wrong: write -1 to 'correct', or 1 to 'outcome'",
    )
    _refuse(
        dataset,
        block,
        "outcome",
        ~answered & (outcome == Outcome.ANSWERED),
        "'correct' is -1 there: an answered cell must be right (1) or wrong (0)",
    )
    if score is not None:
        out_of_range = ~((score >= 0) & (score <= 1))  # Also true for NaN.
        _refuse(dataset, block, "score", answered & out_of_range, "an answered cell needs a score in [0, 1]")
        _refuse(dataset, block, "score", ~answered & ~np.isnan(score), "write NaN where 'correct' is -1")


def _refuse(dataset: xr.Dataset, block: Block, name: str, wrong: NDArray[np.bool_], remedy: str) -> None:
    if not wrong.any():
        return
    row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
    value = getattr(block, name)[row, column]
    model = str(dataset["model"].values[block.rows.start + row])
    query = str(dataset["query"].values[column])
    raise SchemaError(f"{place_of(dataset)}: {name!r} is {value} for model {model!r}, query {query!r}; {remedy}.")
