"""Which policy to use, from the results of several on the tensors that stand for a case.

The policy with the lowest mean rank leads: the geometric mean over the tensors, so that a tensor of hard races weighs
no more than one of easy ones. A policy is as good as the leader if its mean rank is within a tenth of the leader's and
no better policy beats it for certain on any of the tensors. Of these the one that costs the fewest seconds is
recommended. Being indistinguishable is not enough: with few runs everything is, and uniform is always cheap.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gembench.comparison import Comparison
from gembench.experiment import ContestResult, compare_results
from gembench.intervals import CONFIDENCE, MIN_RUNS_TO_COMPARE, Interval, mean_interval, resampled_means

CLOSE = 1.1
"""Mean ranks within this factor of the leader's are as good in practice."""

Verdict = Literal["recommended", "as good", "higher rank", "worse for certain"]


@dataclass(frozen=True)
class Standing:
    """One policy over all the tensors, each mean with its 95% interval over runs (None for a single run).

    Attributes:
        policy: its specification.
        mean_rank: geometric mean over the tensors of the mean rank.
        cost_seconds: mean over the tensors and runs.
        model_loads: mean over the tensors and runs.
        verdict: `higher rank` is more than a tenth above the leader's, yet not worse for certain.
    """

    policy: str
    mean_rank: float
    mean_rank_ci: Interval | None
    cost_seconds: float
    cost_seconds_ci: Interval | None
    model_loads: float
    model_loads_ci: Interval | None
    verdict: Verdict


@dataclass(frozen=True)
class Recommendation:
    """The policy to use, and why.

    Attributes:
        policy: its specification.
        runs: R of every policy on every tensor.
        standings: all policies, the lowest mean rank first.
        better_on: policies that beat it for certain on one tensor though not over all, each with that tensor.
    """

    policy: str
    runs: int
    standings: tuple[Standing, ...]
    better_on: tuple[tuple[str, str], ...]


def recommend(results: Sequence[ContestResult]) -> Recommendation:
    """Choose among policies that ran on the same tensors, at one N and the same number of runs.

    Args:
        results: each policy's result on each tensor.
    """
    by_policy: dict[str, list[ContestResult]] = defaultdict(list)
    for result in results:
        by_policy[result.row.policy].append(result)
    comparisons = compare_results(results)
    mean_rank = {policy: _geometric_mean([each.row.mean_rank for each in of]) for policy, of in by_policy.items()}
    cost = {policy: _mean(_per_run(of, lambda each: each.runs.cost_seconds)) for policy, of in by_policy.items()}
    best_first = sorted(by_policy, key=lambda policy: (mean_rank[policy], cost[policy]))
    leader = best_first[0]
    worse = {
        policy
        for place, policy in enumerate(best_first)
        if any(policy in each.beaten_by(better) for each in comparisons for better in best_first[:place])
    }
    as_good = [p for p in best_first if p not in worse and mean_rank[p] <= CLOSE * mean_rank[leader]]
    chosen = min(as_good, key=lambda policy: cost[policy])  # of two that cost the same, the better

    def verdict(policy: str) -> Verdict:
        if policy in worse:
            return "worse for certain"
        if policy not in as_good:
            return "higher rank"
        return "recommended" if policy == chosen else "as good"

    return Recommendation(
        policy=chosen,
        runs=results[0].row.runs,
        standings=tuple(
            _standing(policy, by_policy[policy], mean_rank[policy], verdict(policy)) for policy in best_first
        ),
        better_on=_better_on(chosen, comparisons),
    )


def explain(recommendation: Recommendation, results: Sequence[ContestResult]) -> str:
    """The recommendation, made from these results, in a few sentences for a person."""
    rows = [result.row for result in results if result.row.policy == recommendation.policy]
    ranks = [f"{row.mean_rank:,.1f} of {row.num_models:,} on {row.tensor}" for row in rows]
    sentences = [f"Use {recommendation.policy}: mean rank {_listed(ranks)}; {_how_sure(recommendation, len(rows))}."]
    chosen = next(each for each in recommendation.standings if each.policy == recommendation.policy)
    leader = recommendation.standings[0]
    if leader is not chosen:
        sentences.append(f"{leader.policy} is as good, within a tenth in rank, but costs {_dearer(leader, chosen)}.")
    elif dearer := [each for each in recommendation.standings[1:] if each.verdict == "as good"]:
        costs = [f"{each.policy} ({_dearer(each, chosen)})" for each in dearer]
        sentences.append(f"As good, within a tenth in rank, but not cheaper: {_listed(costs)}.")
    return " ".join(sentences)


def _how_sure(recommendation: Recommendation, num_tensors: int) -> str:
    if len(recommendation.standings) < 2:
        return "there was no other policy to hold it against"
    if recommendation.runs < MIN_RUNS_TO_COMPARE:
        return f"{recommendation.runs} runs are too few to be sure, {MIN_RUNS_TO_COMPARE} or more can tell"
    if recommendation.better_on:
        where = _listed([f"{policy} on {tensor}" for policy, tensor in recommendation.better_on])
        return f"better for certain is {where}, but not over all the tensors"
    num_others = len(recommendation.standings) - 1
    num_worse = sum(each.verdict == "worse for certain" for each in recommendation.standings)
    where = " on a tensor or more" if num_tensors > 1 else ""
    return f"no policy is better for certain, {num_worse} of {num_others} others worse for certain{where}"


def _dearer(policy: Standing, chosen: Standing) -> str:
    loads = f"{policy.model_loads:,.0f} model loads against {chosen.model_loads:,.0f}"
    if chosen.cost_seconds == 0:
        return loads
    return f"{policy.cost_seconds / chosen.cost_seconds:,.3g} times the seconds, {loads}"


def _standing(policy: str, results: Sequence[ContestResult], mean_rank: float, verdict: Verdict) -> Standing:
    costs = _per_run(results, lambda each: each.runs.cost_seconds)
    loads = _per_run(results, lambda each: each.runs.model_loads)
    return Standing(
        policy=policy,
        mean_rank=mean_rank,
        mean_rank_ci=_geometric_interval(_per_run(results, lambda each: each.measures.rank)),
        cost_seconds=_mean(costs),
        cost_seconds_ci=mean_interval(costs.mean(axis=1)),
        model_loads=_mean(loads),
        model_loads_ci=mean_interval(loads.mean(axis=1)),
        verdict=verdict,
    )


def _better_on(chosen: str, comparisons: Sequence[Comparison]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (other, each.tensor) for each in comparisons for other in each.policies if chosen in each.beaten_by(other)
    )


def _per_run(results: Sequence[ContestResult], measure: Callable[[ContestResult], NDArray[Any]]) -> NDArray[np.float64]:
    """One measure of a policy on T tensors: [R, T] float64."""
    return np.stack([measure(result) for result in results], axis=1).astype(np.float64)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean())


def _geometric_mean(values: Sequence[float]) -> float:
    return round(float(np.exp(np.log(values).mean())), 12)  # so that equal ranks stay equal, and one stays itself


def _geometric_interval(ranks: NDArray[np.float64]) -> Interval | None:
    """The 95% percentile bootstrap interval of the geometric mean over tensors of the mean over runs."""
    if len(ranks) < 2:
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.exp(np.log(resampled_means(ranks)).mean(axis=1)), [tail, 1 - tail])
    return float(low), float(high)


def _listed(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
