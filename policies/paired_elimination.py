r"""Elimination by paired tests: a race in batches of shared queries, which a model leaves once it is worse for certain.

All models in the race answer the same queries. After each batch every one of them is held against the leader, query by
query: with w queries on which only the leader is right and l on which only the other is, McNemar's statistic
$(w - l - 1) / \sqrt{w + l}$ is normal if they are equally good, and where it passes a quantile the other leaves. Luck
that is common to both cancels: models that err alike are told apart by the few queries on which they differ. The race
goes on until the budget is spent; who stayed longest, and then who answered most right, is recommended.

Source: Maron and Moore, "Hoeffding Races: Accelerating Model Selection Search for Classification and Function
Approximation", NIPS 1993; with paired tests of all against the leader as Birattari, Stützle, Paquete and Varrentrapp,
"A Racing Algorithm for Configuring Metaheuristics", GECCO 2002. The test: McNemar, "Note on the Sampling Error of the
Difference between Correlated Proportions or Percentages", Psychometrika 12, 1947.

Changed: Hoeffding's bound, which knows no pairs, and any union bound over models and batches, let nobody leave in a few
hundred queries. So the level is that of a single test, as in the second source. The fewer models are left, the larger
are the batches, so that each costs about as much as the first.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from gembench.errors import PolicySettingError
from gembench.lanes import add, put, take
from gembench.policy import Problem, Sampling, Stage, Step
from gembench.query_policy import UNSEEN, Background, QueryAsk, Seen

_NARROWING = 4


class Race(NamedTuple):
    """Who is in the race.

    Attributes:
        is_in: [M] bool.
        num_batches: [M] int32, the batches after which each was still in.
        num_queries: int32, how many queries those in the race have answered, the first of the shared order.
        lots: [M] float32 in [0, 1), by which one of equals leads.
    """

    is_in: Array
    num_batches: Array
    num_queries: Array
    lots: Array


@dataclass(frozen=True)
class PairedElimination:
    """A race by McNemar's test.

    Attributes:
        level: how often a model as good as the leader leaves after a test, in (0, 0.5].
        num_batches: into how many batches the budget would be divided if nobody left.

    Raises:
        PolicySettingError: a hyper-parameter is out of range.
    """

    level: float = 0.1
    num_batches: int = 8

    sampling: ClassVar[Sampling] = "shared"

    def __post_init__(self) -> None:
        if not 0 < self.level <= 0.5:
            raise PolicySettingError(f"level must be over 0 and at most 0.5, got {self.level}.")
        if self.num_batches < 1:
            raise PolicySettingError(f"num_batches must be at least 1, got {self.num_batches}.")

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """Of each stage as many asks as spend the budget while there are too many in the race for the next stage."""
        num_models, num_queries = problem.num_models, problem.num_queries
        batch = self._first_batch(problem)
        stages = []
        while True:
            num_next = num_models // _NARROWING
            least_spent = (max(num_next, min(num_models - 1, 1)) + 1) * batch
            repeats = min(problem.budget // least_spent, num_queries // batch) + 1
            stages.append(Stage(num_models, batch, repeats))
            if num_next < 2:
                return tuple(stages)
            num_models, batch = num_next, min(_NARROWING * batch, num_queries, problem.budget)

    def study(self, problem: Problem, background: Background) -> tuple[()]:
        """Nothing."""
        del problem, background
        return ()

    def start(self, rng_key: Array, problem: Problem, seen: Seen) -> Race:
        """Everybody is in."""
        del seen
        num_models = problem.num_models
        nothing = jnp.zeros(num_models, jnp.int32)
        return Race(jnp.ones(num_models, bool), nothing, jnp.int32(0), jax.random.uniform(rng_key, (num_models,)))

    def ask(self, rng_key: Array, step: Step, seen: Seen, memory: Race) -> QueryAsk:
        """The next of the shared order, of all in the race; of nobody if they are too many, or the race is won."""
        del rng_key
        problem, stage = step.problem, self.plan(step.problem)[step.stage]
        num_in = memory.is_in.sum(dtype=jnp.int32)
        models = lax.top_k(memory.is_in.astype(jnp.float32), stage.num_models)[1]
        is_on = (num_in <= stage.num_models) & (num_in >= min(problem.num_models, 2))
        affordable = step.pulls_left // jnp.maximum(num_in, 1)
        offset = jnp.arange(stage.max_queries, dtype=jnp.int32)
        position = memory.num_queries + offset
        is_given = is_on & (offset < affordable) & (position < problem.num_queries)
        queries = jnp.where(is_given, take(seen.order, jnp.minimum(position, problem.num_queries - 1)), UNSEEN)
        return QueryAsk(models, jnp.where(take(memory.is_in, models)[:, None], queries[None], UNSEEN))

    def learn(self, step: Step, asked: QueryAsk, answers: Array, seen: Seen, memory: Race) -> Race:
        """Who is worse than the leader for certain leaves."""
        del answers
        models = asked.models
        num_asked = (asked.queries != UNSEEN).sum(axis=1, dtype=jnp.int32).max()
        is_in, correct = take(memory.is_in, models), take(seen.tally.correct, models)
        leader = jnp.where(is_in, correct.astype(jnp.float32) + take(memory.lots, models), -1).argmax()
        rows = take(seen.answers, models)
        # All in the race have answered the same queries.
        num_apart = (rows != take(rows, leader)[None]).sum(axis=1, dtype=jnp.int32)
        is_worse = passes(take(correct, leader) - correct, num_apart, NormalDist().inv_cdf(1 - self.level))
        stays = is_in & ~(is_worse & (num_asked > 0))
        has_played = (stays & (num_asked > 0)).astype(jnp.int32)
        return Race(
            put(memory.is_in, models, stays),
            add(memory.num_batches, models, has_played),
            memory.num_queries + num_asked,
            memory.lots,
        )

    def recommend(self, rng_key: Array, problem: Problem, seen: Seen, memory: Race) -> Array:
        """By batches survived, then by right answers: who left together has answered equally many queries."""
        del rng_key
        return memory.num_batches * (problem.num_queries + 1) + seen.tally.correct

    def withdraw(self, is_out: Array, memory: Race) -> Race:
        """They leave, as the first who did."""
        return memory._replace(is_in=memory.is_in & ~is_out, num_batches=jnp.where(is_out, -1, memory.num_batches))

    def _first_batch(self, problem: Problem) -> int:
        return min(max(1, problem.budget // (problem.num_models * self.num_batches)), problem.num_queries)


def passes(margin: Array, num_apart: Array, quantile: float) -> Array:
    """Whether McNemar's statistic, with the correction for continuity, exceeds a quantile.

    Args:
        margin: int32, how many more queries one has right than the other.
        num_apart: int32, on how many queries the two differ.
        quantile: at least 0.
    """
    excess = (margin - 1).astype(jnp.float32)
    return (margin > 1) & (excess * excess > quantile**2 * num_apart.astype(jnp.float32))
