"""Policies on tensors at several budgets: every combination is a contest, some run at once, reports keep order."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType

from gembench.background import LoadedBackground
from gembench.comparison import Comparison, compare
from gembench.load_race import LoadedRace
from gembench.measures import Measures, measure
from gembench.policies.catalog import CATALOG, make_policy, policy_spec
from gembench.policy import Problem, Sampling
from gembench.query_policy import AnyPolicy, chooses_queries, informed
from gembench.result import Replay, Row, summarize_runs
from gembench.runs import Runs
from gembench.simulate import simulate

NUM_CONTESTS_AT_ONCE = 2
"""While XLA computes one contest, Python traces the next."""


@dataclass(frozen=True)
class Settings:
    """What all contests of an experiment share.

    Attributes:
        num_runs: R, randomized runs of each contest.
        seed: seed of the runs; run r meets the same query order in every contest of one tensor and sampling.
        top_k: the ks of the top-k recall.
        memory_bytes: what all contests running at once may use together; None for the simulator's own default.
        with_digests: whether to digest every run's decisions.
    """

    num_runs: int = 100
    seed: int = 0
    top_k: tuple[int, ...] = (1, 3, 5)
    memory_bytes: int | None = None
    with_digests: bool = False


@dataclass(frozen=True)
class Contest:
    """One policy on one tensor at one budget.

    Attributes:
        loaded: the race.
        specification: the policy's canonical text.
        policy: the policy.
        sampling: how query orders are drawn.
        queries_per_model: N.
        budget: B.
        known: what the policy is told beforehand; None for nothing, as for any policy that could not use it.
    """

    loaded: LoadedRace
    specification: str
    policy: AnyPolicy
    sampling: Sampling
    queries_per_model: float
    budget: int
    known: LoadedBackground | None = None


@dataclass(frozen=True)
class ContestResult:
    """A finished contest: its row, and the runs and measures behind it."""

    contest: Contest
    row: Row
    runs: Runs
    measures: Measures


def make_policies(specifications: Sequence[str]) -> dict[str, AnyPolicy]:
    """The policies of `NAME[:key=value,...]` texts by their canonical text; all of the first level where none is.

    Raises:
        UsageError: no policy has the name, or it refuses a setting.
    """
    policies = [make_policy(specification) for specification in specifications or CATALOG]
    return {policy_spec(policy): policy for policy in policies}


def plan_contests(
    races: Sequence[LoadedRace],
    policies: Mapping[str, AnyPolicy],
    queries_per_model: Sequence[float],
    sampling: Sampling | None = None,
    known: Mapping[str, LoadedBackground] = MappingProxyType({}),
) -> tuple[Contest, ...]:
    """Every policy on every race at every N, checked before any of them runs.

    Args:
        races: what to replay.
        policies: the policies by their canonical text.
        queries_per_model: the Ns; one given twice counts once.
        sampling: for all policies that do not choose the queries themselves; None for what each policy's source uses.
        known: what is known beforehand, by the race's tensor.

    Returns:
        The contests by race, then N, then policy.

    Raises:
        UsageError: a budget cannot be spent on one of the races.
    """
    return tuple(
        _plan_contest(loaded, specification, policy, num_each, sampling, known.get(loaded.tensor))
        for loaded in races
        for num_each in dict.fromkeys(queries_per_model)
        for specification, policy in policies.items()
    )


def _plan_contest(
    loaded: LoadedRace,
    specification: str,
    policy: AnyPolicy,
    queries_per_model: float,
    sampling: Sampling | None,
    known: LoadedBackground | None,
) -> Contest:
    raced = policy
    if known is not None:
        raced = informed(policy, has_history=known.history is not None, has_prior=known.prior is not None)
    if chooses_queries(raced):
        sampling = raced.sampling
    else:
        known = None
    budget = loaded.budget(queries_per_model)
    problem = Problem(loaded.num_models, loaded.num_queries, budget)
    if budget < loaded.num_models * loaded.num_queries:  # Else every cell is bought, whatever the policy.
        raced.plan(problem)
    return Contest(loaded, specification, policy, sampling or raced.sampling, queries_per_model, budget, known)


def run_contests(
    contests: Sequence[Contest], settings: Settings, on_progress: Callable[[int], None] | None = None
) -> Generator[ContestResult, None, None]:
    """Run the contests, several at once; yield what came of them in their own order, each as soon as it is its turn.

    Close the iterator to give up early: no further contest starts.

    Args:
        contests: what to run.
        settings: what they share.
        on_progress: told, from any thread, how many runs have just finished.
    """
    pool = ThreadPoolExecutor(NUM_CONTESTS_AT_ONCE, thread_name_prefix="contest")
    try:
        pending = [pool.submit(run_contest, contest, settings, on_progress) for contest in contests]
        pending.reverse()
        while pending:
            yield pending.pop().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def run_contest(
    contest: Contest, settings: Settings, on_progress: Callable[[int], None] | None = None
) -> ContestResult:
    """Replay one contest and measure it."""
    loaded, known = contest.loaded, contest.known
    history = None if known is None else known.history
    started = time.perf_counter()
    runs = simulate(
        contest.policy,
        loaded.race,
        budget=contest.budget,
        num_runs=settings.num_runs,
        seed=settings.seed,
        sampling=contest.sampling,
        num_recommended=min(max(settings.top_k), loaded.num_models),
        memory_bytes=settings.memory_bytes and settings.memory_bytes // NUM_CONTESTS_AT_ONCE,
        on_progress=on_progress,
        with_digests=settings.with_digests,
        background=None if known is None else known.background,
    )
    wall_seconds = time.perf_counter() - started
    replay = Replay(
        tensor=loaded.tensor,
        tensor_digest=loaded.digest,
        min_coverage=loaded.min_coverage,
        num_models=loaded.num_models,
        num_queries=loaded.num_queries,
        policy=contest.specification,
        sampling=contest.sampling,
        queries_per_model=contest.queries_per_model,
        budget=contest.budget,
        runs=settings.num_runs,
        seed=settings.seed,
        cost_source=loaded.cost_source,
        history_tensors=() if history is None else history.tensors,
        history=() if history is None else history.digests,
        prior=None if known is None else known.prior,
    )
    measures = measure(runs, loaded.accuracy, settings.top_k)
    return ContestResult(contest, summarize_runs(replay, runs, measures, wall_seconds), runs, measures)


def compare_results(results: Sequence[ContestResult]) -> tuple[Comparison, ...]:
    """The policies compared within each tensor and N, in the order in which these first appear."""
    groups: dict[tuple[str, float], list[ContestResult]] = {}
    for result in results:
        groups.setdefault((result.row.tensor, result.row.queries_per_model), []).append(result)
    return tuple(
        compare(
            {result.row.policy: result.measures.rank for result in group},
            tensor=tensor,
            queries_per_model=num_each,
            seed=group[0].row.seed,
        )
        for (tensor, num_each), group in groups.items()
    )
