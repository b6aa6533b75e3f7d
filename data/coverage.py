"""The part of a tensor in which nothing is missing: what a race can be run on."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gembench.data.cells import checked_blocks, place_of, read_values, row_blocks
from gembench.errors import NothingLeftError, SchemaError, UsageError


@dataclass(frozen=True, eq=False)
class CompletePart:
    """Models and queries of a tensor of which every cell was answered.

    Attributes:
        correct: [M, Q] uint8, C-contiguous, 1 right, 0 wrong.
        models: M ids, in the tensor's order.
        queries: Q ids, in the tensor's order.
        left_out_models: ids of the models that answered too few queries.
        num_left_out_queries: how many queries some remaining model has not answered.
        load_seconds: [M] float64, seconds to load each model; None unless the tensor knows them for every kept model.
        query_seconds: [M] float64, each model's mean seconds a query: over the kept queries that were timed, else what
            the tensor states in its own `query_seconds`; None unless one or the other is known for every kept model.
    """

    correct: NDArray[np.uint8]
    models: tuple[str, ...]
    queries: tuple[str, ...]
    left_out_models: tuple[str, ...]
    num_left_out_queries: int
    load_seconds: NDArray[np.float64] | None
    query_seconds: NDArray[np.float64] | None

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """[M] float64, each model's share of right answers over the kept queries."""
        return np.asarray(self.correct.mean(axis=1, dtype=np.float64))


def complete_part(dataset: xr.Dataset, *, min_coverage: float = 0.5) -> CompletePart:
    """Leaves out models that answered less than `min_coverage` of the queries, then queries that any other missed.

    A missing cell never counts as wrong. The tensor's structure must be sound, as `open_tensor` and `make_tensor`
    leave it.

    Raises:
        UsageError: `min_coverage` is not a share.
        NothingLeftError: fewer than 2 models remain, or no query that all of them answered.
        SchemaError: a cell holds a value that the schema forbids.
        CorruptTensorError: stored bytes cannot be read back.
    """
    if not 0 <= min_coverage <= 1:
        raise UsageError(f"min_coverage must be in [0, 1], got {min_coverage}.")
    coverage = np.zeros(dataset.sizes["model"])
    kept_rows = []
    for block in checked_blocks(dataset):
        coverage[block.rows] = (block.correct >= 0).mean(axis=1)
        kept_rows.append(block.correct[coverage[block.rows] >= min_coverage])
    is_kept_model = coverage >= min_coverage
    if is_kept_model.sum() < 2:
        raise NothingLeftError(_too_few_models(dataset, coverage, min_coverage))
    rows = kept_rows[0] if len(kept_rows) == 1 else np.concatenate(kept_rows)
    is_kept_query = np.asarray((rows >= 0).all(axis=0))
    if not is_kept_query.any():
        raise NothingLeftError(_no_common_query(dataset, rows, coverage[is_kept_model]))

    models, queries = (read_values(dataset, name).astype(object) for name in ("model", "query"))
    return CompletePart(
        correct=np.ascontiguousarray(rows[:, is_kept_query]).view(np.uint8),
        models=tuple(models[is_kept_model]),
        queries=tuple(queries[is_kept_query]),
        left_out_models=tuple(models[~is_kept_model]),
        num_left_out_queries=int((~is_kept_query).sum()),
        load_seconds=_if_all_known(_seconds_of_models(dataset, "load_seconds")[is_kept_model]),
        query_seconds=_if_all_known(_query_seconds(dataset, is_kept_query)[is_kept_model]),
    )


def _seconds_of_models(dataset: xr.Dataset, name: str) -> NDArray[np.float64]:
    """[all models] the seconds that the tensor holds of each model under that name, NaN where unknown."""
    if name not in dataset:
        return np.full(dataset.sizes["model"], np.nan)
    seconds = read_values(dataset, name).astype(np.float64)
    _check_seconds(dataset, name, seconds, first_row=0)
    return seconds


