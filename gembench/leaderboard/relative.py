r"""Means relative to a reference policy's, as geometric means over cells, each with a paired bootstrap interval.

With $\bar x_p(c)$ the mean of policy p's runs in cell c, and $\bar x_0(c)$ the reference's, the relative mean of p is
$\exp \frac{1}{C} \sum_c \log \bar x_p(c) / \bar x_0(c)$: every cell counts alike, whether its ranks run to 50 or to
5,000, and to halve the ranks in one cell is worth as much as in another. A cell in which everybody does the same adds 0
to every sum: it draws all numbers towards 1 by the same power, and changes neither their order nor which differ.

What is resampled are the runs, the same for all policies and all cells. Run r comes from the seed and r alone, so that
its query orders in two cells may be related, as those of one tensor at two budgets are: they are one order, read to
different depths. The runs are independent; what is within one need not be.

The mean of a policy that did the same in every run has no spread, and its relative mean only that of the reference. No
resample knows of an accident that did not happen: what happens in one of R runs is missed by 37 benchmarks of 100.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gembench.intervals import CONFIDENCE, Interval, resampled_means, simultaneous_intervals


@dataclass(frozen=True)
class Estimate:
    """A number and its 95% interval, which is None for a single run."""

    value: float
    interval: Interval | None

    @property
    def span(self) -> Interval:
        """The interval; without one, from the number to itself."""
        return self.interval or (self.value, self.value)


@dataclass(frozen=True, eq=False)
class LogMeans:
    """The logarithms of the means of P policies in C cells.

    Attributes:
        num_runs: R.
        observed: [P, C] float64; minus infinity where all values are 0.
        resampled: [NUM_RESAMPLES, P, C] float64, of every resample of the runs.
    """

    num_runs: int
    observed: NDArray[np.float64]
    resampled: NDArray[np.float64]


def log_means(values: NDArray[np.float64]) -> LogMeans:
    """The logarithms of the means over runs of `values` [R, P, C], none of them negative."""
    with np.errstate(divide="ignore"):
        return LogMeans(len(values), np.log(values.mean(axis=0)), np.log(resampled_means(values)))


def relative_means(logs: LogMeans, reference: int, cells: Sequence[int]) -> tuple[Estimate, ...]:
    """The P relative means over some of the cells. The reference's is 1; its own means must not be 0.

    Args:
        logs: of all policies and cells.
        reference: which policy the others are relative to.
        cells: the indices of the cells.
    """
    observed = _relative(logs.observed, reference, cells)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(_relative(logs.resampled, reference, cells), [tail, 1 - tail], axis=0)
    return tuple(
        Estimate(float(value), (float(first), float(last)) if logs.num_runs > 1 else None)
        for value, first, last in zip(observed, low, high, strict=True)
    )


def ratio_intervals(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """95% intervals of the ratios of geometric means over all cells between all pairs, all of which hold together.

    They are the `simultaneous_intervals` of what each run adds to the logarithms to first order (the delta method),
    whose means over runs are the logarithms. To resample the ratios themselves made the intervals no truer, and on
    average less than 1.5% wider or narrower, for 50 and for 200 skewed runs, in one cell and in four. Whom no run tells
    apart, and who differ by the same factor in every run, have an interval of width 0.

    Args:
        values: [R, P, C], all positive.

    Returns:
        [P, P, 2] float64: low and high end of i's mean over j's. Ends are 0 and infinite when there are too few runs.
    """
    means = values.mean(axis=0)
    return np.exp(simultaneous_intervals((np.log(means) + values / means - 1).mean(axis=2)))


def _relative(logs: NDArray[np.float64], reference: int, cells: Sequence[int]) -> NDArray[np.float64]:
    chosen = logs[..., cells]
    return np.asarray(np.exp((chosen - chosen[..., [reference], :]).mean(axis=-1)))
