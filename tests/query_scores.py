"""The scores that a policy gives in the end: of many runs, as the simulator plays them, which keeps the best alone."""

import jax
import jax.numpy as jnp
import numpy as np

from gembench.policy import Problem
from gembench.program import limits_of
from gembench.query_policy import Seen
from gembench.replay import Limits, replay_stage, start_runs
from gembench.turn import make_setting


def scores_of_runs(policy, correct, background, *, budget, num_runs, seed=0):
    """[R, M] float, of answers `correct` [M, Q]."""
    problem = Problem(*correct.shape, budget)
    setting = make_setting(policy, problem, background=background)
    knowledge = jax.jit(lambda: policy.study(problem, background))()
    limits = Limits(*map(jnp.asarray, limits_of(setting)))

    def replay(run):
        words = jnp.asarray([seed, 0], jnp.uint32)
        batch, state = start_runs(setting, jnp.asarray(correct, jnp.uint8), limits, words, run, knowledge)
        for index, stage in enumerate(policy.plan(problem)):
            state = replay_stage(setting, index, stage, batch, state)

        def recommend(rng_key, tally, answers, order, memory):
            return policy.recommend(rng_key, problem, Seen(tally, answers, order, knowledge), memory)

        tally = jax.vmap(lambda ledger: ledger.tally)(state.ledger)
        return jax.vmap(recommend)(batch.rng_keys, tally, state.answers, batch.shared_order, state.memory)

    return np.asarray(jax.jit(replay)(jnp.arange(num_runs, dtype=jnp.uint32)), np.float64)
