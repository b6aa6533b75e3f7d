"""Gem: shared queries, fine cuts, nothing forgotten; and, where it is known how other models fared, a factor model.

Cold, without a history, it is a halving in small steps: after every few queries a quarter of the models leave, those
with the fewest right answers so far.

Warm, each right answer counts for itself and for what it says of the queries that are not asked, by the factor model of
the history (`gembench.factor_model`): a weighted tally, whose weights are those of the posterior mean of a model's
right answers to all queries. The queries that say most come first. After every round the answers that have come are
held against what the weighted and what the plain tally foresaw, and by the likelihood of the two the weights move
towards the plain tally's where the history does not predict.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from gembench.elimination import Elimination, Round, rounds_of_shares
from gembench.errors import PolicySettingError
from gembench.factor_model import Planes, fit_planes
from gembench.lanes import put, take
from gembench.policy import Problem, Sampling, Stage, Step
from gembench.query_design import c_optimal_queries, query_weights, weighted_order
from gembench.query_policy import Background, QueryAsk, Seen
from gembench.weighted_tally import answer_weights, evidence_of_history

_NUM_DESIGNS = 64
_LEADERS = 30
_GRAIN = 1024
_PRIOR_LOG_ODDS = 2.0


@dataclass(frozen=True)
class Gem(Elimination):
    """Gem.

    Attributes:
        keep: the share of the models that stay on after a round, in (0, 1).
        tilt: a round's budget goes with (models in it) ** tilt.

    Raises:
        PolicySettingError: a hyper-parameter is out of range.
    """

    keep: float = 0.77
    tilt: float = 0.1

    sampling: ClassVar[Sampling] = "shared"

    def __post_init__(self) -> None:
        if not 0 < self.keep < 1:
            raise PolicySettingError(f"keep must be over 0 and under 1, got {self.keep}.")
        if not -10 <= self.tilt <= 10:
            raise PolicySettingError(f"tilt must be from -10 to 10, got {self.tilt}.")

    @property
    def warm(self) -> "WarmGem":
        """What is raced where there is a history."""
        return WarmGem(self)

    def rounds(self, problem: Problem) -> tuple[Round, ...]:
        """Each round has its share of what is left and at least one query; what it leaves over goes to the next."""
        sizes = shrinking_sizes(problem.num_models, self.keep)
        weights = [size**self.tilt for size in sizes]
        shares = [weight / sum(weights[number:]) for number, weight in enumerate(weights)]
        return rounds_of_shares(problem, sizes, shares)


def shrinking_sizes(num_models: int, keep: float) -> tuple[int, ...]:
    """Models in each round, when this share of them stays on: at least one leaves, and two play the last."""
    sizes = [num_models]
    while sizes[-1] > 2:
        sizes.append(max(2, min(sizes[-1] - 1, round(sizes[-1] * keep))))
    return tuple(sizes)


class Knowledge(NamedTuple):
    """What the history teaches.

    Attributes:
        planes: the factor models.
        designs: [D, n] int32, good queries to begin with.
        weights: [Q] float32, how likely the others come next.
    """

    planes: Planes
    designs: Array
    weights: Array


class Standing(NamedTuple):
    """What a run remembers.

    Attributes:
        order: [Q] int32, the queries as all models meet them.
        survivors: [M] int32, the models of the last round, in its first entries.
        rounds: [M] int32, rounds played; -1 for who is out.
        score: [M] int32, the weighted right answers in the last of them.
        plane: int32, the factor model that is used.
        log_odds: float32, that the history predicts, against that it does not.
    """

    order: Array
    survivors: Array
    rounds: Array
    score: Array
    plane: Array
    log_odds: Array


@dataclass(frozen=True)
class WarmGem:
    """Gem with a history.

    Attributes:
        cold: the rounds are those of gem without.
        num_factors: factors of the model, besides the intercept.
        num_designed: how many queries are chosen as the most telling.
    """

    cold: Gem = Gem()
    num_factors: int = 24
    num_designed: int = 60

    sampling: ClassVar[Sampling] = "shared"

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """One stage a round."""
        return self.cold.plan(problem)

    def study(self, problem: Problem, background: Background) -> Knowledge:
        """Fit the factor models, and choose the first queries by that of the whole history."""
        planes = fit_planes(jnp.asarray(background.history), self.num_factors)
        num_designed = min(self.num_designed, problem.num_queries)

        def design(key: Array) -> Array:
            return c_optimal_queries(key, planes.loadings[-1], planes.noise[-1], num_designed)

        designs = lax.map(design, jax.random.split(jax.random.key(0), _NUM_DESIGNS), batch_size=8)
        return Knowledge(planes, designs, query_weights(planes.mean[-1]))

    def start(self, rng_key: Array, problem: Problem, seen: Seen) -> Standing:
        """A design at random, then the other queries at random."""
        knowledge: Knowledge = seen.knowledge
        design_key, order_key = jax.random.split(rng_key)
        design = take(knowledge.designs, jax.random.randint(design_key, (), 0, _NUM_DESIGNS))
        nothing = jnp.zeros(problem.num_models, jnp.int32)
        return Standing(
            order=weighted_order(order_key, knowledge.weights, design),
            survivors=jnp.arange(problem.num_models, dtype=jnp.int32),
            rounds=nothing,
            score=nothing,
            plane=jnp.int32(knowledge.planes.level.size - 1),
            log_odds=jnp.float32(_PRIOR_LOG_ODDS),
        )

    def ask(self, rng_key: Array, step: Step, seen: Seen, memory: Standing) -> QueryAsk:
        """The best of the last round, the next queries."""
        del seen
        rounds = self.cold.rounds(step.problem)
        this, survivors = rounds[step.stage], memory.survivors
        if step.stage > 0:
            survivors = survivors[: rounds[step.stage - 1].num_models]
            score = jnp.where(take(memory.rounds, survivors) < 0, -(2**30), take(memory.score, survivors))
            survivors = take(survivors, _best(rng_key, score, this.num_models))
        first = _num_before(rounds, step.stage)
        return QueryAsk(survivors, memory.order[None, first : first + this.num_queries])

    def learn(self, step: Step, asked: QueryAsk, answers: Array, seen: Seen, memory: Standing) -> Standing:
        """Weigh all answers of this round's models anew."""
        knowledge: Knowledge = seen.knowledge
        num_before, num_new = _num_before(self.cold.rounds(step.problem), step.stage), answers.shape[1]
        models, queries = asked.models, memory.order[: num_before + num_new]
        right = (take(seen.answers, models)[:, queries] == 1).astype(jnp.float32)
        log_odds = memory.log_odds
        # The first round foresees its own second half by its first.
        if num_new and (num_foreseeing := num_before or num_new // 2):
            log_odds = log_odds + evidence_of_history(knowledge.planes, memory.plane, queries, right, num_foreseeing)
        level = self._level(knowledge.planes, queries, right)
        plane = jnp.argmin(jnp.abs(knowledge.planes.level[:-1] - level)).astype(jnp.int32)
        weights, _ = answer_weights(knowledge.planes, plane, queries)
        trust = jax.nn.sigmoid(log_odds)
        plain = step.problem.num_queries / len(queries)
        blend = jnp.round(_GRAIN * (trust * weights + (1 - trust) * plain)).astype(jnp.int32)
        score = (right.astype(jnp.int32) * blend[None, :]).sum(axis=1, dtype=jnp.int32)
        return Standing(
            order=memory.order,
            survivors=jnp.concatenate([models, memory.survivors[models.size :]]),
            rounds=put(memory.rounds, models, jnp.full(models.size, step.stage + 1, jnp.int32)),
            score=put(memory.score, models, score),
            plane=plane,
            log_odds=log_odds,
        )

    def _level(self, planes: Planes, queries: Array, right: Array) -> Array:
        weights, constant = answer_weights(planes, jnp.int32(planes.level.size - 1), queries)
        estimate = (right @ weights + constant) / planes.mean.shape[1]
        return lax.top_k(estimate, min(_LEADERS, len(right)))[0].mean()

    def recommend(self, rng_key: Array, problem: Problem, seen: Seen, memory: Standing) -> Array:
        """By rounds played, then by what counted in the last of them."""
        del rng_key, problem, seen
        place = jnp.argsort(jnp.argsort(memory.score))
        return memory.rounds * memory.score.size + place

    def withdraw(self, is_out: Array, memory: Standing) -> Standing:
        """Below all who race or raced, so that the next best takes the place."""
        return memory._replace(rounds=jnp.where(is_out, -1, memory.rounds))


def _num_before(rounds: tuple[Round, ...], stage: int) -> int:
    return sum(each.num_queries for each in rounds[:stage])


def _best(rng_key: Array, score: Array, num_models: int) -> Array:
    shuffled = jax.random.permutation(rng_key, score.size).astype(jnp.int32)
    return take(shuffled, lax.top_k(take(score, shuffled), num_models)[1])
