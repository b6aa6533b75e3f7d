"""One turn of one run: the policy chooses, answers come, the books are settled. Simulator and live search share it.

Written for one run; the simulator batches it over runs. Shapes: M models, S models of an ask, K recommended models.
"""

from dataclasses import dataclass, fields
from typing import cast

import jax
import numpy as np
from jax import Array

from gembench.every_cell import EveryCell
from gembench.ledger import Grant, Ledger, grant, settle
from gembench.policy import Ask, Memory, Policy, Problem, ProblemOfAnyBudget, Sampling, Stage, Step
from gembench.prng import make_key
from gembench.query_policy import AnyPolicy, Background, chooses_queries, has_prior, informed
from gembench.ranking import best_first

# No asks have these numbers.
_RANKING, START = np.uint32(0xFFFFFFFF), np.uint32(0xFFFFFFFE)


@dataclass(frozen=True)
class Setting:
    """What a run depends on besides the answers, the background, the seed and the run: all static.

    Attributes:
        policy: of either level.
        problem: the race.
        sampling: how query orders are drawn.
        is_logged: whether asks are logged.
        num_histories: H, the models of the history.
    """

    policy: AnyPolicy
    problem: Problem
    sampling: Sampling
    is_logged: bool = False
    num_histories: int = 0

    @property
    def seen_problem(self) -> Problem:
        """The problem as the policy sees it but in `plan`."""
        problem = self.problem
        if not any(stage.until_spent for stage in self.policy.plan(problem)):
            return problem
        known = {each.name: getattr(problem, each.name) for each in fields(problem) if each.name != "budget"}
        return ProblemOfAnyBudget(**known, policy_name=type(self.policy).__name__)


def make_setting(
    policy: AnyPolicy,
    problem: Problem,
    sampling: Sampling | None = None,
    is_logged: bool = False,
    background: Background | None = None,
) -> Setting:
    """The setting of a policy on a problem. A budget that pays for every cell buys every cell, whatever the policy."""
    num_histories = 0 if background is None else len(background.history)
    if problem.budget == problem.num_models * problem.num_queries:
        policy, sampling = EveryCell(), EveryCell.sampling
    elif background is not None:
        policy = informed(policy, has_history=num_histories > 0, has_prior=has_prior(background))
    if chooses_queries(policy):
        sampling = policy.sampling  # The order is what such a policy makes of it.
    else:
        num_histories = 0
    return Setting(policy, problem, sampling or policy.sampling, is_logged, num_histories)


def run_key(seed_words: Array, run: Array) -> Array:
    """The policy's randomness in a run: `seed_words` are the low and the high word of the seed, uint32 [2]."""
    return jax.random.fold_in(jax.random.fold_in(make_key(seed_words[0]), seed_words[1]), run)


def ask_key(rng_key: Array, num_asks: Array | np.uint32) -> Array:
    """The policy's randomness in an ask: `num_asks` int32 asks came before it in the run."""
    return jax.random.fold_in(rng_key, num_asks)


def choose(
    setting: Setting, index: int, repeat: Array, budget: Array, rng_key: Array, ledger: Ledger, memory: Memory
) -> tuple[Ask, Grant]:
    """What the policy asks in stage `index`, and what it is given; `rng_key` is the ask's."""
    step = Step(setting.seen_problem, index, repeat, budget - ledger.spent)
    asked = _policy(setting).ask(rng_key, step, ledger.tally, memory)
    return asked, grant(ledger, asked, setting.problem)


def absorb(
    setting: Setting,
    index: int,
    stage: Stage,
    repeat: Array,
    budget: Array,
    asked: Ask,
    granted: Grant,
    num_correct: Array,
    ledger: Ledger,
    memory: Memory,
) -> tuple[Ledger, Memory]:
    """The books, and what the policy remembers, after `num_correct` [S] int32 of the answers were right."""
    ledger = settle(ledger, asked, granted, num_correct, budget, stage)
    step = Step(setting.seen_problem, index, repeat, budget - ledger.spent)
    answered = Ask(asked.models, granted.num_queries)
    return ledger, _policy(setting).learn(step, answered, num_correct, ledger.tally, memory)


def ranking(setting: Setting, rng_key: Array, ledger: Ledger, memory: Memory, *, num_recommended: int) -> Array:
    """The first models of a run's ranking, best first, [K] int32; `rng_key` is the run's."""
    score_key, tie_key = ranking_keys(rng_key)
    scores = _policy(setting).recommend(score_key, setting.seen_problem, ledger.tally, memory)
    return best_first(tie_key, scores, num_recommended)


def ranking_keys(rng_key: Array) -> tuple[Array, Array]:
    """The policy's randomness in a run's ranking, and that of its ties."""
    score_key, tie_key = jax.random.split(ask_key(rng_key, _RANKING))
    return score_key, tie_key


def _policy(setting: Setting) -> Policy:
    return cast("Policy", setting.policy)
