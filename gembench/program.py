"""The replay of a chunk of runs as a compiled program, shared out over the devices.

Tracing a policy in Python takes longer than replaying it, so where JAX keeps compiled programs between processes
(`jax_compilation_cache_dir`), the traced program is kept beside them, as portable StableHLO. Only policies of this
package are kept: what they compute is known from the package's sources, which are part of the key.
"""

import hashlib
import re
import tempfile
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.export import Exported, deserialize, export
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jax.stages import Compiled
from numpy.typing import NDArray

from gembench.compilation import Effort, choose_effort, compile_lowered, rounds_alike
from gembench.decisions import Log
from gembench.errors import ContractError
from gembench.memory import give_back_free_memory
from gembench.policy import Stage
from gembench.query_policy import UNSEEN, Background, Knowledge, chooses_queries
from gembench.race import Race
from gembench.replay import Limits, recommend, replay_stage, start_runs
from gembench.turn import Setting

_PACKAGE = Path(__file__).parent
_EFFORTS: tuple[Effort, ...] = get_args(Effort)
_LAPACK = re.compile(r"@lapack_\w+")
_DIGEST_BYTES = hashlib.sha256().digest_size


class Outcome(NamedTuple):
    """The end of R runs, on the host, int32 unless said.

    Attributes:
        recommended: [R, K].
        pulls: [R] int64.
        model_loads: [R] int64.
        cost_seconds: [R] float64.
        best_pulls: [R] int64, of the first recommended model.
        best_correct: [R] int64, of the first recommended model.
        faults: [R].
        distinct_queries: [R] float64, see `Runs`.
        log_entries: [R, L, 2]; L is 0 where the setting asks for no log.
        log_length: [R].
    """

    recommended: NDArray[np.int32]
    pulls: NDArray[np.int64]
    model_loads: NDArray[np.int64]
    cost_seconds: NDArray[np.float64]
    best_pulls: NDArray[np.int64]
    best_correct: NDArray[np.int64]
    faults: NDArray[np.int32]
    distinct_queries: NDArray[np.float64]
    log_entries: NDArray[np.int32]
    log_length: NDArray[np.int32]


@dataclass(frozen=True)
class Program:
    """What a compiled replay depends on: the setting, K, and R, a multiple of the number of devices.

    Where a plan promises that the budget is nothing but its end, the setting's is a stand-in: `Limits` has the run's.
    """

    setting: Setting
    num_recommended: int
    num_runs: int
    effort: Effort


class Traced(NamedTuple):
    """A traced program, and the effort with which it is compiled: the program's, or more if the bits depend on it."""

    exported: Exported
    effort: Effort


def make_program(setting: Setting, num_recommended: int, num_runs: int) -> Program:
    """The program for a setting: one and the same for all budgets where the plan allows.

    Raises:
        ContractError: the plan says `until_spent`, and more than repeats depends on the budget.
    """
    problem, plan = setting.problem, setting.policy.plan(setting.problem)
    effort = choose_effort(problem, plan, num_runs)
    if any(stage.until_spent for stage in plan):
        any_budget = replace(problem, budget=problem.num_models * problem.num_queries)
        if _but_for_repeats(setting.policy.plan(any_budget)) != _but_for_repeats(plan):
            raise ContractError(
                f"policy {type(setting.policy).__name__} plans other stages under other budgets, though its plan says "
                f"until_spent, by which only the repeats of such stages may differ; leave until_spent out."
            )
        # A log has room for the asks of one budget.
        if not setting.is_logged:
            setting = replace(setting, problem=any_budget)
    return Program(setting, num_recommended, num_runs, effort)


def _but_for_repeats(plan: tuple[Stage, ...]) -> list[Stage]:
    return [replace(stage, repeats=1) if stage.until_spent else stage for stage in plan]


def limits_of(setting: Setting) -> tuple[np.int32, NDArray[np.int32]]:
    """The fields of `Limits`, on the host."""
    plan = setting.policy.plan(setting.problem)
    return np.int32(setting.problem.budget), np.array([stage.repeats for stage in plan], np.int32)


@lru_cache(maxsize=256)
def _compiled(program: Program) -> Compiled:
    """The program as an executable: it takes the arguments of `_replay` and gives its results.

    Traced once per program and process, and not at all where it was kept.
    """
    exported, effort = _load_or_trace(program)
    lowered = jax.jit(exported.call, in_shardings=_shardings()).lower(*_arguments(program))
    compiled = compile_lowered(lowered, effort)
    give_back_free_memory()
    return compiled


