r"""Model Selector: a belief about which model is best, and the query whose answers will sharpen it most.

The best model errs with a chance of $\epsilon$ on every query, so after some answers model m is the best with a
probability $p_m \propto \gamma^{\text{right answers of } m}$, $\gamma = (1 - \epsilon) / \epsilon$. The next query is
the one after which the entropy of p is expected to be lowest; the model with the highest p is recommended.

Source: Okanovic, Kirsch, Kasper, Hoefler, Krause and Gürel, "All models are wrong, some are useful: Model Selection
with Limited Labels", AISTATS 2025, arXiv 2410.13609, algorithm 1.

The price is labels: a labelled query shows at once which models answer it right. So every ask gives one query to all
models, and the budget of B pulls pays for B // M labels; what remains of it is not spent.

Changed: the source has every model's prediction beforehand and only the label is unknown. Here no prediction is known,
and nothing but right or wrong ever comes to light. For the predictions stand those of the history: for each model a
model of the history is drawn, by the same belief ($\gamma$ to the number of queries answered alike), and which of two
groups, those predicted right and those predicted wrong, a label will favour is as open as a label is to the source,
one half each. Without a history nothing predicts anything, and queries come in random order. The source tunes epsilon
on labels guessed from the predictions; here it is a setting, by default the value of the source's program.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from gembench.errors import PolicySettingError
from gembench.lanes import put, take
from gembench.past_answers import fill_unknown
from gembench.policy import Problem, Sampling, Stage, Step
from gembench.query_policy import Background, QueryAsk, Seen, first_unseen
from gembench.ranking import best_model


class Likeness(NamedTuple):
    """What a run has found out.

    Attributes:
        is_labelled: [Q] bool.
        num_alike: [M, K] float32, on how many labelled queries each model answered as each stand-in did.
    """

    is_labelled: Array
    num_alike: Array


@dataclass(frozen=True)
class ModelSelector:
    """Model Selector.

    Attributes:
        epsilon: how often the best model is taken to err.
        num_stand_ins: K, how many models of the history are used at most: of every accuracy, evenly.

    Raises:
        PolicySettingError: a hyper-parameter is out of range.
    """

    epsilon: float = 0.46
    num_stand_ins: int = 128

    sampling: ClassVar[Sampling] = "shared"

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < 0.5:
            raise PolicySettingError(f"epsilon must be over 0 and under 0.5, got {self.epsilon}.")
        if self.num_stand_ins < 1:
            raise PolicySettingError(f"num_stand_ins must be at least 1, got {self.num_stand_ins}.")

    def plan(self, problem: Problem) -> tuple[Stage, ...]:
        """Label by label."""
        num_labels = problem.budget // problem.num_models
        return (Stage(problem.num_models, 1, num_labels, in_step=True, until_spent=True),)

    def study(self, problem: Problem, background: Background) -> Array:
        """The stand-ins' answers, [K, Q] float32, 1 right and 0 wrong."""
        del problem
        history = jnp.asarray(background.history)
        num_kept = min(len(history), self.num_stand_ins)
        answers = jnp.round(fill_unknown(history))
        by_accuracy = jnp.argsort(answers.sum(axis=1))
        return take(answers, by_accuracy[np.linspace(0, len(history) - 1, num_kept).round().astype(np.int32)])

    def start(self, rng_key: Array, problem: Problem, seen: Seen) -> Likeness:
        """Nothing is labelled."""
        del rng_key
        num_alike = jnp.zeros((problem.num_models, len(seen.knowledge)), jnp.float32)
        return Likeness(jnp.zeros(problem.num_queries, bool), num_alike)

    def ask(self, rng_key: Array, step: Step, seen: Seen, memory: Likeness) -> QueryAsk:
        """The query after which the belief is expected to be sharpest, of every model."""
        everyone = jnp.arange(step.problem.num_models, dtype=jnp.int32)
        predictions: Array = seen.knowledge
        if len(predictions) == 0:
            return QueryAsk(everyone, first_unseen(seen.order, memory.is_labelled, 1)[None])
        draw_key, tie_key = jax.random.split(rng_key)
        log_belief = jax.nn.log_softmax(self._evidence * seen.tally.correct.astype(jnp.float32))
        stand_in = jax.random.categorical(draw_key, self._evidence * memory.num_alike)
        gain = -expected_entropy(log_belief, stand_in, predictions, self._evidence)
        query = best_model(tie_key, jnp.where(memory.is_labelled, -jnp.inf, gain))
        return QueryAsk(everyone, query[None, None])

    def learn(self, step: Step, asked: QueryAsk, answers: Array, seen: Seen, memory: Likeness) -> Likeness:
        """Who answered like whom."""
        del step
        query = asked.queries[0, 0]
        is_alike = (answers == 1) == (seen.knowledge[:, query] == 1)[None]
        return Likeness(
            put(memory.is_labelled, query, jnp.asarray(True)), memory.num_alike + is_alike.astype(jnp.float32)
        )

    def recommend(self, rng_key: Array, problem: Problem, seen: Seen, memory: Likeness) -> Array:
        """The belief rises with the right answers, which are exact."""
        del rng_key, problem, memory
        return seen.tally.correct

    def withdraw(self, is_out: Array, memory: Likeness) -> Likeness:
        """The tally says it all."""
        del is_out
        return memory

    @property
    def _evidence(self) -> float:
        """The logarithm of gamma."""
        return math.log((1 - self.epsilon) / self.epsilon)


def expected_entropy(log_belief: Array, stand_in: Array, predictions: Array, evidence: float) -> Array:
    r"""The entropy, in nats, that the belief is expected to have after each query: [Q] float32.

    With $\alpha$ the belief in the models of one group, and S and T the sums of $-p \ln p$ in it and outside, the
    belief after a label in its favour has the norm $Z = 1 + (\gamma - 1) \alpha$ and the entropy
    $\ln Z + (\gamma S + T - \gamma \alpha \ln \gamma) / Z$. So two sums over models are all there is to do.

    Args:
        log_belief: [M] float32.
        stand_in: [M] int32, whose predictions a model has.
        predictions: [K, Q] float32, 1 right and 0 wrong.
        evidence: the logarithm of gamma.
    """
    gamma = math.exp(evidence)
    belief = jnp.exp(log_belief)
    sums = jnp.stack([belief, -belief * log_belief], axis=1)
    by_stand_in = jax.ops.segment_sum(sums, stand_in, len(predictions))
    of_all = sums.sum(axis=0)[:, None]
    of_right = jnp.matmul(by_stand_in.T, predictions, precision=lax.Precision.HIGHEST)

    def entropy_after(favoured: Array) -> Array:
        alpha, terms = favoured
        norm = 1 + (gamma - 1) * alpha
        rest = of_all[1] - terms
        entropy: Array = jnp.log(norm) + (gamma * terms + rest - gamma * evidence * alpha) / norm
        return entropy

    return (entropy_after(of_right) + entropy_after(of_all - of_right)) / 2
