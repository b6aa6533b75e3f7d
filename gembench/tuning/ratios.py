"""Mean ranks relative to another policy's, as geometric means over races and numbers of queries per model.

Shapes: C races, N numbers of queries per model, R runs; run r of every policy meets the same query order.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from gembench.background import LoadedBackground
from gembench.experiment import Contest, Settings, make_policies, plan_contests, run_contests
from gembench.intervals import CONFIDENCE, Interval
from gembench.leaderboard.relative import ratio_intervals
from gembench.load_race import LoadedRace
from gembench.policy import Sampling
from gembench.tuning.splits import Part


@dataclass(frozen=True)
class Ratio:
    """A policy's mean rank over another's, as a geometric mean; below 1 it is better.

    Attributes:
        value: the ratio.
        interval: at 95%; None where races or runs are too few for one.
        worst: the ratio in the race where it is highest.
    """

    value: float
    interval: Interval | None
    worst: float


class Yardstick:
    """Measures policies in runs that are paired with those of a reference policy."""

    def __init__(
        self,
        reference: str,
        queries_per_model: Sequence[float],
        sampling: Sampling | None,
        known: Mapping[str, LoadedBackground],
        settings: Settings,
    ) -> None:
        """What all measurements share: `settings` but for the seed, which is the part's.

        Raises:
            UsageError: no policy is called like the reference, or it refuses a setting.
        """
        (self.reference,) = make_policies([reference])
        self.queries_per_model = tuple(dict.fromkeys(queries_per_model))
        self._sampling = sampling
        self._known = known
        self._settings = settings
        self._reference_ranks = cache(partial(self._replay, self.reference))

    def plan(self, policy: str, race: LoadedRace) -> tuple[Contest, ...]:
        """The policy on the race at every N.

        Raises:
            UsageError: a budget cannot be spent.
        """
        policies = make_policies([policy])
        return plan_contests([race], policies, self.queries_per_model, self._sampling, self._known)

    def log_ratio(self, policy: str, race: LoadedRace, seed: int) -> float:
        """The logarithm of the policy's mean rank over the reference's on one race, the mean over the Ns."""
        ranks, others = self._ranks(policy, race, seed), self._reference_ranks(race, seed)
        return float(np.log(ranks.mean(axis=1) / others.mean(axis=1)).mean())

    def ranks(self, policy: str, part: Part) -> NDArray[np.float64]:
        """The ranks of what the policy recommends, [C, N, R]."""
        return np.stack([self._ranks(policy, race, part.seed) for race in part.races])

    def _ranks(self, policy: str, race: LoadedRace, seed: int) -> NDArray[np.float64]:
        """[N, R]."""
        if policy == self.reference:
            return self._reference_ranks(race, seed)
        return self._replay(policy, race, seed)

    def _replay(self, policy: str, race: LoadedRace, seed: int) -> NDArray[np.float64]:
        """[N, R]."""
        with closing(run_contests(self.plan(policy, race), replace(self._settings, seed=seed))) as done:
            return np.stack([result.measures.rank for result in done]).astype(np.float64)


def ratio(ranks: NDArray[np.float64], others: NDArray[np.float64], *, are_drawn: bool) -> Ratio:
    """How the mean ranks of one policy stand to those of another.

    Args:
        ranks: [C, N, R], of the one.
        others: [C, N, R], of the other.
        are_drawn: whether the interval speaks of other races of this kind, of which these are a random sample: it is
            Student's, of the C logarithms. Else it speaks of just these races, and of other runs on them.
    """
    by_race = np.log(ranks.mean(axis=2) / others.mean(axis=2)).mean(axis=1)
    interval = _over_races(by_race) if are_drawn else _over_runs(ranks, others)
    return Ratio(float(np.exp(by_race.mean())), interval, float(np.exp(by_race.max())))


def _over_races(log_ratios: NDArray[np.float64]) -> Interval | None:
    from scipy.stats import t

    num_races = len(log_ratios)
    if num_races < 2:
        return None
    half_width = t.isf((1 - CONFIDENCE) / 2, num_races - 1) * log_ratios.std(ddof=1) / np.sqrt(num_races)
    low, high = np.exp(log_ratios.mean() + np.array([-half_width, half_width]))
    return float(low), float(high)


def _over_runs(ranks: NDArray[np.float64], others: NDArray[np.float64]) -> Interval | None:
    both = np.stack([ranks, others])
    by_run = both.reshape(2, -1, both.shape[-1]).transpose(2, 0, 1)
    low, high = ratio_intervals(by_run)[0, 1]
    return (float(low), float(high)) if np.isfinite(high) else None