def run_program(
    program: Program,
    race: Race,
    limits: tuple[np.int32, NDArray[np.int32]],
    seed: int,
    first_run: int,
    knowledge: Knowledge = (),
) -> Outcome:
    """Replay the runs from number `first_run` on, as many as the program takes; `knowledge` is of `study`."""
    seed_words = np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint32)
    run = np.arange(first_run, first_run + program.num_runs, dtype=np.uint32)
    placed = jax.device_put((race.correct, *limits, seed_words, tuple(jax.tree.leaves(knowledge)), run), _shardings())
    recommended, by_model, faults, entries, length, distinct = map(np.asarray, _compiled(program)(*placed))
    pulls, loads = by_model[:, :, 0], by_model[:, :, 2]
    # No matrix product: its order of summation, and so its last bit, would depend on the number of runs.
    cost_seconds = (pulls * race.query_seconds + loads * race.load_seconds).sum(axis=1)
    best = by_model[np.arange(program.num_runs), recommended[:, 0]].astype(np.int64)
    return Outcome(
        recommended=recommended,
        pulls=pulls.sum(axis=1),
        model_loads=loads.sum(axis=1),
        cost_seconds=cost_seconds,
        best_pulls=best[:, 0],
        best_correct=best[:, 1],
        faults=faults,
        distinct_queries=_distinct_queries(program.setting, pulls)
        if distinct.size == 0
        else distinct.astype(np.float64),
        log_entries=entries,
        log_length=length,
    )


@lru_cache(maxsize=256)
def needed_bytes(program: Program) -> int:
    """The bytes that a program needs on all devices, by XLA's own account."""
    analysis = _compiled(program).memory_analysis()
    if analysis is None:
        return 0
    sizes = analysis.argument_size_in_bytes, analysis.temp_size_in_bytes, analysis.output_size_in_bytes
    return jax.device_count() * int(sum(sizes))


def forget_programs() -> None:
    """Let go of every compiled program: some 20 MB each, which add up where many policies are raced once."""
    _compiled.cache_clear()
    jax.clear_caches()
    give_back_free_memory()


def estimated_bytes(program: Program) -> int:
    """What `needed_bytes` will come to, before anything is compiled: the arrays that a run cannot do without."""
    problem, plan = program.setting.problem, program.setting.policy.plan(program.setting.problem)
    widest_ask = max(stage.num_models * stage.max_queries for stage in plan)
    per_run = 4 * (2 * widest_ask + 12 * problem.num_models + 2 * problem.num_queries)
    if chooses_queries(program.setting.policy):
        per_run += 2 * problem.num_models * problem.num_queries
    return program.num_runs * per_run + jax.device_count() * problem.num_models * problem.num_queries


def knowledge_shape(setting: Setting) -> Any:
    """What `study` will give, as shapes; nothing for a policy that takes queries as they come."""
    policy, problem = setting.policy, setting.problem
    if not chooses_queries(policy):
        return ()
    history = jax.ShapeDtypeStruct((setting.num_histories, problem.num_queries), jnp.int8)
    prior = jax.ShapeDtypeStruct((problem.num_models,), jnp.float32)
    study = partial(policy.study, setting.seen_problem)
    return jax.eval_shape(lambda history, prior: study(Background(history, prior)), history, prior)


def _shardings() -> tuple[NamedSharding, ...]:
    mesh = jax.make_mesh((jax.device_count(),), ("runs",), axis_types=(AxisType.Auto,))
    everywhere, by_run = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("runs"))
    return *(everywhere for _ in range(5)), by_run


def _distinct_queries(setting: Setting, pulls: NDArray[np.int32]) -> NDArray[np.float64]:
    """[R], from the pulls [R, M] of policies that take queries as they come."""
    if setting.sampling == "shared":
        return np.asarray(pulls.max(axis=1), np.float64)
    num_queries = setting.problem.num_queries
    return np.asarray(num_queries * (1 - np.prod(1 - pulls / num_queries, axis=1)))


