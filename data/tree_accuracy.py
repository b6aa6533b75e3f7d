"""How many right answers each model of a generated tree has: the published marginals, met exactly where exact.

Everything is decided in whole answers before any answer is drawn, so that row means hold by construction.
"""

import numpy as np
from numpy.typing import NDArray

from gembench.data.tree_figures import TreeFigures
from gembench.errors import UsageError

WORST_ACCURACY = 0.05
"""Of the worst model: broken checkpoints answer next to nothing in the asked form."""

_STEPS = 80


def right_answers(figures: TreeFigures) -> NDArray[np.int64]:
    """Right answers of the K models, [K], falling.

    The models above the figures' threshold follow the published percentiles, straight between them; the best model
    and the best base are exact. The others fall from the threshold to `WORST_ACCURACY` along a hyperbola whose bend is
    the one that gives the published mean.

    Raises:
        UsageError: no bend gives that mean, or the queries are too few.
    """
    upper = _upper(figures)
    total = round(figures.mean_accuracy * figures.num_models * figures.num_queries)
    return np.concatenate([upper, _lower(figures, total - int(upper.sum()))])


def _upper(figures: TreeFigures) -> NDArray[np.int64]:
    num_queries, last = figures.num_queries, figures.num_above - 1
    first_tied, behind = figures.num_above_base, figures.num_above_base + figures.num_tied_with_base
    best, base = round(figures.best_accuracy * num_queries), round(figures.best_base_accuracy * num_queries)
    at_threshold = int(figures.threshold * num_queries)
    if best - base < 2 or base - at_threshold < 2:
        raise UsageError(
            f"tree {figures.name!r}: {num_queries} queries are too few to tell accuracies of {figures.best_accuracy}, "
            f"{figures.best_base_accuracy} and {figures.threshold} apart; give more queries."
        )

    positions = [(1 - percentile / 100) * last for percentile, _ in reversed(figures.percentiles)]
    counts = [accuracy * num_queries for _, accuracy in reversed(figures.percentiles)]
    counts[0] = best
    upper = np.floor(interpolate(np.arange(last + 1, dtype=np.float64), positions, counts) + 0.5).astype(np.int64)

    # The base's accuracy and rank come from a table, the percentiles from colours: the table decides.
    upper[1:first_tied] = np.clip(upper[1:first_tied], base + 1, best - 1)
    upper[first_tied:behind] = base
    upper[behind:] = np.clip(upper[behind:], at_threshold + 1, base - 1)
    return upper


def _lower(figures: TreeFigures, total: int) -> NDArray[np.int64]:
    top = int(figures.threshold * figures.num_queries)
    worst = round(WORST_ACCURACY * figures.num_queries)
    num_lower = figures.num_models - figures.num_above
    depth = np.arange(1, num_lower + 1) / num_lower

    def fall(bend: float) -> NDArray[np.int64]:
        return np.floor(top - (top - worst) * (depth / (depth + bend * (1 - depth))) + 0.5).astype(np.int64)

    low, high = 2.0**-12, 2.0**12
    if not fall(low).sum() <= total <= fall(high).sum():
        raise UsageError(
            f"tree {figures.name!r}: with these figures above {figures.threshold}, a mean accuracy of "
            f"{figures.mean_accuracy} would take models outside {WORST_ACCURACY} to {figures.threshold} below it."
        )
    for _ in range(_STEPS):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if fall(middle).sum() < total else (low, middle)
    return fall(high)


def interpolate(x: NDArray[np.float64], xs: list[float], ys: list[float]) -> NDArray[np.float64]:
    """Straight lines through the points (xs rising, ys); `numpy.interp` may fuse its multiply and add, this cannot."""
    right = np.clip(np.searchsorted(xs, x, side="right"), 1, len(xs) - 1)
    x0, y0 = np.asarray(xs)[right - 1], np.asarray(ys, dtype=np.float64)[right - 1]
    x1, y1 = np.asarray(xs)[right], np.asarray(ys, dtype=np.float64)[right]
    return np.asarray(y0 + (y1 - y0) * ((x - x0) / (x1 - x0)))


def spread_over_tasks(
    right: NDArray[np.int64], skill: NDArray[np.float64], queries_per_task: tuple[int, ...]
) -> NDArray[np.int64]:
    """Right answers by task, [K, T], with the given row sums `right` [K].

    The accuracy on task t is squash(level + skill[:, t]), with the level of each model solved for by bisection, then
    rounded to whole answers by largest remainders.
    """
    sizes = np.asarray(queries_per_task, dtype=np.float64)
    low, high = np.full(right.shape, -1e6), np.full(right.shape, 1e6)
    for _ in range(_STEPS):
        level = (low + high) / 2
        expected = squash(level[:, None] + skill) * sizes
        # Added task by task: numpy.sum's order of addition, hence its last bit, differs between builds.
        total = sum((expected[:, task] for task in range(len(sizes))), np.zeros(right.shape))
        low, high = np.where(total < right, level, low), np.where(total < right, high, level)
    expected = squash(low[:, None] + skill) * sizes
    whole = np.floor(expected).astype(np.int64)
    order = np.argsort(whole - expected, axis=1, kind="stable")
    place = np.argsort(order, axis=1, kind="stable")
    return np.asarray(whole + (place < (right - whole.sum(axis=1))[:, None]))


def squash(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """From a real number to an accuracy in (0, 1): a sigmoid of square roots alone, exact on every platform."""
    return (1 + x / np.sqrt(1 + x * x)) / 2


def unsquash(accuracy: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `squash`."""
    y = 2 * accuracy - 1
    return y / np.sqrt(1 - y * y)
