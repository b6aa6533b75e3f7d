"""One stage of a plan, replayed for a batch of runs on recorded answers.

Shapes: R runs of the batch, M models, Q queries, S models and n queries of the stage's asks.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from gembench.lanes import take
from gembench.ledger import Grant, Ledger, grant, settle
from gembench.policy import Ask, Memory, Policy, Problem, Sampling, Stage, Step
from gembench.query_order import OrderKey, model_order_key, query_at


class Batch(NamedTuple):
    """The fixed inputs of R runs.

    Attributes:
        correct: [M, Q] uint8, the recorded answers.
        rng_keys: [R] typed keys, the policy's randomness.
        order_keys: [R] keys of the query orders.
        shared_order: [R, Q] int32, the shared order written out, or `None` where each model has its own.
    """

    correct: Array
    rng_keys: Array
    order_keys: OrderKey
    shared_order: Array | None


class RunState(NamedTuple):
    """What changes along R runs: the books, the policy's memory [R, ...], and how many asks there were."""

    ledger: Ledger
    memory: Memory
    num_asks: Array


def replay_stage(policy: Policy, problem: Problem, index: int, stage: Stage, batch: Batch, state: RunState) -> RunState:
    """All asks of a stage. It ends early once every run has spent its budget."""
    if stage.repeats == 1:
        return replay_ask(policy, problem, index, stage, batch, state, jnp.int32(0))[0]

    def body(carry: tuple[Array, RunState]) -> tuple[Array, RunState]:
        repeat, before = carry
        return repeat + 1, replay_ask(policy, problem, index, stage, batch, before, repeat)[0]

    def goes_on(carry: tuple[Array, RunState]) -> Array:
        repeat, before = carry
        return (repeat < stage.repeats) & (before.ledger.spent < problem.budget).any()

    return lax.while_loop(goes_on, body, (jnp.int32(0), state))[1]


def replay_ask(
    policy: Policy, problem: Problem, index: int, stage: Stage, batch: Batch, state: RunState, repeat: Array
) -> tuple[RunState, Ask]:
    """One ask of every run: the policy chooses, the recorded answers are looked up, the books are settled.

    Returns the state after it, and the ask as it was granted.
    """
    ledger = state.ledger

    def step(pulls_left: Array) -> Step:
        return Step(problem, index, repeat, pulls_left)

    def ask(rng_key: Array, books: Ledger, memory: Memory) -> tuple[Ask, Grant]:
        ask_key = jax.random.fold_in(rng_key, state.num_asks)
        asked = policy.ask(ask_key, step(problem.budget - books.spent), books.tally, memory)
        return asked, grant(books, asked, problem)

    def learn(asked: Ask, granted: Grant, num_correct: Array, books: Ledger, memory: Memory) -> tuple[Ledger, Memory]:
        books = settle(books, asked, granted, num_correct, problem, stage)
        answered = Ask(asked.models, granted.num_queries)
        return books, policy.learn(step(problem.budget - books.spent), answered, num_correct, books.tally, memory)

    asked, granted = jax.vmap(ask)(batch.rng_keys, ledger, state.memory)
    num_correct = _count_correct(batch, asked.models, granted, stage.max_queries)
    ledger, memory = jax.vmap(learn)(asked, granted, num_correct, ledger, state.memory)
    return RunState(ledger, memory, state.num_asks + 1), Ask(asked.models, granted.num_queries)


def _count_correct(batch: Batch, models: Array, granted: Grant, max_queries: int) -> Array:
    """Right answers [R, S] int32 of `models` [R, S] to what they were granted."""
    num_total = batch.correct.shape[1]
    offset = jnp.arange(max_queries, dtype=jnp.int32)[None, None, :]
    position = jnp.minimum(granted.first[:, :, None] + offset, num_total - 1)
    if batch.shared_order is None:
        key = model_order_key(OrderKey(*(word[:, None] for word in batch.order_keys)), models)
        key = OrderKey(*(word[:, :, None] for word in key))
        query = _materialize(batch.correct, lambda: query_at(key, position, num_total))
    else:
        query = jax.vmap(take)(batch.shared_order, position)
    flat = models[:, :, None] * num_total + query
    answer = take(batch.correct.reshape(-1), flat).astype(jnp.int32)
    return jnp.where(offset < granted.num_queries[:, :, None], answer, 0).sum(axis=2, dtype=jnp.int32)


def written_order(correct: Array, order_keys: OrderKey, sampling: Sampling) -> Array | None:
    """The shared order of each run written out, [R, Q] int32; `None` under independent sampling."""
    if sampling == "independent":
        return None
    num_queries = correct.shape[1]
    position = jnp.arange(num_queries, dtype=jnp.int32)[None, :]
    key = OrderKey(*(word[:, None] for word in order_keys))
    return _materialize(correct, lambda: query_at(key, position, num_queries))


def _materialize(correct: Array, compute: Callable[[], Array]) -> Array:
    """An array that XLA computes once, as a result of its own.

    On a CPU XLA drops optimization barriers before it fuses. Fused into a lookup, the permutation would run one element
    at a time, and again for each lookup. Nothing is fused across a branch, and XLA cannot know that answers are 0 or 1.
    """
    shape = jax.eval_shape(compute)
    return lax.cond(correct[0, 0] <= 1, compute, lambda: jnp.zeros(shape.shape, shape.dtype))
