r"""Factorized active querying: each model's accuracy from the queries that a factor model of the history is unsure of.

The log-odds that a model answers query j right are $u \cdot v_j$, with loadings v from the history and the model's own
factors $u \sim N(\mu, \Sigma)$, updated after each answer. Let $\hat p_j$ be the probability so predicted and $w_j =
\hat p_j (1 - \hat p_j)$. A query is drawn with a probability that mixes $\sqrt{w_j}$, under which the estimate below
would vary least if the predictions were right, and, early on, $w_j (\bar c' \Sigma v_j)^2 / (1 + w_j v_j' \Sigma v_j)$
with $\bar c = \sum_i w_i v_i$: by how much an answer is expected to lessen the variance of the predicted accuracy. The
mixture is raised to a power, and a share of it is uniform. A draw I with probability q estimates the accuracy, without
bias whatever the factor model is worth, as

$$(\sum_{seen} x_j + \sum_{unseen} \hat p_j + (x_I - \hat p_I) / q_I) / Q,$$

and a model's score is the mean of its estimates.

Source: Wu, Nair and Candès, "Efficient Evaluation of LLM Performance with Statistical Guarantees", arXiv 2601.20251,
and the authors' code. What differs:

- The source evaluates one model and gives a confidence interval. Here every model gets the same number of queries, and
  the highest estimate is recommended.
- It draws with replacement; here no query is paid for twice, so known answers stand for themselves.
- It fits the loadings by AdamW, as many as cross-validation says; here by `logistic_factors`, a fixed number.
- It tunes the schedule of the draws on models of the history; here it is fixed.
- Factors are updated a limited number of times, so that a large budget is asked in blocks.

Without a history all predictions are 1/2, the draws uniform and the estimates nearly the mean of the answers.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from gembench.errors import PolicySettingError
from gembench.lanes import take
from gembench.logistic_factors import fit_factors, population_of, random_factors
from gembench.policy import Problem, Sampling, Stage, Step
from gembench.query_policy import UNSEEN, Background, QueryAsk, Seen

_TURNS = 10
_MOST_UPDATES = 25
_LEAST = 1e-12


class Prior(NamedTuple):
    """What the history tells: `loadings` [Q, K] of the queries; `mean` [K] and `covariance` [K, K] of the models'."""

    loadings: Array
    mean: Array
    covariance: Array


class Belief(NamedTuple):
    """What is known of the models.

    Attributes:
        mean: [M, K], of their factors.
        covariance: [M, K, K].
        estimates: [M], the sum of their estimates so far.
        num_estimates: [M].
    """

    mean: Array
    covariance: Array
    estimates: Array
    num_estimates: Array


class Outlook(NamedTuple):
    """What is predicted before an ask, each [M, Q]: the chance of a right answer, and of the query to be drawn."""

    predicted: Array
    drawn: Array


