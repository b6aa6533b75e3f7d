"""Which policies differ for certain: all pairs on one tensor at one number of queries per model, held together."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gembench.intervals import CONFIDENCE, MIN_RUNS_TO_COMPARE, Interval, simultaneous_intervals


@dataclass(frozen=True)
class Difference:
    """The mean rank of `worse` minus that of `better`, paired by run.

    Attributes:
        better: the policy with the lower mean rank, as it was seen.
        worse: the other.
        difference: how many ranks lie between their means; never negative.
        difference_ci: the interval, simultaneous over all pairs of the comparison; None where the runs are too few.
        certain: whether the interval lies above 0.
    """

    better: str
    worse: str
    difference: float
    difference_ci: Interval | None
    certain: bool


@dataclass(frozen=True)
class Comparison:
    """All pairs of policies on one tensor at one number of queries per model.

    Attributes:
        policies: the policies from the lowest mean rank to the highest.
        confidence: how often all the intervals of the comparison hold at once.
    """

    tensor: str
    queries_per_model: float
    runs: int
    seed: int
    confidence: float
    policies: tuple[str, ...]
    differences: tuple[Difference, ...]

    @cached_property
    def _certain_pairs(self) -> frozenset[tuple[str, str]]:
        return frozenset((pair.better, pair.worse) for pair in self.differences if pair.certain)

    def beaten_by(self, policy: str) -> tuple[str, ...]:
        """The policies whose mean rank is worse than that of `policy` for certain, best first."""
        return tuple(other for other in self.policies if (policy, other) in self._certain_pairs)

    def level_with(self, policy: str) -> tuple[str, ...]:
        """The policies that these runs cannot tell from `policy`, best first."""
        return tuple(
            other
            for other in self.policies
            if other != policy and not {(policy, other), (other, policy)} & self._certain_pairs
        )


def compare(
    rank_by_policy: Mapping[str, NDArray[np.int64]], *, tensor: str, queries_per_model: float, seed: int
) -> Comparison:
    """Compare the mean ranks of policies over common runs.

    Args:
        rank_by_policy: for each policy, [R] ranks of its recommendations; run r met the same query order in all.
        tensor: what the runs replayed.
        queries_per_model: N of all of them.
        seed: seed of the runs.
    """
    policies = list(rank_by_policy)
    ranks = np.stack([np.asarray(rank_by_policy[policy], dtype=np.float64) for policy in policies], axis=1)
    intervals = simultaneous_intervals(ranks)
    means = ranks.mean(axis=0)
    by_mean = np.argsort(means, kind="stable")
    differences = []
    for place, better in enumerate(by_mean):
        for worse in by_mean[place + 1 :]:
            low, high = (float(end) for end in intervals[worse, better])
            differences.append(
                Difference(
                    better=policies[better],
                    worse=policies[worse],
                    difference=float(means[worse] - means[better]),
                    difference_ci=(low, high) if math.isfinite(low) else None,
                    certain=low > 0,
                )
            )
    return Comparison(
        tensor=tensor,
        queries_per_model=queries_per_model,
        runs=len(ranks),
        seed=seed,
        confidence=CONFIDENCE,
        policies=tuple(policies[place] for place in by_mean),
        differences=tuple(differences),
    )


def summarize(comparison: Comparison) -> str:
    """One line for a person: who leads, whom it beats for certain, and which neighbours the runs cannot tell apart."""
    if len(comparison.policies) < 2:
        return ""
    if comparison.runs < MIN_RUNS_TO_COMPARE:
        return f"Too few runs to tell policies apart; {MIN_RUNS_TO_COMPARE} or more can."
    leader = comparison.policies[0]
    beaten, level = comparison.beaten_by(leader), comparison.level_with(leader)
    if not beaten:
        return f"{leader} has the lowest mean rank, but no policy can be told from it."
    everyone = beaten[0] if len(beaten) == 1 else "every other policy"
    line = f"{leader} beats {everyone if not level else f'{len(beaten)} of {len(comparison.policies) - 1}'}"
    line += f" for certain, but not {_listed(level)}." if level else " for certain."
    alike = _level_neighbours(comparison)
    if alike:
        line += f" Neighbours that cannot be told apart: {', '.join(' ~ '.join(group) for group in alike)}."
    return line


def _level_neighbours(comparison: Comparison) -> list[tuple[str, ...]]:
    """Longest stretches of the order, the leader's own left out, in which every two policies are level."""
    stretches: list[tuple[str, ...]] = []
    others = comparison.policies[1:]
    for start in range(len(others)):
        stop = start + 1
        while stop < len(others) and set(others[start:stop]) <= set(comparison.level_with(others[stop])):
            stop += 1
        stretch = others[start:stop]
        if len(stretch) > 1 and not (stretches and set(stretch) <= set(stretches[-1])):
            stretches.append(stretch)
    return stretches


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
