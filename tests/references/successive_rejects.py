"""Successive Rejects: Audibert, Bubeck and Munos, "Best Arm Identification in Multi-Armed Bandits", figure 2."""

from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import NDArray

from references.replay import Replay
from references.ties import ranked, scores


def run(table: Replay, budget: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """In round k each survivor is brought to n_k pulls, then the lowest mean goes; who goes later is better."""
    num_models = table.num_models
    log_bar = Fraction(1, 2) + sum(Fraction(1, i) for i in range(2, num_models + 1))
    survivors = list(range(num_models))
    round_dismissed = [num_models] * num_models
    for k in range(1, num_models):
        n_k = ceil((budget - num_models) / (log_bar * (num_models + 1 - k)))
        for model in survivors:
            while table.pulls[model] < min(n_k, table.num_queries):
                table.answer(model)
        means = table.means()
        worst = ranked(survivors, [means[m] for m in survivors], rng)[-1]
        survivors.remove(worst)
        round_dismissed[worst] = k
    return scores(round_dismissed, rng)
