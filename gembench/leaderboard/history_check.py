"""What a policy that can use a history is held to where there is one. The public benchmark has none."""

import numpy as np

from gembench.errors import ContractError
from gembench.leaderboard.contract_checks import NUM_RUNS, SEED, Finding
from gembench.policy import Problem
from gembench.query_policy import UNSEEN, AnyPolicy, Background
from gembench.race import Race
from gembench.simulate import simulate

KNOWN, NUM_HISTORIES = Problem(6, 12, 30), 9
_SHARE_UNKNOWN, _SHARE_RIGHT = 0.1, 0.6


def check_history(policy: AnyPolicy) -> Finding:
    """The contract is kept where others' answers are known, but for some of them."""
    draws = np.random.default_rng(SEED).random((NUM_HISTORIES + KNOWN.num_models, KNOWN.num_queries))
    answers = np.where(draws < _SHARE_UNKNOWN, UNSEEN, draws < _SHARE_RIGHT).astype(np.int8)
    history, correct = answers[:NUM_HISTORIES], answers[NUM_HISTORIES:] == 1
    race = Race(correct.astype(np.uint8), *np.zeros((2, KNOWN.num_models)))
    background = Background(history, np.full(KNOWN.num_models, np.nan, np.float32))
    try:
        simulate(policy, race, budget=KNOWN.budget, num_runs=NUM_RUNS, seed=SEED, background=background)
    except ContractError as error:
        return history_fault(str(error))
    return Finding("history", "ok", f"Budget and plan are kept where {NUM_HISTORIES} other models are known.")


def history_fault(message: str) -> Finding:
    """What is wrong where there is a history."""
    return Finding(
        "history",
        "warning",
        f"With a history of {NUM_HISTORIES} other models: {message}",
        "Until then it can be scored without one alone.",
    )
