r"""CODA: a belief about each model's accuracy on every kind of query, and the query that tells most about who is best.

Each model has a Beta belief about its accuracy on each of C kinds of queries. Their mean, weighted by how many queries
are of a kind, is its accuracy; matched by a Beta distribution of equal mean and variance, it gives the probability that
the model is the best. The next query is of the kind whose answers are expected to lower the entropy of that most, and
the model with the highest probability is recommended.

Source: Kay, Van Horn, Maji, Sheldon and Beery, "Consensus-Driven Active Model Selection", ICCV 2025, arXiv 2507.23771,
section 3, and their program (`use_beta_approx`).

The price is labels: a labelled query shows at once which models answer it right. So every ask gives one query to all
models, and the budget of B pulls pays for B // M labels; what remains of it is not spent.

Changed: the source has the predicted classes of all models beforehand. Its belief is a confusion matrix a model, begun
from the consensus of the predictions; a query's latent class is guessed from it, and each possible class says which
models would be right. Here only right or wrong is ever known. So the row of the matrix that belongs to a true class
becomes the accuracy on a kind of query; the kind, how hard a query is, is known from the history, in classes of equal
size, and its share of right answers there is the consensus from which the belief begins. As no class would say who is
right, the expectation is over answers drawn from the belief; for speed over the likeliest contenders alone. Answers
count in full, where the source, whose beliefs start from thousands of predictions, adds .01 for each. Without a history
there is one kind of query, and all are equal: they come in random order.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from gembench.best_probability import entropy, log_best_probability
from gembench.errors import PolicySettingError
from gembench.lanes import put, take
from gembench.past_answers import share_right
from gembench.policy import Problem, Sampling, Stage, Step
from gembench.query_policy import Background, QueryAsk, Seen, first_unseen
from gembench.ranking import best_model

_ALWAYS_WRONG = 1e3
_NUM_POINTS = 64


class Kinds(NamedTuple):
    """The queries, sorted by how hard they are.

    Attributes:
        kind_of: [Q] int32, 0 for the hardest.
        share: [C] float32, how many of the queries are of each kind.
        consensus: [C] float32, how often the history is right on them.
    """

    kind_of: Array
    share: Array
    consensus: Array


class Counts(NamedTuple):
    """What a run has found out.

    Attributes:
        is_labelled: [Q] bool.
        right: [C, M] float32, right answers by kind.
        wrong: [C, M] float32.
    """

    is_labelled: Array
    right: Array
    wrong: Array


@dataclass(frozen=True)
class CODA:
    """CODA on right and wrong answers.

    Attributes:
        num_kinds: C.
        prior_strength: how many answers to a kind of query the consensus of the history counts for.
        num_outcomes: how many draws of the answers to a query the expectation is over; even.
        num_contenders: over how many models, those of the highest mean, the entropy is taken.

    Raises:
        PolicySettingError: a hyper-parameter is out of range.
    """

    num_kinds: int = 4
    prior_strength: float = 2.0
    num_outcomes: int = 4
    num_contenders: int = 32

    sampling: ClassVar[Sampling] = "shared"

    def __post_init__(self) -> None:
        if self.num_kinds < 1:
            raise PolicySettingError(f"num_kinds must be at least 1, got {self.num_kinds}.")
        if not self.prior_strength > 0:
            raise PolicySettingError(f"prior_strength must be positive, got {self.prior_strength}.")
        if self.num_outcomes < 2 or self.num_outcomes % 2:
            raise PolicySettingError(f"num_outcomes must be even and at least 2, got {self.num_outcomes}.")
        if self.num_contenders < 2:
            raise PolicySettingError(f"num_contenders must be at least 2, got {self.num_contenders}.")

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """Label by label."""
        num_labels = problem.budget // problem.num_models
        return (Stage(problem.num_models, 1, num_labels, in_step=True, until_spent=True),)

    def study(self, problem: Problem, background: Background) -> Kinds:
        """The kinds; without a history, one."""
        num_queries = problem.num_queries
        num_kinds = min(self.num_kinds, num_queries) if len(background.history) else 1
        ease = share_right(jnp.asarray(background.history))
        place = jnp.argsort(jnp.argsort(ease)).astype(jnp.int32)
        kind_of = place * num_kinds // num_queries
        size = jax.ops.segment_sum(jnp.ones_like(ease), kind_of, num_kinds)
        return Kinds(kind_of, size / num_queries, jax.ops.segment_sum(ease, kind_of, num_kinds) / size)

    def start(self, rng_key: Array, problem: Problem, seen: Seen) -> Counts:
        """Nothing is labelled."""
        del rng_key
        nothing = jnp.zeros((len(seen.knowledge.share), problem.num_models), jnp.float32)
        return Counts(jnp.zeros(problem.num_queries, bool), nothing, nothing)

    def ask(self, rng_key: Array, step: Step, seen: Seen, memory: Counts) -> QueryAsk:
        """A query of the kind that tells most, at random, of every model."""
        everyone = jnp.arange(step.problem.num_models, dtype=jnp.int32)
        kinds: Kinds = seen.knowledge
        if len(kinds.share) == 1:
            return QueryAsk(everyone, first_unseen(seen.order, memory.is_labelled, 1)[None])
        draw_key, tie_key = jax.random.split(rng_key)
        right, wrong = self._belief(kinds, memory)
        mean, _ = overall(kinds.share, right, wrong)
        contenders = lax.top_k(mean, min(self.num_contenders, mean.size))[1]
        uniforms = jax.random.uniform(draw_key, (self.num_outcomes // 2, contenders.size))
        gain = information_gain(kinds.share, right[:, contenders], wrong[:, contenders], uniforms)
        num_left = jax.ops.segment_sum(1 - memory.is_labelled.astype(jnp.int32), kinds.kind_of, len(kinds.share))
        kind = best_model(tie_key, jnp.where(num_left > 0, gain, -jnp.inf))
        is_unwanted = memory.is_labelled | (kinds.kind_of != kind)
        return QueryAsk(everyone, first_unseen(seen.order, is_unwanted, 1)[None])

    def learn(self, step: Step, asked: QueryAsk, answers: Array, seen: Seen, memory: Counts) -> Counts:
        """One more answer of every model."""
        del step
        query = asked.queries[0, 0]
        kind = take(seen.knowledge.kind_of, query)
        return Counts(
            put(memory.is_labelled, query, jnp.asarray(True)),
            memory.right.at[kind].add((answers[:, 0] == 1).astype(jnp.float32)),
            memory.wrong.at[kind].add((answers[:, 0] == 0).astype(jnp.float32)),
        )

    def recommend(self, rng_key: Array, problem: Problem, seen: Seen, memory: Counts) -> Array:
        """The logarithms of the probabilities to be the best."""
        del rng_key, problem
        return log_best_probability(*overall(seen.knowledge.share, *self._belief(seen.knowledge, memory)))

    def withdraw(self, is_out: Array, memory: Counts) -> Counts:
        """As if they had always been wrong."""
        return memory._replace(
            right=jnp.where(is_out[None], 0, memory.right), wrong=jnp.where(is_out[None], _ALWAYS_WRONG, memory.wrong)
        )

    def _belief(self, kinds: Kinds, memory: Counts) -> tuple[Array, Array]:
        """The parameters of the Beta beliefs, [C, M] each."""
        consensus = kinds.consensus[:, None]
        return memory.right + self.prior_strength * consensus, memory.wrong + self.prior_strength * (1 - consensus)


def overall(share: Array, right: Array, wrong: Array) -> tuple[Array, Array]:
    """Mean and variance [..., M] of the accuracy, from Beta parameters [..., C, M] on kinds of these shares [C]."""
    total = right + wrong
    mean = right / total
    variance = mean * (1 - mean) / (total + 1)
    weight = jnp.expand_dims(share[:, None], tuple(range(mean.ndim - 2)))
    return (weight * mean).sum(axis=-2), (weight**2 * variance).sum(axis=-2)


def information_gain(share: Array, right: Array, wrong: Array, uniforms: Array) -> Array:
    """By how many nats answers to a query of each kind are expected to lower the entropy of who is best: [C] float32.

    Args:
        share: [C] float32.
        right: [C, M] float32, Beta parameters.
        wrong: [C, M] float32.
        uniforms: [T, M] float32 in [0, 1): a model is right where its mean exceeds it, and once more where it exceeds
            one minus it.
    """
    now = entropy(log_best_probability(*overall(share, right, wrong), _NUM_POINTS))
    draws = jnp.concatenate([uniforms, 1 - uniforms])

    def after(kind: Array) -> Array:
        is_right = (draws < (right[kind] / (right[kind] + wrong[kind]))[None]).astype(jnp.float32)
        new_right = jnp.broadcast_to(right, (len(draws), *right.shape)).at[:, kind].add(is_right)
        new_wrong = jnp.broadcast_to(wrong, (len(draws), *wrong.shape)).at[:, kind].add(1 - is_right)
        return entropy(log_best_probability(*overall(share, new_right, new_wrong), _NUM_POINTS)).mean()

    gain: Array = now - jax.vmap(after)(jnp.arange(len(share)))
    return gain
