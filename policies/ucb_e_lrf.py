r"""UCB-E with low-rank factorization: unseen answers are guessed, and asked for where the guesses disagree.

An ensemble of rank-one factorizations, each fitted by alternating least squares to the answers so far but for a few
left out at random, guesses the answer of model m to query q: $\mu_{mq}$ on average, with standard deviation
$\sigma_{mq}$. The next ask goes to the model with the highest mean over all queries of its answers where seen and of
$\mu_{mq} + \eta \sigma_{mq}$ where not, and consists of its unseen queries with the largest $\sigma_{mq}$. Recommended
is the highest mean of answers and guesses $\mu_{mq}$.

Source: Zhou et al., "On Speeding Up Language Model Evaluation", arXiv 2407.06172 (ICLR 2025), algorithm UCB-E-LRF with
its rank 1, $\eta$ = 5, ridge 0.1, 5% left out and 32 queries an ask. What differs, since it takes minutes a run:

- The source begins with 5% of all cells at random, more than a small budget has; here with half of the budget, of every
  model equally many.
- An ensemble of 8, where the source has 64. A member leaves the same answers out for good, and goes on from where it
  was, with one sweep an ask, where the source fits each anew with ten.
- The factors are fitted at most 64 times: where the budget has more asks, the best few models answer side by side.
- The ensemble's mean ranks the models in the end, where the source fits once more.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from gembench.errors import PolicySettingError
from gembench.lanes import take
from gembench.policy import Problem, Sampling, Stage, Step
from gembench.query_order import OrderKey, model_order_key, query_at
from gembench.query_policy import UNSEEN, Background, QueryAsk, Seen
from gembench.ranking import best_first

_WARM_SHARE = 0.5
_LEFT_OUT = 0.05
_RIDGE = 0.1
_MOST_FITS = 64
_FIRST_SWEEPS = 10


class Ensemble(NamedTuple):
    """The factorizations of K members, and what they are fitted to: the B answers that the budget has, as they came.

    Attributes:
        order: of the run: each model's own order of the queries, for the first ask.
        models: [M, K].
        queries: [Q, K].
        who: [B] int32, the model of an answer; M where there is none yet.
        what: [B] int32, its query; Q where there is none yet.
        right: [B].
        weight: [B, K], 0 where a member leaves the answer out.
        num_answers: int32.
    """

    order: OrderKey
    models: Array
    queries: Array
    who: Array
    what: Array
    right: Array
    weight: Array
    num_answers: Array


class Guesses(NamedTuple):
    """What the ensemble thinks of unseen answers: the mean and the standard deviation, [S, Q]."""

    mean: Array
    deviation: Array


@dataclass(frozen=True)
class UCBELRF:
    """UCB-E-LRF.

    Attributes:
        exploration: eta of the source.
        ensemble_size: K.
        block: how many queries an ask gives to a model.

    Raises:
        PolicySettingError: a setting is out of its range.
    """

    exploration: float = 5.0
    ensemble_size: int = 8
    block: int = 32

    sampling: ClassVar[Sampling] = "shared"

    def __post_init__(self) -> None:
        if not 0 <= self.exploration < math.inf:
            raise PolicySettingError(f"exploration must be at least 0 and finite, got {self.exploration}.")
        if self.ensemble_size < 2:
            raise PolicySettingError(f"ensemble_size must be at least 2, got {self.ensemble_size}.")
        if self.block < 1:
            raise PolicySettingError(f"block must be at least 1, got {self.block}.")

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """Every model equally many; then a block of the best model or, of a large budget, the best few."""
        num_models = problem.num_models
        per_model = max(1, math.floor(_WARM_SHARE * problem.budget) // num_models)
        left = problem.budget - per_model * num_models
        if left == 0:
            return (Stage(num_models, per_model),)
        block = min(self.block, left, problem.num_queries - per_model)
        width = min(num_models, math.ceil(left / (block * _MOST_FITS)))
        # An ask falls short where a model has not enough queries left, once each, or there are too few such models.
        most_asks = left // (width * block) + num_models + problem.num_queries // block + 2
        return Stage(num_models, per_model), Stage(width, block, most_asks)

    def study(self, problem: Problem, background: Background) -> tuple[()]:
        """Nothing: the source has no history."""
        del problem, background
        return ()

    def start(self, rng_key: Array, problem: Problem, seen: Seen) -> Ensemble:
        """Random factors."""
        del seen
        order_key, model_key, query_key, weight_key = jax.random.split(rng_key, 4)
        words = jax.random.bits(order_key, (2,), jnp.uint32)
        size, budget = self.ensemble_size, problem.budget
        return Ensemble(
            order=OrderKey(words[0], words[1]),
            models=jax.random.normal(model_key, (problem.num_models, size)),
            queries=jax.random.normal(query_key, (problem.num_queries, size)),
            who=jnp.full(budget, problem.num_models, jnp.int32),
            what=jnp.full(budget, problem.num_queries, jnp.int32),
            right=jnp.zeros(budget),
            weight=jax.random.bernoulli(weight_key, 1 - _LEFT_OUT, (budget, size)).astype(jnp.float32),
            num_answers=jnp.int32(0),
        )

    def ask(self, rng_key: Array, step: Step, seen: Seen, memory: Ensemble) -> QueryAsk:
        """The queries on which the ensemble disagrees most, of the models that may be best."""
        num_models, num_queries = step.problem.num_models, step.problem.num_queries
        stage = self.plan(step.problem)[step.stage]
        if step.stage == 0:
            everyone = jnp.arange(num_models, dtype=jnp.int32)
            key = OrderKey(*(word[:, None] for word in model_order_key(memory.order, everyone)))
            position = jnp.arange(stage.max_queries, dtype=jnp.int32)[None]
            return QueryAsk(everyone, query_at(key, position, num_queries))
        scores = _scores(seen.answers, memory, self.exploration)
        is_open = seen.tally.pulls < num_queries
        models = best_first(rng_key, jnp.where(is_open, scores, -jnp.inf), stage.num_models)
        answers = take(seen.answers, models)
        # Equals in the run's random order, as are queries that nobody has answered.
        deviation = jnp.where(answers == UNSEEN, _guesses(take(memory.models, models), memory).deviation, -1)
        place = lax.top_k(take(deviation.T, seen.order).T, stage.max_queries)[1]
        queries = take(seen.order, place)
        num_unseen = (answers == UNSEEN).sum(axis=1, dtype=jnp.int32)
        wanted = jnp.where(take(is_open, models), jnp.minimum(num_unseen, stage.max_queries), 0)
        given = jnp.clip(step.pulls_left - (jnp.cumsum(wanted) - wanted), 0, wanted)
        is_given = jnp.arange(stage.max_queries, dtype=jnp.int32)[None] < given[:, None]
        return QueryAsk(models, jnp.where(is_given, queries, UNSEEN))

    def learn(self, step: Step, asked: QueryAsk, answers: Array, seen: Seen, memory: Ensemble) -> Ensemble:
        """The ensemble, fitted to the new answers too."""
        del seen
        is_asked = (asked.queries != UNSEEN).reshape(-1)
        place = jnp.where(is_asked, memory.num_answers + jnp.cumsum(is_asked) - 1, memory.right.size)
        who = jnp.broadcast_to(asked.models[:, None], answers.shape).reshape(-1)
        memory = memory._replace(
            who=memory.who.at[place].set(who, mode="drop"),
            what=memory.what.at[place].set(asked.queries.reshape(-1), mode="drop"),
            right=memory.right.at[place].set((answers.reshape(-1) == 1).astype(jnp.float32), mode="drop"),
            num_answers=memory.num_answers + is_asked.sum(dtype=jnp.int32),
        )
        num_sweeps = _FIRST_SWEEPS if step.stage == 0 else 1
        fitted: Ensemble = lax.fori_loop(0, num_sweeps, lambda _, fitted: _sweep(fitted), memory)
        return fitted

    def recommend(self, rng_key: Array, problem: Problem, seen: Seen, memory: Ensemble) -> Array:
        """The means of answers and guesses."""
        del rng_key, problem
        return _scores(seen.answers, memory, 0.0)

    def withdraw(self, is_out: Array, memory: Ensemble) -> Ensemble:
        """The tally says it all."""
        del is_out
        return memory


def _sweep(memory: Ensemble) -> Ensemble:
    """The queries' factors given the models', then the other way round."""
    queries = _solve(memory, memory.models, memory.who, memory.what, memory.queries.shape)
    models = _solve(memory, queries, memory.what, memory.who, memory.models.shape)
    return memory._replace(models=models, queries=queries)


def _solve(memory: Ensemble, others: Array, whose: Array, row: Array, shape: tuple[int, ...]) -> Array:
    """The factors of the rows, [rows, K], by ridge regression on the `others` that their answers meet."""
    met = others.at[whose].get(mode="fill", fill_value=0)
    sums = jnp.concatenate([memory.weight * met * memory.right[:, None], memory.weight * met**2], axis=1)
    size = shape[1]
    total = jnp.zeros((shape[0], 2 * size)).at[row].add(sums, mode="drop")
    return total[:, :size] / (total[:, size:] + _RIDGE)


def _guesses(models: Array, memory: Ensemble) -> Guesses:
    """Of models with the factors `models` [S, K]."""
    size = models.shape[1]
    mean = models @ memory.queries.T / size
    square = models**2 @ (memory.queries**2).T / size
    return Guesses(mean, jnp.sqrt(jnp.maximum(square - mean**2, 0) * size / (size - 1)))


def _scores(answers: Array, memory: Ensemble, exploration: float) -> Array:
    """The mean over all queries of answers where seen, of optimistic guesses where not, [M]; `answers` [M, Q] int8."""
    guesses = _guesses(memory.models, memory)
    optimistic = guesses.mean + exploration * guesses.deviation
    return jnp.where(answers == UNSEEN, optimistic, (answers == 1).astype(jnp.float32)).mean(axis=1)
