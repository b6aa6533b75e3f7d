"""The runs of a policy on recorded answers: how they start, what an ask does, and what they recommend.

Shapes: R runs of a batch, M models, Q queries, S models and n queries of a stage's asks, K recommended models.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array, lax

from gembench.decisions import Log, append, append_cells, open_cell_log, open_log
from gembench.lanes import take
from gembench.ledger import Grant, Ledger, open_ledger
from gembench.policy import Ask, Memory, Policy, Sampling, Stage
from gembench.query_order import OrderKey, model_order_key, order_key, query_at
from gembench.query_policy import UNSEEN, Knowledge, QueryAsk, chooses_queries
from gembench.query_turn import (
    Books,
    absorb_answers,
    choose_queries,
    open_answers,
    query_ranking,
    seen_in,
    start_memory,
)
from gembench.turn import Setting, absorb, ask_key, choose, ranking, run_key


class Limits(NamedTuple):
    """What ends runs, int32: known only when a program runs, so that one serves many budgets.

    Attributes:
        budget: B.
        repeats: the repeats of every stage.
    """

    budget: Array
    repeats: Array


class Batch(NamedTuple):
    """The fixed inputs of R runs.

    Attributes:
        correct: [M, Q] uint8, the recorded answers.
        limits: what ends the runs.
        rng_keys: [R] typed keys, the policy's randomness.
        order_keys: [R] keys of the query orders.
        shared_order: [R, Q] int32, the shared order written out, or `None` where each model has its own.
        knowledge: what a policy that chooses queries made of the background; the same for all runs.
    """

    correct: Array
    limits: Limits
    rng_keys: Array
    order_keys: OrderKey
    shared_order: Array | None
    knowledge: Knowledge


class RunState(NamedTuple):
    """What changes along R runs.

    Attributes:
        ledger: the books of each run.
        memory: what the policy keeps, [R, ...].
        log: what each run asked; `None` where nobody wants to know.
        num_asks: int32, how many asks there were.
        answers: [R, M, Q] int8, what a policy that chooses queries has seen; `None` for the others.
    """

    ledger: Ledger
    memory: Memory
    log: Log | None
    num_asks: Array
    answers: Array | None = None


def start_runs(
    setting: Setting, correct: Array, limits: Limits, seed_words: Array, run: Array, knowledge: Knowledge = ()
) -> tuple[Batch, RunState]:
    """The runs with the numbers `run` [R] uint32, before their first ask.

    `correct` is [M, Q] uint8, `seed_words` the low and the high word of the seed, uint32 [2].
    """
    rng_keys = jax.vmap(run_key, (None, 0))(seed_words, run)
    order_keys = order_key(seed_words, run)
    policy, problem = setting.policy, setting.problem
    written_order = _written_order(correct, order_keys, setting.sampling)
    batch = Batch(correct, limits, rng_keys, order_keys, written_order, knowledge)
    ledger, answers = _for_each(run, open_ledger(problem.num_models)), None
    if chooses_queries(policy):
        answers = _for_each(run, open_answers(problem.num_models, problem.num_queries))
        start = partial(start_memory, setting, knowledge)
        memory = jax.vmap(start)(rng_keys, cast("Array", written_order), Books(ledger, answers))
        log = open_cell_log(problem)
    else:
        memory = _for_each(run, cast("Policy", policy).start(setting.seen_problem))
        log = open_log(policy.plan(problem), problem)
    return batch, RunState(ledger, memory, _for_each(run, log) if setting.is_logged else None, jnp.int32(0), answers)


def _for_each(run: Array, of_one: Any) -> Any:
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (run.size, *leaf.shape)), of_one)


def replay_stage(setting: Setting, index: int, stage: Stage, batch: Batch, state: RunState) -> RunState:
    """All asks of a stage. It ends early once every run has spent its budget."""
    if stage.repeats == 1 and not stage.until_spent:
        return replay_ask(setting, index, stage, batch, state, jnp.int32(0))

    def body(carry: tuple[Array, RunState]) -> tuple[Array, RunState]:
        repeat, before = carry
        return repeat + 1, replay_ask(setting, index, stage, batch, before, repeat)

    def goes_on(carry: tuple[Array, RunState]) -> Array:
        repeat, before = carry
        return (repeat < batch.limits.repeats[index]) & (before.ledger.spent < batch.limits.budget).any()

    return lax.while_loop(goes_on, body, (jnp.int32(0), state))[1]


def replay_ask(setting: Setting, index: int, stage: Stage, batch: Batch, state: RunState, repeat: Array) -> RunState:
    """One ask of every run: the policy chooses, the recorded answers are looked up, the books are settled."""
    if state.answers is not None:
        return _replay_choice(setting, index, batch, state, state.answers, repeat)
    budget, memory, ledger = batch.limits.budget, state.memory, state.ledger

    def ask(rng_key: Array, books: Ledger, memory: Memory) -> tuple[Ask, Grant]:
        return choose(setting, index, repeat, budget, ask_key(rng_key, state.num_asks), books, memory)

    def learn(asked: Ask, granted: Grant, num_correct: Array, books: Ledger, memory: Memory) -> tuple[Ledger, Memory]:
        return absorb(setting, index, stage, repeat, budget, asked, granted, num_correct, books, memory)

    asked, granted = jax.vmap(ask)(batch.rng_keys, ledger, memory)
    num_correct = _count_correct(batch, asked.models, granted, stage)
    ledger, memory = jax.vmap(learn)(asked, granted, num_correct, ledger, memory)
    given = Ask(asked.models, granted.num_queries)
    log = None if state.log is None else jax.vmap(append)(state.log, given)
    return RunState(ledger, memory, log, state.num_asks + 1)


def _replay_choice(
    setting: Setting, index: int, batch: Batch, state: RunState, answers: Array, repeat: Array
) -> RunState:
    """One ask of every run, by a policy that chooses queries."""
    budget, knowledge = batch.limits.budget, batch.knowledge

    def turn(rng_key: Array, order: Array, books: Books, memory: Memory) -> tuple[QueryAsk, Books, Memory]:
        seen, key = seen_in(books, order, knowledge), ask_key(rng_key, state.num_asks)
        asked = choose_queries(setting, index, repeat, budget, key, books, seen, memory)
        cells = asked.models[:, None] * batch.correct.shape[1] + jnp.maximum(asked.queries, 0)
        given = jnp.where(asked.queries == UNSEEN, UNSEEN, take(batch.correct.reshape(-1), cells).astype(jnp.int8))
        return asked, *absorb_answers(setting, index, repeat, budget, asked, given, books, order, knowledge, memory)

    books = Books(state.ledger, answers)
    asked, books, memory = jax.vmap(turn)(batch.rng_keys, cast("Array", batch.shared_order), books, state.memory)
    log = None if state.log is None else jax.vmap(append_cells)(state.log, asked.models, asked.queries)
    return RunState(books.ledger, memory, log, state.num_asks + 1, books.answers)


def _count_correct(batch: Batch, models: Array, granted: Grant, stage: Stage) -> Array:
    """Right answers [R, S] int32 of `models` [R, S] to what they were granted."""
    num_total = batch.correct.shape[1]
    offset = jnp.arange(stage.max_queries, dtype=jnp.int32)[None, None, :]
    position = jnp.minimum(granted.first[:, :, None] + offset, num_total - 1)
    if batch.shared_order is not None:
        query = jax.vmap(take)(batch.shared_order, position[:, :1] if stage.in_step else position)
    else:
        key = model_order_key(OrderKey(*(word[:, None] for word in batch.order_keys)), models)
        key = OrderKey(*(word[:, :, None] for word in key))
        query = _materialize(batch.correct, lambda: query_at(key, position, num_total))
    answer = take(batch.correct.reshape(-1), models[:, :, None] * num_total + query).astype(jnp.int32)
    if not stage.in_step:
        answer = jnp.where(offset < granted.num_queries[:, :, None], answer, 0)
    return answer.sum(axis=2, dtype=jnp.int32)


def recommend(setting: Setting, batch: Batch, state: RunState, num_recommended: int) -> Array:
    """The first models of each run's ranking, best first, [R, K] int32."""
    if state.answers is None:
        rank = partial(ranking, setting, num_recommended=num_recommended)
        return jax.vmap(rank)(batch.rng_keys, state.ledger, state.memory)

    def rank_seen(rng_key: Array, order: Array, books: Books, memory: Memory) -> Array:
        seen = seen_in(books, order, batch.knowledge)
        return query_ranking(setting, rng_key, seen, memory, num_recommended=num_recommended)

    books = Books(state.ledger, state.answers)
    return jax.vmap(rank_seen)(batch.rng_keys, cast("Array", batch.shared_order), books, state.memory)


def _written_order(correct: Array, order_keys: OrderKey, sampling: Sampling) -> Array | None:
    """The shared order of each run written out, [R, Q] int32; `None` under independent sampling."""
    if sampling == "independent":
        return None
    num_queries = correct.shape[1]
    # Of positions that it knows, XLA of JAX 0.12 tries for ever to simplify the permutation; answers are 0 or 1.
    nothing = (correct[0, 0] >> 1).astype(jnp.int32)
    position = jnp.arange(num_queries, dtype=jnp.int32)[None, :] + nothing
    key = OrderKey(*(word[:, None] for word in order_keys))
    return _materialize(correct, lambda: query_at(key, position, num_queries))


def _materialize(correct: Array, compute: Callable[[], Array]) -> Array:
    """An array that XLA computes once, as a result of its own.

    On a CPU XLA drops optimization barriers before it fuses. Fused into a lookup, the permutation would run one element
    at a time, and again for each lookup. Nothing is fused across a branch, and XLA cannot know that answers are 0 or 1.
    """
    shape = jax.eval_shape(compute)
    result: Array = lax.cond(correct[0, 0] <= 1, compute, lambda: jnp.zeros(shape.shape, shape.dtype))
    return result