def _query_seconds(dataset: xr.Dataset, is_kept_query: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[all models] mean seconds over the kept queries that were timed, else the stated mean, NaN where neither is."""
    means = _seconds_of_models(dataset, "query_seconds")
    if "seconds" not in dataset:
        return means
    for rows in row_blocks(dataset.sizes["model"], dataset.sizes["query"]):
        seconds = read_values(dataset, "seconds", rows)[:, is_kept_query].astype(np.float64)
        _check_seconds(dataset, "seconds", seconds, first_row=rows.start)
        num_known = (~np.isnan(seconds)).sum(axis=1)
        np.divide(np.nansum(seconds, axis=1), num_known, out=means[rows], where=num_known > 0)
    return means


def _if_all_known(seconds: NDArray[np.float64]) -> NDArray[np.float64] | None:
    return None if np.isnan(seconds).any() else seconds


def _check_seconds(dataset: xr.Dataset, name: str, seconds: NDArray[np.float64], first_row: int) -> None:
    is_wrong = (seconds < 0) | np.isinf(seconds)
    if is_wrong.any():
        place = np.argwhere(is_wrong)[0]
        model = str(dataset["model"].values[first_row + place[0]])
        raise SchemaError(
            f"{place_of(dataset)}: {name!r} is {seconds[tuple(place)]} for model {model!r}; "
            f"write finite seconds of at least 0, or NaN where unknown."
        )


def _too_few_models(dataset: xr.Dataset, coverage: NDArray[np.float64], min_coverage: float) -> str:
    num_kept = int((coverage >= min_coverage).sum())
    second_best = np.sort(coverage)[-2] if len(coverage) > 1 else 0.0
    remedy = "record the missing cells"
    if second_best > 0:
        remedy += f", or lower the least coverage to {_rounded_down(second_best)}"
    return (
        f"{place_of(dataset)}: {num_kept} of {len(coverage)} models answered at least {min_coverage:.0%} of the "
        f"{dataset.sizes['query']} queries, and a race needs 2; {remedy}."
    )


def _no_common_query(dataset: xr.Dataset, rows: NDArray[np.int8], coverage: NDArray[np.float64]) -> str:
    num_queries = rows.shape[1]
    fewest, most = (round((1 - share) * num_queries) for share in (coverage.max(), coverage.min()))
    message = (
        f"{place_of(dataset)}: none of the {num_queries} queries was answered by all {len(rows)} remaining models "
        f"(each misses {fewest} to {most} of them); record the missing cells, or "
    )
    best = _best_coverage(rows, coverage)
    if best is None:
        return message + "leave out models by hand until some query is common to the others."
    threshold, num_models, num_common = best
    return (
        message + f"raise the least coverage to {threshold}, which leaves {num_models} models x {num_common} queries."
    )


def _best_coverage(rows: NDArray[np.int8], coverage: NDArray[np.float64]) -> tuple[float, int, int] | None:
    """The least coverage that would leave the most cells, with its numbers of models and queries; None if none does."""
    best: tuple[float, int, int] | None = None
    by_coverage = np.argsort(-coverage, kind="stable")
    is_common = np.ones(rows.shape[1], dtype=bool)
    for num_models, row in enumerate(by_coverage, start=1):
        is_common &= rows[row] >= 0
        next_coverage = coverage[by_coverage[num_models]] if num_models < len(by_coverage) else -1.0
        threshold = _rounded_down(coverage[row])
        num_common = int(is_common.sum())
        separates = num_models >= 2 and next_coverage < threshold
        if separates and num_common and (best is None or num_models * num_common > best[1] * best[2]):
            best = (threshold, num_models, num_common)
    return best


def _rounded_down(share: float) -> float:
    """A threshold that is short to type and that a model of this share still reaches."""
    return float(np.floor(share * 1000) / 1000)