@dataclass(frozen=True)
class FactorizedActiveQuerying:
    """Factorized active querying, the same number of queries for every model.

    Attributes:
        num_factors: K.
        exploring: rho of the source: the share of the budget in which draws serve to learn the factors, ever less.
        uniform_share: tau of the source: how much of each draw is uniform.

    Raises:
        PolicySettingError: a setting is out of its range.
    """

    num_factors: int = 16
    exploring: float = 0.0
    uniform_share: float = 0.25

    sampling: ClassVar[Sampling] = "shared"

    def __post_init__(self) -> None:
        if self.num_factors < 1:
            raise PolicySettingError(f"num_factors must be at least 1, got {self.num_factors}.")
        if not 0 <= self.exploring <= 1:
            raise PolicySettingError(f"exploring must be in [0, 1], got {self.exploring}.")
        if not 0 < self.uniform_share <= 1:
            raise PolicySettingError(f"uniform_share must be over 0 and at most 1, got {self.uniform_share}.")

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """Blocks of queries for every model, what is left of them, and one more query of as many as can have one."""
        num_models = problem.num_models
        per_model, remainder = divmod(problem.budget, num_models)
        block = math.ceil(per_model / _MOST_UPDATES)
        num_blocks, rest = divmod(per_model, block)
        stages = (Stage(num_models, block, num_blocks), Stage(num_models, rest), Stage(remainder, 1))
        return tuple(stage for stage in stages if stage.num_models and stage.max_queries)

    def study(self, problem: Problem, background: Background) -> Prior:
        """The factor model of the history; with no history one that predicts nothing."""
        num_factors = self.num_factors
        if len(background.history) == 0:
            nothing = jnp.zeros((problem.num_queries, num_factors))
            return Prior(nothing, jnp.zeros(num_factors), jnp.eye(num_factors))
        history = jnp.asarray(background.history)
        start = random_factors(jax.random.key(0), history.shape[0], history.shape[1], num_factors)
        factors = fit_factors(history, start, _TURNS)
        population = population_of(factors.models)
        return Prior(factors.queries, population.mean, jnp.linalg.inv(population.precision))

    def start(self, rng_key: Array, problem: Problem, seen: Seen) -> Belief:
        """All models are from the history's population."""
        del rng_key
        prior: Prior = seen.knowledge
        num_models, num_factors = problem.num_models, self.num_factors
        return Belief(
            jnp.broadcast_to(prior.mean, (num_models, num_factors)),
            jnp.broadcast_to(prior.covariance, (num_models, num_factors, num_factors)),
            jnp.zeros(num_models),
            jnp.zeros(num_models, jnp.int32),
        )

    def ask(self, rng_key: Array, step: Step, seen: Seen, memory: Belief) -> QueryAsk:
        """Draws, one after the other without replacement, from the queries that each model has not seen."""
        stage = self.plan(step.problem)[step.stage]
        who_key, race_key = jax.random.split(rng_key)
        models = jnp.arange(step.problem.num_models, dtype=jnp.int32)
        if stage.num_models < step.problem.num_models:
            # Whoever can answer no more, as those that failed in a live search, comes last.
            shuffled = jax.random.permutation(who_key, models)
            has_no_more = take(seen.tally.pulls, shuffled) == step.problem.num_queries
            models = take(shuffled, jnp.argsort(has_no_more, stable=True)[: stage.num_models])
        outlook = self._outlook(step, models, take(seen.answers, models), seen.knowledge, memory)
        # The order in which exponential clocks of these rates ring.
        clocks = -jnp.log1p(-jax.random.uniform(race_key, outlook.drawn.shape))
        ringing = jnp.where(outlook.drawn > 0, clocks / jnp.maximum(outlook.drawn, _LEAST), jnp.inf)
        soonest = lax.top_k(-ringing, stage.max_queries)[1]
        is_open = take(seen.tally.pulls, models) + stage.max_queries <= step.problem.num_queries
        return QueryAsk(models, jnp.where(is_open[:, None], soonest, UNSEEN))

    def learn(self, step: Step, asked: QueryAsk, answers: Array, seen: Seen, memory: Belief) -> Belief:
        """An estimate for each answer, by what was predicted before the ask; then the factors, answer by answer."""
        models, queries = asked.models, jnp.maximum(asked.queries, 0)
        is_asked = asked.queries != UNSEEN
        place = jnp.arange(models.size, dtype=jnp.int32)[:, None]
        before = take(seen.answers, models).at[place, queries].set(UNSEEN)
        outlook = self._outlook(step, models, before, seen.knowledge, memory)
        predicted, drawn = outlook.predicted[place, queries], outlook.drawn[place, queries]
        right = (answers == 1).astype(jnp.float32)
        known = (before == 1).sum(axis=1, dtype=jnp.int32).astype(jnp.float32)
        unknown = jnp.where(before == UNSEEN, outlook.predicted, 0).sum(axis=1)
        # Within an ask each draw knows of those before it.
        total = (known + unknown)[:, None] + _sum_before(right - predicted)
        chance = drawn / jnp.maximum(1 - _sum_before(drawn), _LEAST)
        estimates = (total + (right - predicted) / jnp.maximum(chance, _LEAST)) / step.problem.num_queries
        mean, covariance = self._update(
            take(memory.mean, models), take(memory.covariance, models), take(seen.knowledge.loadings, queries), answers
        )
        return Belief(
            memory.mean.at[models].set(mean),
            memory.covariance.at[models].set(covariance),
            memory.estimates.at[models].add(jnp.where(is_asked, estimates, 0).sum(axis=1)),
            memory.num_estimates.at[models].add(is_asked.sum(axis=1, dtype=jnp.int32)),
        )

    def recommend(self, rng_key: Array, problem: Problem, seen: Seen, memory: Belief) -> Array:
        """The mean estimates."""
        del rng_key, problem, seen
        return memory.estimates / memory.num_estimates.astype(jnp.float32)

    def withdraw(self, is_out: Array, memory: Belief) -> Belief:
        """The tally says it all."""
        del is_out
        return memory

    def _outlook(self, step: Step, models: Array, answers: Array, prior: Prior, belief: Belief) -> Outlook:
        """Predictions for some models [S], and the law of their next draws; `answers` [S, Q] are theirs."""
        is_unseen = answers == UNSEEN
        factors = take(belief.mean, models)
        predicted = jax.nn.sigmoid(factors @ prior.loadings.T)
        variance = predicted * (1 - predicted)
        score = _normalized(jnp.sqrt(variance), is_unseen)
        plan = self.plan(step.problem)
        first = sum(stage.max_queries * stage.repeats for stage in plan[: step.stage])
        num_asked = first + step.repeat * plan[step.stage].max_queries + 1
        until = self.exploring * (step.problem.budget // step.problem.num_models)
        if until > 0:
            weight = jnp.maximum(0, 1 - num_asked.astype(jnp.float32) / until)
            covariance = take(belief.covariance, models)
            explored = lax.cond(
                weight > 0,
                lambda: _normalized(_lessening(variance, is_unseen, prior.loadings, covariance), is_unseen),
                lambda: score,
            )
            score = (1 - weight) * score + weight * explored
        uniform = _normalized(jnp.ones_like(score), is_unseen)
        return Outlook(predicted, (1 - self.uniform_share) * score + self.uniform_share * uniform)

    def _update(self, mean: Array, covariance: Array, loadings: Array, answers: Array) -> tuple[Array, Array]:
        """Factors [S, K], [S, K, K] after `answers` [S, n] to queries of `loadings` [S, n, K], one after the other."""

        def absorb(belief: tuple[Array, Array], column: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
            mean, covariance = belief
            loading, answer = column
            predicted = jax.nn.sigmoid((mean * loading).sum(axis=1))
            # Where nothing was asked, nothing is learnt.
            is_asked = (answer != UNSEEN).astype(jnp.float32)
            variance = is_asked * predicted * (1 - predicted)
            gain = jnp.einsum("skl,sl->sk", covariance, loading)
            shrink = variance / (1 + variance * (gain * loading).sum(axis=1))
            covariance = covariance - shrink[:, None, None] * gain[:, :, None] * gain[:, None, :]
            surprise = is_asked * ((answer == 1).astype(jnp.float32) - predicted)
            mean = mean + surprise[:, None] * jnp.einsum("skl,sl->sk", covariance, loading)
            return (mean, covariance), None

        return lax.scan(absorb, (mean, covariance), (loadings.transpose(1, 0, 2), answers.T))[0]


def _lessening(variance: Array, is_unseen: Array, loadings: Array, covariance: Array) -> Array:
    """How much each answer is expected to lessen the variance of the predicted accuracy, [S, Q], but for a factor."""
    unknown = jnp.where(is_unseen, variance, 0) @ loadings / loadings.shape[0]
    along = jnp.einsum("skl,sl->sk", covariance, unknown) @ loadings.T
    products = (loadings[:, :, None] * loadings[:, None, :]).reshape(len(loadings), -1)
    spread = covariance.reshape(len(covariance), -1) @ products.T
    return variance * along**2 / (1 + variance * spread)


def _normalized(weights: Array, is_unseen: Array) -> Array:
    """Probabilities over the unseen queries, [S, Q]; uniform where there is no weight."""
    weights = jnp.where(is_unseen, weights + _LEAST, 0)
    return weights / jnp.maximum(weights.sum(axis=1, keepdims=True), _LEAST)


def _sum_before(values: Array) -> Array:
    """[S, n], of those before each."""
    return jnp.cumsum(values, axis=1) - values