def _arguments(program: Program) -> tuple[Any, ...]:
    problem = program.setting.problem
    num_stages = len(program.setting.policy.plan(problem))
    return (
        jax.ShapeDtypeStruct((problem.num_models, problem.num_queries), jnp.uint8),
        jax.ShapeDtypeStruct((), jnp.int32),
        jax.ShapeDtypeStruct((num_stages,), jnp.int32),
        jax.ShapeDtypeStruct((2,), jnp.uint32),
        tuple(jax.tree.leaves(knowledge_shape(program.setting))),
        jax.ShapeDtypeStruct((program.num_runs,), jnp.uint32),
    )


def _load_or_trace(program: Program) -> Traced:
    path = _kept_at(program)
    if path is not None and (kept := _read(path)) is not None:
        return kept
    shardings = _shardings()
    sharded = jax.shard_map(
        partial(_replay, program),
        mesh=shardings[0].mesh,
        in_specs=tuple(sharding.spec for sharding in shardings),
        out_specs=shardings[-1].spec,
        check_vma=False,
    )
    exported = export(jax.jit(sharded, in_shardings=shardings))(*_arguments(program))
    if not _is_ours(program):
        _refuse_lapack(exported, type(program.setting.policy).__name__)
    # To find that out takes longer than to read the program.
    is_too_little = program.effort == "none" and not rounds_alike(exported)
    traced = Traced(exported, "some" if is_too_little else program.effort)
    if path is not None:
        _write(path, traced)
    return traced


def _refuse_lapack(exported: Exported, policy_name: str) -> None:
    """LAPACK shares a batch out among the very threads that the devices of a processor run on, and may wait for ever.

    Raises:
        ContractError: the program calls it.
    """
    if _LAPACK.search(exported.mlir_module()):
        raise ContractError(
            f"policy {policy_name} calls LAPACK in a run (jnp.linalg and jax.scipy.linalg do), which can hang; "
            f"solve small systems by gembench.small_systems.solve."
        )


def _is_ours(program: Program) -> bool:
    return type(program.setting.policy).__module__.startswith("gembench.")


def _replay(
    program: Program,
    correct: Array,
    budget: Array,
    repeats: Array,
    seed_words: Array,
    knowledge_leaves: tuple[Array, ...],
    run: Array,
) -> tuple[Array, ...]:
    """One device's share of the runs: what is recommended, the books, the faults, the log and the distinct queries."""
    setting = program.setting
    # Policies have trees of their own classes, which a kept program could not name.
    knowledge = jax.tree.unflatten(jax.tree.structure(knowledge_shape(setting)), knowledge_leaves)
    batch, state = start_runs(setting, correct, Limits(budget, repeats), seed_words, run, knowledge)
    for index, stage in enumerate(setting.policy.plan(setting.problem)):
        state = replay_stage(setting, index, stage, batch, state)
    best = recommend(setting, batch, state, program.num_recommended)
    log = state.log
    if log is None:
        log = Log(entries=jnp.zeros((run.size, 0, 2), jnp.int32), length=jnp.zeros(run.size, jnp.int32))
    distinct = jnp.zeros((run.size, 0), jnp.int32)
    if state.answers is not None:
        distinct = (state.answers != UNSEEN).any(axis=1).sum(axis=1, dtype=jnp.int32)
    return best, state.ledger.by_model, state.ledger.faults, *log, distinct


def _kept_at(program: Program) -> Path | None:
    folder = jax.config.values["jax_compilation_cache_dir"]
    if not folder or "://" in folder or not _is_ours(program):
        return None
    platform = jax.devices()[0].platform, jax.device_count(), jax.__version__, jax.config.values["jax_enable_x64"]
    key = hashlib.sha256(repr((program, platform, _source_digest())).encode()).hexdigest()
    return Path(folder) / f"gembench-{key}.stablehlo"


@cache
def _source_digest() -> str:
    digest = hashlib.sha256()
    for part in ("", "policies"):
        for path in sorted((_PACKAGE / part).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> Traced | None:
    """The kept program; `None` if there is none, or a damaged one."""
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    digest, content = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        return None
    return Traced(deserialize(bytearray(content[1:])), _EFFORTS[content[0]])


def _write(path: Path, traced: Traced) -> None:
    """Keep the program, whole or not at all. A folder that cannot be written costs time, nothing else."""
    content = bytes([_EFFORTS.index(traced.effort)]) + bytes(traced.exported.serialize())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(content).digest() + content)
        Path(file.name).replace(path)
    except OSError:
        return
