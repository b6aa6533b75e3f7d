"""What the statistical tests share: one level, at which a sound generator fails a test once in a million draws."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, chisquare

REJECT_BELOW = 1e-6


def assert_equally_often(counts: ArrayLike) -> None:
    """Chi-square test that all categories are equally likely; false-alarm rate 1e-6."""
    result = chisquare(np.asarray(counts).reshape(-1))
    assert result.pvalue > REJECT_BELOW, f"chi-square {result.statistic:.1f}, p = {result.pvalue:.1e}"


def assert_uniform_pair(first: NDArray[np.float64], second: NDArray[np.float64], bins: int = 16) -> None:
    """Chi-square test that two samples in [0, 1) are uniform and independent; false-alarm rate 1e-6."""
    counts, _, _ = np.histogram2d(first.reshape(-1), second.reshape(-1), bins=bins, range=[[0, 1], [0, 1]])
    assert_equally_often(counts)


def assert_uniform_permutations(images: NDArray[np.int64]) -> None:
    """Chi-square test of the images [N, Q] of N permutations: each element goes everywhere equally often.

    Rows and columns of the table of counts have fixed sums. For uniform permutations its entries have covariance
    N / (Q - 1) times a projection of rank (Q - 1)**2. False-alarm rate 1e-6.
    """
    number, size = images.shape
    counts = np.stack([np.bincount(images[:, element], minlength=size) for element in range(size)])
    statistic = ((counts - number / size) ** 2).sum() * (size - 1) / number
    assert chi2.sf(statistic, (size - 1) ** 2) > REJECT_BELOW, f"chi-square {statistic:.1f} for {(size - 1) ** 2}"
