r"""gp-IRT: anchor points by item response theory, and an estimate that mixes their weighted mean with the theory's.

In a history, the log-odds that model h answers query q right are taken as $a_q \cdot \theta_h - b_q$. Queries of like
discrimination a and difficulty b are clustered (k-means); each cluster's query nearest to its center is its anchor, and
weighs as much as the cluster is large. Every model answers the anchors, and its ability $\theta$ is fitted to that.
Ranked is by gp-IRT, the mean of two estimates of the accuracy: the weighted share of right anchors, with weight
$\lambda$, and p-IRT, which is what the model answered, and the expectation under the theory for what it did not.
$\lambda = e^2 / (e^2 + v / 4n)$, with e the error of the theory and v the variance of answers, both in the history.

Source: Maia Polo, Weber, Choshen, Sun, Xu and Yurochkin, "tinyBenchmarks: evaluating LLMs with fewer examples", ICML
2024, arXiv 2402.14992, sections 3.2 to 4.2, and their program (for lambda).

Changed: where the source infers the parameters by variation under hierarchical priors and chooses the dimension by
validation, here are posterior modes under normal priors, and the dimension is a setting; abilities have the prior too,
so that a model with all anchors right has a finite one. The error e is on the half of the queries that abilities were
not fitted to, but models of the history that parameters were fitted to. There are a few clusterings, as in
`anchor_points`. Without a history the queries are random, and their plain mean decides.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from gembench.clustering import WHOLE, Anchors, choose_anchors, cluster, spread_out
from gembench.errors import PolicySettingError
from gembench.item_response import Items, ability_step, fit_abilities, fit_items, log_odds
from gembench.lanes import put, take
from gembench.policy import Problem, Sampling, Stage, Step
from gembench.prng import make_key
from gembench.query_policy import UNSEEN, Background, QueryAsk, Seen

_TURNS = 15
_STEPS = 50
_RESOLUTION = 2**17


class Test(NamedTuple):
    """What every model is asked.

    Attributes:
        anchors: [n].
        step_size: [D, D], for the fit of abilities to them.
    """

    anchors: Anchors
    step_size: Array


class Theory(NamedTuple):
    """What the history taught.

    Attributes:
        items: all queries; without a history, of no ease.
        tests: of each clustering, [num_clusterings, ...]; without a history, none.
        trust: float32, lambda: how much the weighted mean counts.
    """

    items: Items
    tests: Test
    trust: Array


@dataclass(frozen=True)
class GPIRT:
    """gp-IRT.

    Attributes:
        dimension: D, of the abilities.
        num_clusterings: from how many starts the queries are clustered; a run takes one.

    Raises:
        PolicySettingError: a hyper-parameter is out of range.
    """

    dimension: int = 5
    num_clusterings: int = 4

    sampling: ClassVar[Sampling] = "shared"

    def __post_init__(self) -> None:
        if self.dimension < 1:
            raise PolicySettingError(f"dimension must be at least 1, got {self.dimension}.")
        if self.num_clusterings < 1:
            raise PolicySettingError(f"num_clusterings must be at least 1, got {self.num_clusterings}.")

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """All anchors at once."""
        return (Stage(problem.num_models, _num_anchors(problem), in_step=True),)

    def study(self, problem: Problem, background: Background) -> Theory:
        """Items, anchors and lambda."""
        num_anchors, history = _num_anchors(problem), jnp.asarray(background.history)
        if len(history) == 0:
            items = Items(jnp.zeros((problem.num_queries, self.dimension)), jnp.zeros(problem.num_queries))
            nothing = jnp.zeros((0, num_anchors), jnp.int32)
            no_step = jnp.zeros((0, self.dimension, self.dimension))
            return Theory(items, Test(Anchors(nothing, nothing), no_step), jnp.float32(1))
        ability_key, rng_key = jax.random.split(make_key(0))
        abilities = jax.random.normal(ability_key, (len(history), self.dimension))
        items = fit_items(history, abilities, _TURNS)
        points = jnp.concatenate([items.discrimination, items.ease[:, None]], axis=1)

        def find(rng_key: Array) -> Test:
            start_key, spare_key = jax.random.split(rng_key)
            anchors = choose_anchors(spare_key, points, cluster(points, spread_out(start_key, points, num_anchors)))
            return Test(anchors, ability_step(_among(items, anchors.points)))

        tests = lax.map(find, jax.random.split(rng_key, self.num_clusterings))
        return Theory(items, tests, trust_in_anchors(history, items, num_anchors))

    def start(self, rng_key: Array, problem: Problem, seen: Seen) -> Test:
        """The run's test."""
        tests: Test = seen.knowledge.tests
        num_clusterings, num_anchors = tests.anchors.points.shape
        if num_clusterings == 0:
            weights = jnp.full(num_anchors, WHOLE // num_anchors, jnp.int32)
            return Test(Anchors(seen.order[:num_anchors], weights), jnp.eye(self.dimension))
        chosen = jax.random.randint(rng_key, (), 0, num_clusterings)
        test: Test = jax.tree.map(lambda each: take(each, chosen), tests)
        return test

    def ask(self, rng_key: Array, step: Step, seen: Seen, memory: Test) -> QueryAsk:
        """The anchors, of every model."""
        del rng_key, seen
        return QueryAsk(jnp.arange(step.problem.num_models, dtype=jnp.int32), memory.anchors.points[None])

    def learn(self, step: Step, asked: QueryAsk, answers: Array, seen: Seen, memory: Test) -> Test:
        """Nothing to keep."""
        del step, asked, answers, seen
        return memory

    def recommend(self, rng_key: Array, problem: Problem, seen: Seen, memory: Test) -> Array:
        """The estimates of the accuracy, gp-IRT, rounded so that equals stay equal."""
        del rng_key
        theory: Theory = seen.knowledge
        points, weights = memory.anchors
        answers = seen.answers[:, points]
        weighted = jnp.where(answers == 1, weights[None], 0).sum(axis=1, dtype=jnp.int32).astype(jnp.float32) / WHOLE
        start = jnp.zeros((problem.num_models, self.dimension))
        abilities = fit_abilities(answers, _among(theory.items, points), memory.step_size, start, _STEPS)
        is_anchor = put(jnp.zeros(problem.num_queries, bool), points, jnp.ones_like(points, bool))
        expected = jnp.where(is_anchor[None], 0, jax.nn.sigmoid(log_odds(abilities, theory.items))).sum(axis=1)
        by_theory = (seen.tally.correct.astype(jnp.float32) + expected) / problem.num_queries
        estimate = theory.trust * weighted + (1 - theory.trust) * by_theory
        return jnp.round(_RESOLUTION * estimate).astype(jnp.int32)

    def withdraw(self, is_out: Array, memory: Test) -> Test:
        """The others are asked all the same."""
        del is_out
        return memory


def trust_in_anchors(history: Array, items: Items, num_anchors: int) -> Array:
    """Lambda, float32, from a `history` [H, Q] int8 and its items."""
    is_known = history != UNSEEN
    num_known = jnp.maximum(is_known.sum(axis=1), 1).astype(jnp.float32)
    accuracy = (history == 1).sum(axis=1).astype(jnp.float32) / num_known
    variance = (accuracy * (1 - accuracy)).mean()
    half = _among(items, jnp.arange(0, history.shape[1], 2))
    start = jnp.zeros((len(history), items.discrimination.shape[1]))
    abilities = fit_abilities(history[:, ::2], half, ability_step(half), start, _STEPS)
    expected = jnp.where(is_known, jax.nn.sigmoid(log_odds(abilities, items)), 0).sum(axis=1) / num_known
    error = jnp.abs(expected - accuracy).mean()
    return error**2 / (error**2 + variance / (4 * num_anchors))


def _among(items: Items, queries: Array) -> Items:
    return Items(take(items.discrimination, queries), take(items.ease, queries))


def _num_anchors(problem: Problem) -> int:
    return min(problem.budget // problem.num_models, problem.num_queries)
