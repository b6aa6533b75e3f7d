"""One stage of a plan, replayed for a batch of runs on recorded answers.

Shapes: R runs of the batch, M models, Q queries, S models and n queries of the stage's asks.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from gembench.ledger import Ledger, grant, settle
from gembench.policy import Ask, Memory, Policy, Problem, Sampling, Stage, Step, Tally
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

    def ask(rng_key: Array, pulls_left: Array, tally: Tally, memory: Memory) -> Ask:
        return policy.ask(jax.random.fold_in(rng_key, state.num_asks), step(pulls_left), tally, memory)

    def learn(pulls_left: Array, asked: Ask, num_correct: Array, tally: Tally, memory: Memory) -> Memory:
        return policy.learn(step(pulls_left), asked, num_correct, tally, memory)

    asked = jax.vmap(ask)(batch.rng_keys, problem.budget - ledger.spent, ledger.tally, state.memory)
    first, granted = grant(ledger, asked, problem)
    num_correct = _count_correct(batch, asked.models, first, granted, stage.max_queries)
    ledger = settle(ledger, asked, granted, num_correct, problem, stage)
    granted_ask = Ask(asked.models, granted)
    memory = jax.vmap(learn)(problem.budget - ledger.spent, granted_ask, num_correct, ledger.tally, state.memory)
    return RunState(ledger, memory, state.num_asks + 1), granted_ask


def _count_correct(batch: Batch, models: Array, first: Array, num_queries: Array, max_queries: int) -> Array:
    """Right answers [R, S] int32 of `models` at the positions from `first` on, `num_queries` of them."""
    num_total = batch.correct.shape[1]
    offset = jnp.arange(max_queries, dtype=jnp.int32)[None, None, :]
    position = jnp.minimum(first[:, :, None] + offset, num_total - 1)
    if batch.shared_order is None:
        key = model_order_key(OrderKey(*(word[:, None] for word in batch.order_keys)), models)
        key = OrderKey(*(word[:, :, None] for word in key))
        query = _materialize(batch.correct, lambda: query_at(key, position, num_total))
    else:
        run = jnp.arange(first.shape[0])[:, None, None]
        query = batch.shared_order[run, position]
    answer = batch.correct[models[:, :, None], query].astype(jnp.int32)
    return jnp.where(offset < num_queries[:, :, None], answer, 0).sum(axis=2, dtype=jnp.int32)


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
