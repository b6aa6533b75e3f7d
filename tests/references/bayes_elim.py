"""Bayesian elimination with Beta priors: Atsidakou et al., "Bayesian Fixed-Budget Best-Arm Identification", 2022."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from references.replay import Replay
from references.sequential_halving import num_halvings
from references.ties import ranked, scores


def run(
    table: Replay,
    budget: int,
    rng: np.random.Generator,
    *,
    prior_correct: float = 1.0,
    prior_wrong: float = 1.0,
) -> NDArray[np.float64]:
    """The rounds of sequential halving, but the half with the better posterior mean over all answers survives."""

    def posterior_mean(model: int) -> float:
        return table.posterior_mean(model, prior_correct, prior_wrong)

    survivors = list(range(table.num_models))
    rounds = num_halvings(table.num_models)
    reached = [0] * table.num_models
    for this_round in range(rounds):
        num_fresh = budget // (len(survivors) * rounds)
        num_fresh = min(num_fresh, table.num_queries - table.pulls[survivors[0]])
        for model in survivors:
            for _ in range(num_fresh):
                table.answer(model)
        survivors = ranked(survivors, [posterior_mean(m) for m in survivors], rng)[: ceil(len(survivors) / 2)]
        for model in survivors:
            reached[model] = this_round + 1
    return scores([(reached[m], posterior_mean(m)) for m in range(table.num_models)], rng)
