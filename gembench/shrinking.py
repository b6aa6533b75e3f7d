"""How many models are left after how many queries: a race of many small cuts.

After t queries each, M / (1 + t / t0) models are left. At the start nothing is known and few leave; later every
doubling of the queries halves the models, so that each costs about as much as the one before it.
"""

import math
from functools import lru_cache

from gembench.elimination import Round
from gembench.policy import Problem


@lru_cache
def shrinking_rounds(problem: Problem, keep: float, steepness: float) -> tuple[Round, ...]:
    """The rounds with the t0 that spends the budget.

    Args:
        problem: the race.
        keep: a round ends when no more than this share of its models should be left, in (0, 1); at least one leaves,
            and two play the last round.
        steepness: M / (1 + t / t0) ** steepness models are left; 1 is described above.
    """
    slowest, fastest = 1e-3, float(problem.num_models * problem.num_queries)
    for _ in range(50):
        middle = math.sqrt(slowest * fastest)
        pulls = sum(each.num_models * each.num_queries for each in _rounds(problem, keep, steepness, middle))
        slowest, fastest = (slowest, middle) if pulls > problem.budget else (middle, fastest)
    return _affordable(problem, _rounds(problem, keep, steepness, slowest))


def _rounds(problem: Problem, keep: float, steepness: float, scale: float) -> list[Round]:
    rounds: list[Round] = []
    num_models, num_asked = problem.num_models, 0
    while True:
        share = num_models * keep / problem.num_models
        until = max(num_asked + 1, math.ceil(scale * (share ** (-1 / steepness) - 1)))
        until = min(until, problem.num_queries)
        rounds.append(Round(num_models, until - num_asked))
        if num_models <= 2 or until == problem.num_queries:
            return rounds
        left = round(problem.num_models * (1 + until / scale) ** -steepness)
        num_models, num_asked = max(2, min(num_models - 1, left)), until


def _affordable(problem: Problem, wanted: list[Round]) -> tuple[Round, ...]:
    """What the budget pays for; the last round takes all that is left of it."""
    rounds: list[Round] = []
    pulls_left, unseen = problem.budget, problem.num_queries
    for place, (num_models, num_queries) in enumerate(wanted):
        affordable = min(pulls_left // num_models, unseen)
        num_queries = affordable if place == len(wanted) - 1 else min(num_queries, affordable)
        pulls_left -= num_queries * num_models
        unseen -= num_queries
        rounds.append(Round(num_models, num_queries))
    return tuple(rounds)
