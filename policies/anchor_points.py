"""Anchor points: every model answers the few queries that stand for all others in what is known of earlier models.

The queries are clustered by which models of the history answer them right (k-means). Each cluster's query nearest to
its center is its anchor, and weighs as much as the cluster is large. The weighted share of right answers estimates the
accuracy, by which models are ranked. There are as many anchors as the budget pays for every model: a fixed test, the
same for all, with nothing adaptive in it.

Source: Maia Polo, Weber, Choshen, Sun, Xu and Yurochkin, "tinyBenchmarks: evaluating LLMs with fewer examples", ICML
2024, arXiv 2402.14992, section 3.2, clustering by correctness. `gp_irt` is its item response theory.

Changed: the source clusters once, from one start. Here there are a few clusterings, and each run takes one of them, so
that runs tell how much hangs on the start. Without a history the queries are random, all of one weight.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array, lax

from gembench.clustering import WHOLE, Anchors, choose_anchors, cluster, spread_out
from gembench.errors import PolicySettingError
from gembench.lanes import take
from gembench.past_answers import fill_unknown
from gembench.policy import Problem, Sampling, Stage, Step
from gembench.prng import make_key
from gembench.query_policy import Background, QueryAsk, Seen


@dataclass(frozen=True)
class AnchorPoints:
    """Anchor points by correctness.

    Attributes:
        num_clusterings: from how many starts the queries are clustered.

    Raises:
        PolicySettingError: there is no clustering.
    """

    num_clusterings: int = 4

    sampling: ClassVar[Sampling] = "shared"

    def __post_init__(self) -> None:
        if self.num_clusterings < 1:
            raise PolicySettingError(f"num_clusterings must be at least 1, got {self.num_clusterings}.")

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """All anchors at once."""
        return (Stage(problem.num_models, _num_anchors(problem), in_step=True),)

    def study(self, problem: Problem, background: Background) -> Anchors:
        """The anchors of each clustering, [num_clusterings, n]; without a history, none."""
        num_anchors = _num_anchors(problem)
        if len(background.history) == 0:
            nothing = jnp.zeros((0, num_anchors), jnp.int32)
            return Anchors(nothing, nothing)
        points = fill_unknown(jnp.asarray(background.history)).T

        def find(rng_key: Array) -> Anchors:
            start_key, spare_key = jax.random.split(rng_key)
            clusters = cluster(points, spread_out(start_key, points, num_anchors))
            return choose_anchors(spare_key, points, clusters)

        anchors: Anchors = lax.map(find, jax.random.split(make_key(0), self.num_clusterings))
        return anchors

    def start(self, rng_key: Array, problem: Problem, seen: Seen) -> Anchors:
        """The run's anchors."""
        anchors: Anchors = seen.knowledge
        num_clusterings, num_anchors = anchors.points.shape
        if num_clusterings == 0:
            return Anchors(seen.order[:num_anchors], jnp.full(num_anchors, WHOLE // num_anchors, jnp.int32))
        chosen = jax.random.randint(rng_key, (), 0, num_clusterings)
        return Anchors(take(anchors.points, chosen), take(anchors.weights, chosen))

    def ask(self, rng_key: Array, step: Step, seen: Seen, memory: Anchors) -> QueryAsk:
        """The anchors, of every model."""
        del rng_key, seen
        return QueryAsk(jnp.arange(step.problem.num_models, dtype=jnp.int32), memory.points[None])

    def learn(self, step: Step, asked: QueryAsk, answers: Array, seen: Seen, memory: Anchors) -> Anchors:
        """Nothing to keep."""
        del step, asked, answers, seen
        return memory

    def recommend(self, rng_key: Array, problem: Problem, seen: Seen, memory: Anchors) -> Array:
        """The weighted numbers of right answers, in parts of `WHOLE`."""
        del rng_key, problem
        is_right = seen.answers[:, memory.points] == 1
        return jnp.where(is_right, memory.weights[None], 0).sum(axis=1, dtype=jnp.int32)

    def withdraw(self, is_out: Array, memory: Anchors) -> Anchors:
        """The others are asked all the same."""
        del is_out
        return memory


def _num_anchors(problem: Problem) -> int:
    return min(problem.budget // problem.num_models, problem.num_queries)
