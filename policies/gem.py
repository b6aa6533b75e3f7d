"""Gem: shared queries, fine cuts, nothing forgotten; and, where it is known how other models fared, a factor model.

Cold, without a history, it is a race of many small cuts: after t queries each, M / (1 + t / t0) models are left, those
with the most right answers so far. Every doubling of the queries then costs about as much as the one before it. Where a
number is known of each model, it has its say in who is left (`gembench.primed_gem`).

Warm, a few models at random answer a few queries at random first: that pilot says where the race lies among the models
of the history. From there a factor model of what sets the race's models apart (`gembench.local_factors`) chooses, round
by round, the queries that tell most of the models' means, and weighs the answers: each right one counts for itself and
for what it says of the queries that are not asked. After every round the factor model moves to the models that are
left; and the answers that have come are held against what the weighted and what the plain tally foresaw, so that by the
likelihood of the two the weights move towards the plain tally's where the history does not predict.

Source: this project.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from gembench.elimination import Elimination, Round
from gembench.errors import PolicySettingError
from gembench.factor_model import FactorModel, Planes, fit_planes
from gembench.lanes import put, take
from gembench.local_factors import Asked, evidence_of_means, localize, posterior_covariance
from gembench.policy import Problem, Sampling, Stage, Step
from gembench.primed_gem import PrimedGem
from gembench.query_design import c_optimal_queries, weighted_queries
from gembench.query_policy import Background, QueryAsk, Seen
from gembench.ranking import scores_by_rounds, top_scores
from gembench.shrinking import shrinking_rounds
from gembench.weighted_tally import answer_weights, evidence_of_history

_NUM_PILOTS = 8
_PILOT_SHARE = 0.04
_MOST_PILOT_QUERIES = 15
_NUM_LEADERS = 3
_POOL = 1000
_SHAKE = 0.1
_MORE_SHAKE = 0.3
_SURE_LOG_ODDS = 4.0
_GRAIN = 1024
_PRIOR_LOG_ODDS = 2.0


@dataclass(frozen=True)
class Gem(Elimination):
    """Gem.

    Attributes:
        keep: a round ends when no more than this share of its models should be left, in (0, 1).
        tilt: after t queries each, M / (1 + t / t0) ** (1 + tilt) models are left: more than 0 spends more on the
            many, over -1.
        warm_keep: `keep`, where there is a history.

    Raises:
        PolicySettingError: a hyper-parameter is out of range.
    """

    keep: float = 0.75
    tilt: float = 0.0
    warm_keep: float = 0.6

    sampling: ClassVar[Sampling] = "shared"

    def __post_init__(self) -> None:
        for name in ("keep", "warm_keep"):
            if not 0 < getattr(self, name) < 1:
                raise PolicySettingError(f"{name} must be over 0 and under 1, got {getattr(self, name)}.")
        if not -0.9 <= self.tilt <= 10:
            raise PolicySettingError(f"tilt must be from -0.9 to 10, got {self.tilt}.")

    @property
    def warm(self) -> "WarmGem":
        """What is raced where there is a history."""
        return WarmGem(self.warm_keep, self.tilt)

    @property
    def primed(self) -> PrimedGem:
        """What is raced where there is a prior and no history."""
        return PrimedGem(self.keep, self.tilt)

    def rounds(self, problem: Problem) -> tuple[Round, ...]:
        """Cuts as fine as `keep` says, with at least a query before each; what is left over goes to the last."""
        return shrinking_rounds(problem, self.keep, 1 + self.tilt)


class Standing(NamedTuple):
    """What a run remembers. C queries are its pool, T of them will be asked in rounds.

    Attributes:
        pool: [C] int32, queries by their ids; all else names them by their place in it.
        luck: [C] float32, by which runs choose different queries.
        order: [T] int32, the queries of the rounds until the next.
        survivors: [M] int32, the models of the last round, in its first entries.
        rounds: [M] int32, rounds played; -1 for who is out.
        score: [M] int32, the weighted right answers in the last of them.
        plane: int32, the factor model of the history that is used.
        pilot: [p] float32, the share of the pilots that were right.
        model: the factor model, moved to the race.
        log_odds: float32, that the history predicts, against that it does not.
    """

    pool: Array
    luck: Array
    order: Array
    survivors: Array
    rounds: Array
    score: Array
    plane: Array
    pilot: Array
    model: FactorModel
    log_odds: Array


@dataclass(frozen=True)
class WarmGem:
    """Gem with a history.

    Attributes:
        keep: as gem's.
        tilt: as gem's.
        num_factors: factors of the model, besides the intercept.
        num_designed: how many queries are chosen one by one as the most telling; later ones are drawn.
    """

    keep: float = 0.6
    tilt: float = 0.0
    num_factors: int = 24
    num_designed: int = 150

    sampling: ClassVar[Sampling] = "shared"

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """The pilot, then one stage a round."""
        return tuple(each.stage for each in self._stages(problem))

    def _stages(self, problem: Problem) -> tuple[Round, ...]:
        pilot = _pilot(problem)
        left = Problem(
            problem.num_models,
            problem.num_queries - pilot.num_queries,
            problem.budget - pilot.num_models * pilot.num_queries,
        )
        return pilot, *shrinking_rounds(left, self.keep, 1 + self.tilt)

    def study(self, problem: Problem, background: Background) -> Planes:
        """Fit the factor models."""
        del problem
        return fit_planes(jnp.asarray(background.history), self.num_factors)

    def start(self, rng_key: Array, problem: Problem, seen: Seen) -> Standing:
        """Everybody in random order: the first are the pilots, who meet the first queries of the run's order."""
        planes: Planes = seen.knowledge
        model_key, luck_key = jax.random.split(rng_key)
        stages = self._stages(problem)
        num_asked = sum(each.num_queries for each in stages[1:])
        pool = seen.order[: stages[0].num_queries + max(_POOL, num_asked)]
        nothing = jnp.zeros(problem.num_models, jnp.int32)
        plane = jnp.int32(planes.level.size - 1)
        return Standing(
            pool=pool,
            luck=jax.random.gumbel(luck_key, pool.shape),
            order=jnp.zeros(num_asked, jnp.int32),
            survivors=jax.random.permutation(model_key, problem.num_models).astype(jnp.int32),
            rounds=nothing,
            score=nothing,
            plane=plane,
            pilot=jnp.zeros(stages[0].num_queries),
            model=planes.one(plane, pool),
            log_odds=jnp.float32(_PRIOR_LOG_ODDS),
        )

    def ask(self, rng_key: Array, step: Step, seen: Seen, memory: Standing) -> QueryAsk:
        """The best of the last round, the queries that were chosen after it."""
        del seen
        stages, survivors = self._stages(step.problem), memory.survivors
        this = stages[step.stage]
        if step.stage == 0:
            return QueryAsk(survivors[: this.num_models], memory.pool[None, : this.num_queries])
        if step.stage > 1:
            survivors = survivors[: stages[step.stage - 1].num_models]
            score = jnp.where(take(memory.rounds, survivors) < 0, -(2**30), take(memory.score, survivors))
            survivors = take(survivors, top_scores(rng_key, score, this.num_models))
        first = _num_before(stages, step.stage)
        queries = take(memory.pool, memory.order[first : first + this.num_queries])
        return QueryAsk(survivors, queries[None, :])

    def learn(self, step: Step, asked: QueryAsk, answers: Array, seen: Seen, memory: Standing) -> Standing:
        """Weigh all answers of this round's models anew, and choose the next queries by those who stay."""
        if step.stage == 0:
            memory = self._after_pilot(answers == 1, seen.knowledge, memory)
            return self._prepare(step, memory, jnp.zeros((1, 0)), jnp.ones(1, bool), seen.knowledge)
        stages = self._stages(step.problem)
        models, num_before = asked.models, _num_before(stages, step.stage)
        queries = memory.order[: num_before + answers.shape[1]]
        right = (take(seen.answers, models)[:, take(memory.pool, queries)] == 1).astype(jnp.float32)
        log_odds = memory.log_odds
        # The first round foresees its own second half by its first.
        if answers.shape[1] and (num_foreseeing := num_before or answers.shape[1] // 2):
            log_odds = log_odds + evidence_of_history(memory.model, queries, right, num_foreseeing)
        trust = take(seen.knowledge.worth, memory.plane) * jax.nn.sigmoid(log_odds)
        score = _weighted(memory.model, queries, right, trust, step.problem.num_queries)
        memory = memory._replace(
            survivors=jnp.concatenate([models, memory.survivors[models.size :]]),
            rounds=put(memory.rounds, models, jnp.full(models.size, step.stage, jnp.int32)),
            score=put(memory.score, models, score),
            log_odds=log_odds,
        )
        if step.stage == len(stages) - 1:
            return memory
        least = lax.top_k(score, stages[step.stage + 1].num_models)[0][-1]
        return self._prepare(step, memory, right, score >= least, seen.knowledge)

    def _after_pilot(self, is_right: Array, planes: Planes, memory: Standing) -> Standing:
        right = is_right.astype(jnp.float32)
        if not right.shape[1]:
            return memory
        everything = FactorModel(planes.mean[-1], planes.loadings[-1], planes.noise[-1])
        weights, constant = answer_weights(everything, memory.pool[: right.shape[1]])
        estimate = (right @ weights + constant) / planes.mean.shape[1]
        level = lax.top_k(estimate, min(_NUM_LEADERS, len(right)))[0].mean()
        plane = jnp.argmin(jnp.abs(planes.level[:-1] - level)).astype(jnp.int32)
        pilot = Asked(
            jnp.arange(right.shape[1], dtype=jnp.int32), right.mean(axis=0), jnp.full(right.shape[1], float(len(right)))
        )
        return memory._replace(
            plane=plane,
            pilot=pilot.mean,
            log_odds=memory.log_odds + evidence_of_means(planes.one(plane, memory.pool), pilot),
        )

    def _prepare(self, step: Step, memory: Standing, right: Array, stays: Array, planes: Planes) -> Standing:
        """Move the factor model to the models that stay, of `right` [S, t], and choose what they are asked next."""
        stages = self._stages(step.problem)
        num_pilot, num_asked, num_next = len(memory.pilot), right.shape[1], stages[step.stage + 1].num_queries
        num_pilots, num_staying = stages[0].num_models, stays.astype(jnp.float32).sum()
        asked = memory.order[:num_asked]
        race = Asked(
            jnp.concatenate([jnp.arange(num_pilot, dtype=jnp.int32), asked]),
            jnp.concatenate([memory.pilot, stays.astype(jnp.float32) @ right / num_staying]),
            jnp.concatenate([jnp.full(num_pilot, num_pilots, jnp.float32), jnp.full(num_asked, num_staying)]),
        )
        model = localize(planes.one(memory.plane, memory.pool), race)
        is_taken = jnp.zeros(memory.pool.size, bool).at[race.queries].set(True)
        num_designed = min(num_next, max(0, self.num_designed - num_asked))
        scale = step.problem.num_queries / memory.pool.size
        target = scale * model.loadings.sum(axis=0) - take(model.loadings, asked).sum(axis=0)
        covariance = posterior_covariance(model, asked)
        # Where it is not sure that the history predicts, the most telling queries are most telling by chance: all runs
        # would choose the same ones, which do one race good and the next harm.
        is_sure = take(planes.worth, memory.plane) * jax.nn.sigmoid(memory.log_odds - _SURE_LOG_ODDS)
        luck = (_SHAKE + _MORE_SHAKE * (1 - is_sure)) * memory.luck
        designed = c_optimal_queries(model.loadings, model.noise, target, covariance, is_taken, luck, num_designed)
        drawn = weighted_queries(
            jnp.sqrt(model.noise), is_taken.at[designed].set(True), memory.luck, num_next - num_designed
        )
        anything = weighted_queries(jnp.ones_like(model.noise), is_taken, memory.luck, num_next)
        chosen = jnp.where(memory.log_odds > 0, jnp.concatenate([designed, drawn]), anything)
        order = lax.dynamic_update_slice(memory.order, chosen, (num_asked,))
        return memory._replace(model=model, order=order)

    def recommend(self, rng_key: Array, problem: Problem, seen: Seen, memory: Standing) -> Array:
        """By rounds played, then by what counted in the last of them."""
        del rng_key, problem, seen
        return scores_by_rounds(memory.rounds, memory.score)

    def withdraw(self, is_out: Array, memory: Standing) -> Standing:
        """Below all who race or raced, so that the next best takes the place."""
        return memory._replace(rounds=jnp.where(is_out, -1, memory.rounds))


def _pilot(problem: Problem) -> Round:
    # What is left pays for a query of every model.
    pulls = min(int(_PILOT_SHARE * problem.budget), problem.budget - problem.num_models)
    num_models = min(_NUM_PILOTS, problem.num_models, max(1, pulls))
    return Round(num_models, min(pulls // num_models, _MOST_PILOT_QUERIES, problem.num_queries - 1))


def _num_before(stages: tuple[Round, ...], stage: int) -> int:
    return sum(each.num_queries for each in stages[1:stage])


def _weighted(model: FactorModel, queries: Array, right: Array, trust: Array, num_queries: int) -> Array:
    """The right answers [S] int32 of `right` [S, t], weighted, in units of 1 / _GRAIN."""
    weights, _ = answer_weights(model, queries, num_queries / model.mean.size)
    plain = num_queries / len(queries)
    blend = jnp.round(_GRAIN * (trust * weights + (1 - trust) * plain)).astype(jnp.int32)
    return (right.astype(jnp.int32) * blend[None, :]).sum(axis=1, dtype=jnp.int32)
