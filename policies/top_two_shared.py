r"""Top-two Thompson sampling by duels: a likely best model and its challenger answer the same queries, batch by batch.

A sample from the belief names the leader, a second one the strongest of the others, the challenger. Where the two have
answered equally many queries, both answer a fresh batch of the shared order; else the one behind catches up. Beliefs
are about differences: on the queries that models m and l have both answered, n of them, m alone was right on w and l
alone on v; the difference of their accuracies is taken as normal with mean $(w - v) / (n + 1)$ and standard deviation
$\sqrt{w + v + 1} / (n + 1)$. Queries on which both are right, or both wrong, tell nothing of who is better and add no
noise, which makes duels of near relatives short.

Source: Russo, "Simple Bayesian Algorithms for Best-Arm Identification", Operations Research 68, 2020, section 3.3.

Changed: the source believes in each model apart and asks one of the two, by a coin. Where it samples until another
model comes out best, the best of the others in one fresh sample is the challenger: so every ask is a duel.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from gembench.errors import PolicySettingError
from gembench.lanes import add, put, take
from gembench.policy import Problem, Sampling, Stage, Step
from gembench.posterior import posterior_mean
from gembench.query_policy import UNSEEN, Background, QueryAsk, Seen
from gembench.ranking import best_model, best_of_distinct

_WORD = 32


class Record(NamedTuple):
    """The answers in the shared order: every model has answered the first so many queries of it.

    Attributes:
        right: [M, ceil(Q / 32)] uint32, a bit for each position, set where the model is right.
        num_seen: [M] int32.
        is_out: [M] bool, who can answer no more.
    """

    right: Array
    num_seen: Array
    is_out: Array


@dataclass(frozen=True)
class TopTwoShared:
    """Top-two Thompson sampling by duels.

    Attributes:
        num_batches: into how many batches a model's share of the budget, B / M queries, is divided.

    Raises:
        PolicySettingError: there is no batch.
    """

    num_batches: int = 4

    sampling: ClassVar[Sampling] = "shared"

    def __post_init__(self) -> None:
        if self.num_batches < 1:
            raise PolicySettingError(f"num_batches must be at least 1, got {self.num_batches}.")

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """A batch of every model, then duels."""
        batch = self._batch(problem)
        num_left = problem.budget - problem.num_models * batch
        first = Stage(problem.num_models, batch, in_step=True)
        return (first, Stage(min(problem.num_models, 2), batch, num_left)) if num_left else (first,)

    def study(self, problem: Problem, background: Background) -> tuple[()]:
        """Nothing."""
        del problem, background
        return ()

    def start(self, rng_key: Array, problem: Problem, seen: Seen) -> Record:
        """Nobody has answered."""
        del rng_key, seen
        num_models = problem.num_models
        right = jnp.zeros((num_models, -(-problem.num_queries // _WORD)), jnp.uint32)
        return Record(right, jnp.zeros(num_models, jnp.int32), jnp.zeros(num_models, bool))

    def ask(self, rng_key: Array, step: Step, seen: Seen, memory: Record) -> QueryAsk:
        """The two of a duel."""
        problem, batch = step.problem, self._batch(step.problem)
        if step.stage == 0:
            return QueryAsk(jnp.arange(problem.num_models, dtype=jnp.int32), seen.order[None, :batch])
        models = self._duel(rng_key, problem, seen, memory)[: min(problem.num_models, 2)]
        num_seen = take(memory.num_seen, models)
        num_given = duel_sizes(num_seen, batch, problem.num_queries, step.pulls_left)
        offset = jnp.arange(batch, dtype=jnp.int32)[None]
        position = jnp.minimum(num_seen[:, None] + offset, problem.num_queries - 1)
        return QueryAsk(models, jnp.where(offset < num_given[:, None], take(seen.order, position), UNSEEN))

    def _duel(self, rng_key: Array, problem: Problem, seen: Seen, memory: Record) -> Array:
        """Leader and challenger, [2] int32."""
        tie_key, leader_key, challenger_key, *best_keys = jax.random.split(rng_key, 5)
        mean = jnp.where(memory.is_out, -jnp.inf, posterior_mean(seen.tally.pulls, seen.tally.correct))
        reference = best_model(tie_key, mean)
        lead = jnp.where(memory.is_out, -jnp.inf, sample_lead(leader_key, memory, reference))
        leader = best_of_distinct(best_keys[0], lead)
        lead = sample_lead(challenger_key, memory, leader)
        is_spent = memory.num_seen >= problem.num_queries
        # Of two who know all queries, none could answer.
        is_barred = memory.is_out | (is_spent & take(is_spent, leader))
        lead = put(jnp.where(is_barred, -jnp.inf, lead), leader, jnp.float32(-jnp.inf))
        return jnp.stack([leader, best_of_distinct(best_keys[1], lead)])

    def learn(self, step: Step, asked: QueryAsk, answers: Array, seen: Seen, memory: Record) -> Record:
        """The answers, as bits."""
        del step, seen
        models = asked.models
        num_words = memory.right.shape[1]
        offset = jnp.arange(answers.shape[1], dtype=jnp.int32)[None]
        position = take(memory.num_seen, models)[:, None] + offset
        bits = (answers == 1).astype(jnp.uint32) << (position % _WORD).astype(jnp.uint32)
        # What was asked of nobody is not right, and sets no bit.
        words = models[:, None] * num_words + jnp.minimum(position // _WORD, num_words - 1)
        right = memory.right.reshape(-1).at[words].add(bits).reshape(memory.right.shape)
        num_asked = (asked.queries != UNSEEN).sum(axis=1, dtype=jnp.int32)
        return memory._replace(right=right, num_seen=add(memory.num_seen, models, num_asked))

    def recommend(self, rng_key: Array, problem: Problem, seen: Seen, memory: Record) -> Array:
        """The posterior means."""
        del rng_key, problem, memory
        return posterior_mean(seen.tally.pulls, seen.tally.correct)

    def withdraw(self, is_out: Array, memory: Record) -> Record:
        """They are neither leader nor challenger."""
        return memory._replace(is_out=memory.is_out | is_out)

    def _batch(self, problem: Problem) -> int:
        return max(1, problem.budget // (problem.num_models * self.num_batches))


def sample_lead(rng_key: Array, memory: Record, model: Array) -> Array:
    """A sample of by how much each model is better than `model` (int32): [M] float32, 0 for itself."""
    num_won, num_lost, num_common = count_pairs(memory, model)
    scale = 1 / (num_common + 1).astype(jnp.float32)
    mean = (num_won - num_lost).astype(jnp.float32) * scale
    spread = jnp.sqrt((num_won + num_lost + 1).astype(jnp.float32)) * scale
    lead = mean + spread * jax.random.normal(rng_key, mean.shape)
    return put(lead, model, jnp.float32(0))


def count_pairs(memory: Record, model: Array) -> tuple[Array, Array, Array]:
    """On the queries that each model and `model` (int32) both know: who alone is right, each or it; and how many.

    Returns:
        Three of [M] int32.
    """
    num_common = jnp.minimum(memory.num_seen, take(memory.num_seen, model))
    first = np.arange(memory.right.shape[1], dtype=np.int32)[None] * _WORD
    num_masked = _WORD - jnp.clip(num_common[:, None] - first, 0, _WORD)
    # A shift by all 32 bits is undefined.
    half = num_masked.astype(jnp.uint32) // 2
    mask = (np.uint32(0xFFFFFFFF) >> half) >> (num_masked.astype(jnp.uint32) - half)
    own = take(memory.right, model)[None]
    num_won = lax.population_count(memory.right & ~own & mask).astype(jnp.int32).sum(axis=1, dtype=jnp.int32)
    num_lost = lax.population_count(own & ~memory.right & mask).astype(jnp.int32).sum(axis=1, dtype=jnp.int32)
    return num_won, num_lost, num_common


def duel_sizes(num_seen: Array, batch: int, num_queries: int, pulls_left: Array) -> Array:
    """How many queries each of the two is given, from how many they have seen: [2] int32 both; or [1] of one alone."""
    if num_seen.size == 1:
        return jnp.minimum(jnp.minimum(batch, num_queries - num_seen), pulls_left)
    is_level = num_seen[0] == num_seen[1]
    to_catch_up = num_seen.max() - num_seen
    wanted = jnp.minimum(jnp.where(is_level, num_queries - num_seen, to_catch_up), batch)
    half = jnp.stack([(pulls_left + 1) // 2, pulls_left // 2])
    return jnp.minimum(wanted, jnp.where(is_level, half, pulls_left))
