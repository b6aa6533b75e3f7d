r"""Doubly robust UCB-E: an unbiased estimate of each accuracy, with low-rank predictions to make it vary less.

Each ask goes to the model with the highest $\hat\mu_m + \sqrt{a / n_m}$, with n its answers so far: a block of queries
that it has not seen, at random. Let f be what a low-rank model predicts for it and $\pi$ the share of its unseen
queries that the block is. The block estimates its accuracy as

$$(\sum_{seen} x_j + \lambda \sum_{unseen} f_j + \sum_{block} (x_j - \lambda f_j) / \pi) / Q,$$

without bias for any f and $\lambda$ that were fixed before; $\hat\mu_m$ is the mean over its blocks. With F the sum of
f over the unseen queries, $S = (1 - \pi) / \pi \sum_{unseen} f_j^2$ and $\bar Z$ the mean of $\sum_{block} (x_j -
\lambda f_j) / \pi$ over the model's earlier blocks, $\lambda = 1 - F \bar Z / (S + F^2)$, in [0, 1]. Every so often the
models' factors are fitted again, and $\bar Z$ begins anew. A model that has answered everything is known exactly.

Source: Tolochinsky, Tenzer and Romano, "Valid Best-Model Identification for LLM Evaluation via Low-Rank Factorization",
arXiv 2605.10405 (PULSE), by the authors' code. What differs:

- The budget pays for the first block of every model too, and is shared out into as many blocks a model, and as many
  fits, as in the source's experiments, which have 64 queries a block.
- What is predicted for known answers is always of the latest fit, which the source takes in part from earlier ones.
- The factors are fitted by `logistic_factors`, fewer of them, and under the Gaussian law that the history's models
  follow, where the source stops Adam early.
- Ours alone is what happens without a history: a few factors are fitted to the answers of the run itself.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from gembench.errors import PolicySettingError
from gembench.lanes import take
from gembench.logistic_factors import (
    Cells,
    Factors,
    Population,
    fit_factors,
    fit_factors_to_cells,
    fit_models,
    population_of,
    random_factors,
)
from gembench.policy import Problem, Sampling, Stage, Step
from gembench.query_order import OrderKey, model_order_key, query_at
from gembench.query_policy import UNSEEN, Background, QueryAsk, Seen
from gembench.ranking import best_model

_BLOCKS_PER_MODEL = 7
_TURNS = 10
_FACTORS_OF_RUN = 2
_TURNS_OF_RUN = 3
_STEPS = 5


class Loadings(NamedTuple):
    """What the history tells: `queries` [Q, K], and the law of its models' factors."""

    queries: Array
    population: Population


class Evidence(NamedTuple):
    """What is kept of each model.

    Attributes:
        order: of the run: each model's own order of the queries.
        factors: of the models, and without a history of the queries.
        estimates: [M], the sum of the estimates of its blocks.
        num_blocks: [M] int32.
        residual: [M], the sum over its blocks since the last fit of what is left of the unseen answers' sum.
        num_residuals: [M] int32, how many these are.
        is_out: [M] bool, the models that can answer no more, and tell nothing.
    """

    order: OrderKey
    factors: Factors
    estimates: Array
    num_blocks: Array
    residual: Array
    num_residuals: Array
    is_out: Array


