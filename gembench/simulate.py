"""The replay engine: thousands of randomized runs of a policy on recorded answers.

Run r is a pure function of (policy, race, budget, sampling, seed, r): the result is the same whatever the chunking and
however many devices share the work, and run r of every policy meets the same query order (common random numbers).
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import PartitionSpec

from gembench.ledger import Ledger, open_ledger, raise_on_faults
from gembench.policy import Ask, Memory, Policy, Problem, Sampling, Stage, Step, Tally, TallyOnly
from gembench.prng import make_key
from gembench.query_order import order_key
from gembench.race import Race
from gembench.ranking import best_first
from gembench.replay import Batch, RunState, replay_stage, written_order
from gembench.runs import Runs

_MAX_CHUNK = 1024


def simulate(
    policy: Policy,
    race: Race,
    *,
    budget: int,
    num_runs: int,
    seed: int = 0,
    sampling: Sampling | None = None,
    num_recommended: int = 1,
    memory_bytes: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Runs:
    """Replay `num_runs` runs of a policy.

    Args:
        policy: any object that keeps the contract of `gembench.policy`.
        race: the answers and costs.
        budget: B, pulls over all models. A budget that pays for every cell buys every cell, whatever the policy.
        num_runs: R.
        seed: of the query orders and of the policy's own randomness; in [0, 2**63).
        sampling: whether all models meet the queries in one order; by default as the policy's source does.
        num_recommended: K, how many of each run's best models are kept.
        memory_bytes: bound on the engine's arrays; runs are replayed in chunks that fit it.
        on_progress: called after each chunk with its number of runs.

    Raises:
        BudgetError: the budget is under one pull a model.
        ContractError: the policy asked for what the contract forbids.
    """
    num_models, num_queries = race.correct.shape
    problem = Problem(num_models, num_queries, min(budget, num_models * num_queries))
    if problem.budget == num_models * num_queries:
        policy = _EveryCell()
    setting = _Setting(policy, problem, sampling or policy.sampling, min(num_recommended, num_models))
    num_devices = jax.device_count()
    chunk = _chunk_size(setting, num_runs, num_devices, memory_bytes)
    correct = jnp.asarray(race.correct)
    seed_words = jnp.asarray([seed & 0xFFFFFFFF, seed >> 32], jnp.uint32)

    parts = []
    for first in range(0, num_runs, chunk):
        # The last chunk is filled up with runs that are thrown away, so that every chunk has one shape.
        run = jnp.arange(first, first + chunk, dtype=jnp.uint32)
        outcome = jax.tree.map(np.asarray, _replay(setting, correct, seed_words, run))
        size = min(chunk, num_runs - first)
        parts.append(jax.tree.map(lambda array, size=size: array[:size], outcome))
        raise_on_faults(parts[-1].faults, type(policy).__name__)
        if on_progress is not None:
            on_progress(size)
    outcome = jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)
    return Runs(
        recommended=outcome.recommended,
        pulls=outcome.pulls.sum(axis=1, dtype=np.int64),
        model_loads=outcome.loads.sum(axis=1, dtype=np.int64),
        cost_seconds=outcome.pulls @ race.query_seconds + outcome.loads @ race.load_seconds,
    )


@dataclass(frozen=True)
class _Setting:
    """What a compiled replay depends on besides shapes."""

    policy: Policy
    problem: Problem
    sampling: Sampling
    num_recommended: int


class _Outcome(NamedTuple):
    """The end of R runs: recommended [R, K], pulls and loads [R, M], faults [R], all int32."""

    recommended: Array
    pulls: Array
    loads: Array
    faults: Array


@dataclass(frozen=True)
class _EveryCell(TallyOnly):
    """Asks everything: what any policy comes to when the budget pays for every cell."""

    sampling: ClassVar[Sampling] = "independent"

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """One query of every model at a time."""
        return (Stage(problem.num_models, 1, problem.num_queries),)

    def ask(self, rng_key: Array, step: Step, tally: Tally, memory: Memory) -> Ask:
        """Every model."""
        del rng_key, tally, memory
        everyone = jnp.arange(step.problem.num_models, dtype=jnp.int32)
        return Ask(everyone, jnp.ones_like(everyone))

    def recommend(self, rng_key: Array, problem: Problem, tally: Tally, memory: Memory) -> Array:
        """The accuracies."""
        del rng_key, problem, memory
        return tally.correct.astype(jnp.float32)


@functools.partial(jax.jit, static_argnums=0)
def _replay(setting: _Setting, correct: Array, seed_words: Array, run: Array) -> _Outcome:
    """All runs of a chunk, shared out over the devices."""
    everywhere, by_run = PartitionSpec(), PartitionSpec("runs")
    mesh = jax.make_mesh((jax.device_count(),), ("runs",), axis_types=(jax.sharding.AxisType.Auto,))
    replay = functools.partial(_replay_on_device, setting)
    specs = {"in_specs": (everywhere, everywhere, by_run), "out_specs": by_run}
    return jax.shard_map(replay, mesh=mesh, check_vma=False, **specs)(correct, seed_words, run)


def _replay_on_device(setting: _Setting, correct: Array, seed_words: Array, run: Array) -> _Outcome:
    policy, problem = setting.policy, setting.problem
    seed_key = jax.random.fold_in(make_key(seed_words[0]), seed_words[1])
    rng_keys = jax.vmap(jax.random.fold_in, (None, 0))(seed_key, run)
    order_keys = order_key(seed_words, run)
    batch = Batch(correct, rng_keys, order_keys, written_order(correct, order_keys, setting.sampling))

    ledger, memory = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (run.size, *leaf.shape)),
        (open_ledger(problem.num_models), policy.start(problem)),
    )
    state = RunState(ledger, memory, jnp.int32(0))
    for index, stage in enumerate(policy.plan(problem)):
        state = replay_stage(policy, problem, index, stage, batch, state)

    def conclude(rng_key: Array, books: Ledger, memory: Memory) -> _Outcome:
        # No ask is numbered -1.
        score_key, tie_key = jax.random.split(jax.random.fold_in(rng_key, np.uint32(0xFFFFFFFF)))
        scores = policy.recommend(score_key, problem, books.tally, memory)
        best = best_first(tie_key, scores, setting.num_recommended)
        return _Outcome(best, books.tally.pulls, books.loads, books.faults)

    return jax.vmap(conclude)(rng_keys, state.ledger, state.memory)


def _chunk_size(setting: _Setting, num_runs: int, num_devices: int, memory_bytes: int | None) -> int:
    """Runs a chunk: a multiple of the devices, no more than needed, and within the memory bound."""
    wanted = min(num_runs, _MAX_CHUNK)
    if memory_bytes is not None:
        wanted = max(1, min(wanted, memory_bytes // _bytes_per_run(setting)))
    return -(-wanted // num_devices) * num_devices


def _bytes_per_run(setting: _Setting) -> int:
    problem = setting.problem
    widest = max(stage.num_models * stage.max_queries for stage in setting.policy.plan(problem))
    return 4 * (8 * problem.num_models + 2 * problem.num_queries + 3 * widest)
