"""The digest of a tensor's content: the same however it is chunked, and in whichever order rows and columns lie."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gembench.data.cells import Block, checked_blocks, place_of, read_values
from gembench.errors import CorruptTensorError, SchemaError

ATTRIBUTE = "content_digest"


def content_digest(dataset: xr.Dataset) -> str:
    """`sha256:` and 64 hex digits over ids, tasks, `correct`, `outcome` and `score`, models and queries sorted by id.

    It is the hash of the sorted queries and of one hash a model, in the order of their ids, so that rows are read some
    at a time. The structure must be sound (`check_structure`); the cells are checked on the way.

    Raises:
        SchemaError: a cell holds a value that the schema forbids.
        CorruptTensorError: stored bytes cannot be read back.
    """
    models, queries = (read_values(dataset, name).tolist() for name in ("model", "query"))
    column_order = np.asarray(sorted(range(len(queries)), key=queries.__getitem__))
    tasks = read_values(dataset, "task").tolist() if "task" in dataset.variables else None
    row_digests: dict[str, bytes] = {}
    for block in checked_blocks(dataset):
        row_digests.update(zip(models[block.rows], _row_digests(block, column_order), strict=True))

    content = hashlib.sha256(b"gembench tensor content 1\n")
    content.update(f"{len(models)} {len(queries)} {'score' in dataset} {tasks is not None}\n".encode())
    for column in column_order:
        content.update(_framed(queries[column]))
        if tasks is not None:
            content.update(_framed(tasks[column]))
    for model in sorted(models):
        content.update(_framed(model))
        content.update(row_digests[model])
    return f"sha256:{content.hexdigest()}"


def _row_digests(block: Block, column_order: NDArray[np.intp]) -> Iterator[bytes]:
    columns: list[NDArray[Any]] = [block.correct[:, column_order], block.outcome[:, column_order]]
    if block.score is not None:
        score = block.score[:, column_order].astype("<f4")
        score[np.isnan(score)] = np.nan  # One bit pattern for all NaNs,
        columns.append(score + np.float32(0))  # and one for both zeros.
    for cells in zip(*columns, strict=True):
        row = hashlib.sha256()
        for values in cells:
            row.update(values.tobytes())
        yield row.digest()


def _framed(text: str) -> bytes:
    """The text with its length before it, so that no two lists of texts read the same."""
    encoded = text.encode("utf-8", "surrogatepass")
    return len(encoded).to_bytes(8, "little") + encoded


def verify_digest(dataset: xr.Dataset) -> str:
    """Reads the whole tensor, compares it with the digest that it carries, and returns that.

    Raises:
        CorruptTensorError: the content is not what was written: a chunk is lost or was changed.
        SchemaError: the tensor carries no digest.
    """
    place = place_of(dataset)
    stored = dataset.attrs.get(ATTRIBUTE)
    if stored is None:
        raise SchemaError(f"{place}: no attribute {ATTRIBUTE!r} to verify; rewrite the tensor with write_tensor.")
    found = content_digest(dataset)
    if found != stored:
        raise CorruptTensorError(
            f"{place}: the content hashes to {found}, but {stored} was written: a chunk was lost or changed; "
            f"restore the tensor or record it again."
        )
    return found
