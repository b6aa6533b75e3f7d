"""The replay engine: thousands of randomized runs of a policy on recorded answers.

Run r is a pure function of (policy, race, budget, sampling, seed, r): the result is the same whatever the chunking and
however many devices share the work, and run r of every policy meets the same query order (common random numbers).
"""

import math
from collections.abc import Callable

import jax
import numpy as np

from gembench.decisions import digest
from gembench.exported_policy import ExportedOf
from gembench.ledger import raise_on_faults
from gembench.policy import Problem, Sampling
from gembench.program import Outcome, Program, estimated_bytes, limits_of, make_program, needed_bytes, run_program
from gembench.query_policy import AnyPolicy, Background, chooses_queries, no_background
from gembench.query_turn import studied
from gembench.race import Race
from gembench.runs import Runs
from gembench.turn import Setting, make_setting

_MAX_CHUNK = 1024


def simulate(
    policy: AnyPolicy,
    race: Race,
    *,
    budget: int,
    num_runs: int,
    seed: int = 0,
    sampling: Sampling | None = None,
    num_recommended: int = 1,
    memory_bytes: int | None = None,
    on_progress: Callable[[int], None] | None = None,
    with_digests: bool = False,
    background: Background | None = None,
) -> Runs:
    """Replay `num_runs` runs of a policy.

    Args:
        policy: any object that keeps the contract of `gembench.policy`.
        race: the answers and costs.
        budget: B, pulls over all models. A budget that pays for every cell buys every cell, whatever the policy.
        num_runs: R.
        seed: of the query orders and of the policy's own randomness; in [0, 2**64).
        sampling: whether all models meet the queries in one order; by default as the policy's source does.
        num_recommended: K, how many of each run's best models are kept.
        memory_bytes: bound on the engine's arrays; runs are replayed in chunks that fit it.
        on_progress: called after each chunk with its number of runs.
        with_digests: also log and digest the decisions of every run.
        background: what policies that can use it know before the race; by default nothing.

    Raises:
        BudgetError: the budget is under one pull a model.
        ContractError: the policy asked for what the contract forbids.
    """
    num_models, num_queries = race.correct.shape
    problem = Problem(num_models, num_queries, min(budget, num_models * num_queries))
    background = background or no_background(num_models, num_queries)
    setting = make_setting(policy, problem, sampling, with_digests, background)
    knowledge = studied(setting, background) if chooses_queries(setting.policy) else ()
    program = _fit(setting, min(num_recommended, num_models), num_runs, memory_bytes)
    limits = limits_of(setting)
    parts: list[Outcome] = []
    for first in range(0, num_runs, program.num_runs):
        size = min(program.num_runs, num_runs - first)
        # The last chunk is filled up with runs that are thrown away, so that every chunk has one shape.
        outcome = run_program(program, race, limits, seed, first, knowledge)
        parts.append(jax.tree.map(lambda array, size=size: array[:size], outcome))
        raise_on_faults(parts[-1].faults, _name_of(policy))
        if on_progress is not None:
            on_progress(size)
    outcome = jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)
    return Runs(
        recommended=outcome.recommended,
        pulls=outcome.pulls,
        model_loads=outcome.model_loads,
        cost_seconds=outcome.cost_seconds,
        best_pulls=outcome.best_pulls,
        best_correct=outcome.best_correct,
        distinct_queries=outcome.distinct_queries,
        decision_digests=tuple(map(digest, outcome.log_entries, outcome.log_length)) if with_digests else None,
    )


def _name_of(policy: AnyPolicy) -> str:
    return policy.name if isinstance(policy, ExportedOf) else type(policy).__name__


def _fit(setting: Setting, num_recommended: int, num_runs: int, memory_bytes: int | None) -> Program:
    """The program for the largest chunk of runs that is wanted and fits the memory."""
    limit = math.inf if memory_bytes is None else memory_bytes
    num_devices = jax.device_count()

    def resize(wanted: float) -> Program:
        return make_program(setting, num_recommended, max(1, math.ceil(wanted / num_devices)) * num_devices)

    program = resize(min(num_runs, _MAX_CHUNK))
    program = resize(min(program.num_runs, program.num_runs * limit / estimated_bytes(program)))
    # The estimate spares most programs a second compilation; XLA's account is what counts.
    while program.num_runs > num_devices and (used := needed_bytes(program)) > limit:
        program = resize(min(program.num_runs - num_devices, program.num_runs * limit / used - num_devices))
    return program
