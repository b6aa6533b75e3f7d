"""How sure a report can be: one bootstrap over runs, exact binomial intervals, and comparisons that hold together.

Every interval of a report comes from the same 2,000 resamples of the runs, drawn once per number of runs from a fixed
seed, so that a report is the same bytes every time. The resamples are a matrix of counts, and a resampled mean is one
matrix product.

Sources: the percentile interval is Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), section 13.3; the
binomial one is Clopper and Pearson, Biometrika 26 (1934); the simultaneous one is the bootstrap of the largest |t|,
Romano and Wolf, "Exact and approximate stepdown methods", JASA 100 (2005), section 4, in its single step form.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

NUM_RESAMPLES = 2000
CONFIDENCE = 0.95
_RESAMPLING_SEED = 20250120
MIN_RUNS_TO_COMPARE = 20
"""Fewer runs decide nothing between policies: the bootstrap of so few is not to be trusted in its tails."""
_ROUNDING = 1e-12
"""Differences that vary by less, relative to the values, are the same in every run."""

Interval = tuple[float, float]


@lru_cache(maxsize=4)
def resample_counts(num_runs: int) -> NDArray[np.float64]:
    """How often each resample holds each run: [NUM_RESAMPLES, R] float64, every row adding up to R. Read-only."""
    rng = np.random.default_rng(_RESAMPLING_SEED)
    counts = rng.multinomial(num_runs, np.full(num_runs, 1 / num_runs), size=NUM_RESAMPLES).astype(np.float64)
    counts.flags.writeable = False
    return counts


def resampled_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of every resample of `values` [R, ...]: [NUM_RESAMPLES, ...] float64."""
    return np.tensordot(resample_counts(len(values)), values, axes=1) / len(values)


def mean_interval(values: ArrayLike) -> Interval | None:
    """The 95% percentile bootstrap interval of the mean of `values` [R]; None for a single run, which cannot tell."""
    per_run = np.asarray(values, dtype=np.float64)
    if len(per_run) < 2:
        return None
    if np.ptp(per_run) == 0:  # a product of counts would round, and print 1.0000000000000002
        return float(per_run[0]), float(per_run[0])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled_means(per_run), [tail, 1 - tail])
    return float(low), float(high)


def probability_interval(num_found: int, num_runs: int) -> Interval | None:
    """The exact 95% interval (Clopper-Pearson) of a probability seen in `num_found` of the runs; None for one run."""
    from scipy.stats import binomtest  # half a second to import, and only reports need it

    if num_runs < 2:
        return None
    low, high = binomtest(num_found, num_runs).proportion_ci(CONFIDENCE, method="exact")
    return float(low), float(high)


def simultaneous_intervals(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """95% intervals of the differences of means between all pairs of P policies, all of which hold together.

    The differences are paired: run r of one policy is held against run r of the other. All intervals have the same
    width in standard errors, c; 95% of the resamples keep every pair's difference within c standard errors of what was
    observed. c then gives way from the normal law to Student's, for the standard errors come from R runs. A pair whose
    difference is the same in every run has an interval of width 0: with equal policies, that the difference had the
    same sign R times would happen in one of 2^(R - 1) reports.

    Args:
        values: [R, P] float64, one measure of P policies over R common runs.

    Returns:
        [P, P, 2] float64: low and high end of mean i minus mean j; i is above j for certain where low > 0. All ends
        are infinite when there are fewer than `MIN_RUNS_TO_COMPARE` runs.
    """
    from scipy.stats import norm, t

    num_runs, num_policies = values.shape
    intervals = np.empty((num_policies, num_policies, 2))
    intervals[:] = (-np.inf, np.inf)
    intervals[np.arange(num_policies), np.arange(num_policies)] = 0.0
    if num_runs < MIN_RUNS_TO_COMPARE or num_policies < 2:
        return intervals
    first, second = np.triu_indices(num_policies, k=1)
    per_run = values[:, first] - values[:, second]
    observed = per_run.mean(axis=0)
    standard_error = per_run.std(axis=0, ddof=1) / np.sqrt(num_runs)
    varies = np.ptp(per_run, axis=0) > _ROUNDING * np.abs(values).max()
    half_width = np.zeros(len(first))
    if varies.any():
        resampled_error = per_run.std(axis=0) / np.sqrt(num_runs)  # of a resample's mean: R, not R - 1
        resampled = resampled_means(values)
        largest = np.zeros(len(resampled))
        for pair in np.flatnonzero(varies):  # all pairs at once would be gigabytes for a hundred policies
            difference = resampled[:, first[pair]] - resampled[:, second[pair]]
            deviation = np.abs(difference - observed[pair]) / resampled_error[pair]
            largest = np.maximum(largest, deviation)
        quantile = np.quantile(largest, CONFIDENCE)
        half_width[varies] = t.isf(norm.sf(quantile), num_runs - 1) * standard_error[varies]
    intervals[first, second] = np.stack([observed - half_width, observed + half_width], axis=-1)
    intervals[second, first] = np.stack([-observed - half_width, -observed + half_width], axis=-1)
    return intervals