@dataclass(frozen=True)
class DoublyRobust:
    """Doubly robust UCB-E (PULSE).

    Attributes:
        exploration: a of UCB-E.
        num_factors: K, of a history.

    Raises:
        PolicySettingError: a setting is out of its range.
    """

    exploration: float = 1.0
    num_factors: int = 16

    sampling: ClassVar[Sampling] = "shared"

    def __post_init__(self) -> None:
        if not 0 < self.exploration < math.inf:
            raise PolicySettingError(f"exploration must be positive and finite, got {self.exploration}.")
        if self.num_factors < 1:
            raise PolicySettingError(f"num_factors must be at least 1, got {self.num_factors}.")

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """A block of every model, then block by block; each model's last may be a short one."""
        num_models = problem.num_models
        block = max(1, problem.budget // (_BLOCKS_PER_MODEL * num_models))
        left = problem.budget - block * num_models
        if left == 0:
            return (Stage(num_models, block),)
        most_blocks = left if block == 1 else left // block + num_models + 1
        return Stage(num_models, block), Stage(1, block, most_blocks)

    def study(self, problem: Problem, background: Background) -> Loadings | None:
        """The factor model of the history."""
        del problem
        if len(background.history) == 0:
            return None
        history = jnp.asarray(background.history)
        num_models, num_queries = history.shape
        start = random_factors(jax.random.key(0), num_models, num_queries, self.num_factors)
        factors = fit_factors(history, start, _TURNS)
        return Loadings(factors.queries, population_of(factors.models))

    def start(self, rng_key: Array, problem: Problem, seen: Seen) -> Evidence:
        """Nothing is predicted yet."""
        num_models = problem.num_models
        order_key, factor_key = jax.random.split(rng_key)
        loadings: Loadings | None = seen.knowledge
        if loadings is None:
            factors = random_factors(factor_key, num_models, problem.num_queries, _FACTORS_OF_RUN)
        else:
            mean = jnp.broadcast_to(loadings.population.mean, (num_models, self.num_factors))
            factors = Factors(mean, jnp.zeros((0, self.num_factors)))
        nothing, none = jnp.zeros(num_models), jnp.zeros(num_models, jnp.int32)
        words = jax.random.bits(order_key, (2,), jnp.uint32)
        return Evidence(OrderKey(words[0], words[1]), factors, nothing, none, nothing, none, none > 0)

    def ask(self, rng_key: Array, step: Step, seen: Seen, memory: Evidence) -> QueryAsk:
        """The next block of the most promising model."""
        num_models, num_queries = step.problem.num_models, step.problem.num_queries
        block = self.plan(step.problem)[step.stage].max_queries
        if step.stage == 0:
            models = jnp.arange(num_models, dtype=jnp.int32)
        else:
            pulls = seen.tally.pulls.astype(jnp.float32)
            scores = self._estimates(step.problem, seen, memory) + jnp.sqrt(self.exploration / pulls)
            scores = jnp.where(seen.tally.pulls < num_queries, scores, -jnp.inf)
            models = best_model(rng_key, scores)[None]
        first = take(seen.tally.pulls, models)
        offset = jnp.arange(block, dtype=jnp.int32)[None]
        position = first[:, None] + offset
        key = OrderKey(*(word[:, None] for word in model_order_key(memory.order, models)))
        queries = query_at(key, jnp.minimum(position, num_queries - 1), num_queries)
        is_given = (position < num_queries) & (models.size * offset < step.pulls_left)
        return QueryAsk(models, jnp.where(is_given, queries, UNSEEN))

    def learn(self, step: Step, asked: QueryAsk, answers: Array, seen: Seen, memory: Evidence) -> Evidence:
        """An estimate from each block, and now and then new predictions."""
        num_models = step.problem.num_models
        memory = self._note(step, asked, answers, seen, memory)
        if step.stage == 0:
            return _fit(step.problem, seen, memory)
        is_due = (step.repeat + 1) % num_models == 0
        kept: Evidence = lax.cond(is_due, lambda: _fit(step.problem, seen, memory), lambda: memory)
        return kept

    def recommend(self, rng_key: Array, problem: Problem, seen: Seen, memory: Evidence) -> Array:
        """The estimates."""
        del rng_key
        return self._estimates(problem, seen, memory)

    def withdraw(self, is_out: Array, memory: Evidence) -> Evidence:
        """No more answers of theirs in the fits; the tally says the rest."""
        return memory._replace(is_out=is_out)

    def _estimates(self, problem: Problem, seen: Seen, memory: Evidence) -> Array:
        estimates = memory.estimates / memory.num_blocks.astype(jnp.float32)
        exact = seen.tally.correct.astype(jnp.float32) / problem.num_queries
        return jnp.where(seen.tally.pulls < problem.num_queries, estimates, exact)

    def _note(self, step: Step, asked: QueryAsk, answers: Array, seen: Seen, memory: Evidence) -> Evidence:
        """The estimate of one block for each model [S]."""
        models, queries = asked.models, jnp.maximum(asked.queries, 0)
        is_asked = asked.queries != UNSEEN
        num_asked = is_asked.sum(axis=1, dtype=jnp.int32)
        has_answered = num_asked > 0
        right = (answers == 1).astype(jnp.float32)
        after = take(seen.answers, models)
        num_unseen = (after == UNSEEN).sum(axis=1, dtype=jnp.int32) + num_asked
        chance = num_asked.astype(jnp.float32) / jnp.maximum(num_unseen, 1).astype(jnp.float32)
        share = jnp.where(has_answered, 1 / jnp.where(has_answered, chance, 1), 0)
        known = take(seen.tally.correct, models).astype(jnp.float32) - right.sum(axis=1)
        if step.stage == 0:
            weight, total, of_block = jnp.zeros(models.size), jnp.zeros(models.size), jnp.zeros(queries.shape)
        else:
            predicted = jax.nn.sigmoid(take(memory.factors.models, models) @ _loadings(seen, memory).T)
            of_block = jnp.where(is_asked, jnp.take_along_axis(predicted, queries, axis=1), 0)
            still_unseen = jnp.where(after == UNSEEN, predicted, 0)
            total = still_unseen.sum(axis=1) + of_block.sum(axis=1)
            squares = (still_unseen**2).sum(axis=1) + (of_block**2).sum(axis=1)
            mean = take(memory.residual, models) / jnp.maximum(take(memory.num_residuals, models), 1).astype(
                jnp.float32
            )
            noise = jnp.maximum(share - 1, 0) * squares
            weight = jnp.clip(1 - total * mean / jnp.maximum(noise + total**2, 1e-12), 0, 1)
        residual = share * (right.sum(axis=1) - weight * of_block.sum(axis=1))
        estimate = (known + weight * total + residual) / step.problem.num_queries
        num_new = has_answered.astype(jnp.int32)
        return memory._replace(
            estimates=memory.estimates.at[models].add(jnp.where(has_answered, estimate, 0)),
            num_blocks=memory.num_blocks.at[models].add(num_new),
            residual=memory.residual.at[models].add(jnp.where(has_answered, residual, 0)),
            num_residuals=memory.num_residuals.at[models].add(num_new),
        )


def _loadings(seen: Seen, memory: Evidence) -> Array:
    return memory.factors.queries if seen.knowledge is None else seen.knowledge.queries


def _fit(problem: Problem, seen: Seen, memory: Evidence) -> Evidence:
    """New factors; what they leave over is not known yet."""
    cells = _cells(problem, seen, memory)
    loadings: Loadings | None = seen.knowledge
    if loadings is None:
        factors = fit_factors_to_cells(cells, memory.factors, _TURNS_OF_RUN)
    else:
        of_models = fit_models(cells, loadings.queries, loadings.population, memory.factors.models, _STEPS)
        factors = memory.factors._replace(models=of_models)
    nothing, none = jnp.zeros_like(memory.residual), jnp.zeros_like(memory.num_residuals)
    return memory._replace(factors=factors, residual=nothing, num_residuals=none)


def _cells(problem: Problem, seen: Seen, memory: Evidence) -> Cells:
    """All answers so far: of each model those to the first queries of its own order."""
    num_models, num_queries = problem.num_models, problem.num_queries
    num_answers = jnp.where(memory.is_out, 0, seen.tally.pulls)
    everyone = jnp.arange(num_models, dtype=jnp.int32)
    model = jnp.repeat(everyone, num_answers, total_repeat_length=problem.budget)
    place = jnp.arange(problem.budget, dtype=jnp.int32)
    position = place - take(jnp.cumsum(num_answers) - num_answers, model)
    query = query_at(model_order_key(memory.order, model), jnp.clip(position, 0, num_queries - 1), num_queries)
    right = take(seen.answers.reshape(-1), model * num_queries + query) == 1
    is_there = place < num_answers.sum()
    return Cells(model, query, right.astype(jnp.float32), is_there.astype(jnp.float32))
