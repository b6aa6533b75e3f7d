"""NumPy files: the `.npz` that gembench itself reads as a tensor, and `.npy` with nothing but a matrix."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gembench.data.npz import MISSING, read_npz
from gembench.data.outcomes import Outcome
from gembench.data.sources.files import MAX_BYTES, read_bytes
from gembench.data.sources.scores import outcomes_of
from gembench.data.sources.source import ModelLog
from gembench.data.sources.streams import open_unpacked
from gembench.data.sources.texts import reason
from gembench.errors import GembenchError, SourceError


def read_npz_file(location: str) -> Iterator[ModelLog]:
    """What an `.npz` with `correct`, `models` and `queries` says, a model at a time.

    Raises:
        SourceError: it is no such file.
    """
    _check_size(location)
    try:
        tensor = read_npz(location)
    except GembenchError as error:
        raise SourceError(str(error)) from error
    queries = tensor["query"].values.tolist()
    tasks = tensor["task"].values.tolist() if "task" in tensor.coords else [""] * len(queries)
    for row, model in enumerate(tensor["model"].values.tolist()):
        correct = tensor["correct"].values[row]
        score = np.where(correct >= 0, correct, np.nan).astype(np.float64)
        yield ModelLog(
            file=location,
            identity={"model": model},
            date="",
            queries=queries,
            tasks=tasks,
            score=tensor["score"].values[row].astype(np.float64) if "score" in tensor else score,
            outcome=tensor["outcome"].values[row],
            num_rows=len(queries),
            correct=correct if "score" in tensor else None,
        )


def _check_size(location: str) -> None:
    """An archive says itself how much it unpacks to; more than that is never unpacked of it."""
    with open_unpacked(location) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                num_bytes = sum(member.file_size for member in archive.infolist())
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise SourceError(f"{location}: not an .npz file, or cut short: {error}; write it again.") from error
    if num_bytes > MAX_BYTES:
        raise SourceError(f"{location}: unpacks to {num_bytes:,} bytes, more than {MAX_BYTES:,}; split it by models.")


def read_npy_file(location: str) -> Iterator[ModelLog]:
    """What a matrix [M, Q] says: models and queries are called by their numbers, models after the file too.

    Raises:
        SourceError: it is no matrix of scores.
    """
    matrix = _load_matrix(location)
    name = location.rsplit("/", 1)[-1].removesuffix(".npy")
    queries = [str(number) for number in range(matrix.shape[1])]
    for row in range(len(matrix)):
        score = _scores(matrix[row], location, row)
        yield ModelLog(
            file=location,
            identity={"model": f"{name}/{row}"},
            date="",
            queries=queries,
            tasks=[""] * len(queries),
            score=score,
            outcome=outcomes_of(score, Outcome.NOT_ASKED),
            num_rows=len(queries),
        )


def _load_matrix(location: str) -> NDArray[Any]:
    content = read_bytes(location)
    try:
        matrix = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # The header's parser raises what it likes on foreign bytes.
        raise SourceError(
            f"{location}: not an .npy file of plain numbers: {reason(error)[:200]}; save it with numpy.save."
        ) from error
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind not in "biuf" or not matrix.size:
        found = f"of type {matrix.dtype} and shape {matrix.shape}" if isinstance(matrix, np.ndarray) else "an archive"
        raise SourceError(f"{location}: {found}; save numbers of shape [models, queries].")
    return matrix


def _scores(row: NDArray[Any], location: str, number: int) -> NDArray[np.float64]:
    score = row.astype(np.float64)
    if row.dtype.kind in "iu":
        score[np.isin(row, MISSING)] = np.nan
    wrong = (score < 0) | (score > 1)
    if wrong.any():
        column = int(wrong.argmax())
        advice = (
            "divide percentages by 100" if 1 < score[column] <= 100 else "save NaN, or -1 as int8, where unanswered"
        )
        raise SourceError(f"{location}: {score[column]:g} at [{number}, {column}] is not in [0, 1]; {advice}.")
    return score
