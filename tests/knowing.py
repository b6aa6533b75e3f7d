"""Policies for tests that use what is known before a race, and a race on which what they find can be told by hand."""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from gembench.policies.uniform import Uniform
from gembench.policy import Stage
from gembench.query_policy import QueryAsk


@dataclass(frozen=True)
class AskWhereOthersWereRight:
    """Asks every model the one query that most of the history has right, and recommends by answer plus prior."""

    sampling: ClassVar[str] = "shared"

    def plan(self, problem):
        return (Stage(problem.num_models, 1, in_step=True),)

    def study(self, problem, background):
        num_right = (jnp.asarray(background.history) == 1).sum(axis=0, dtype=jnp.int32)
        return jnp.argmax(num_right).astype(jnp.int32), jnp.nan_to_num(background.prior)

    def start(self, rng_key, problem, seen):
        return ()

    def ask(self, rng_key, step, seen, memory):
        return QueryAsk(jnp.arange(step.problem.num_models, dtype=jnp.int32), seen.knowledge[0][None, None])

    def learn(self, step, asked, answers, seen, memory):
        return memory

    def recommend(self, rng_key, problem, seen, memory):
        return seen.tally.correct.astype(jnp.float32) + seen.knowledge[1]

    def withdraw(self, is_out, memory):
        return memory


@dataclass(frozen=True)
class WarmsUp(Uniform):
    """Uniform, and `AskWhereOthersWereRight` where there is a history."""

    @property
    def warm(self):
        return AskWhereOthersWereRight()


@dataclass(frozen=True)
class IsPrimed(Uniform):
    """Uniform, and another where there is a prior or a history, as gem has it."""

    @property
    def warm(self):
        return Uniform()

    @property
    def primed(self):
        return AskWhereOthersWereRight()


MODELS = [f"org/model-{model}" for model in range(6)]
QUERIES = [f"task/{query}" for query in range(20)]
CORRECT = (np.arange(20) < 3 * np.arange(6)[:, None]).astype(np.int8)
"""Model m has the first 3m queries right; so the ranks are 6 to 1..."""
CORRECT[:, 19] = np.arange(6) == 2
"""...and only model 2, whose rank is 4, has the last one right."""

HISTORY_QUERIES = ["task/elsewhere", *QUERIES[::-1]]
HISTORY = np.zeros((3, 21), np.int8)
"""Three models, all right on the race's last query and nothing else but the last one, and on one more each."""
HISTORY[:, 1] = 1
HISTORY[[0, 1, 2], [5, 6, 7]] = 1
