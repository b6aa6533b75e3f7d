"""UCB-E: Audibert, Bubeck and Munos, "Best Arm Identification in Multi-Armed Bandits", COLT 2010, figure 1."""

import math

import numpy as np
from numpy.typing import NDArray

from references.replay import Replay
from references.ties import best_of, scores


def run(table: Replay, budget: int, rng: np.random.Generator, *, exploration: float = 1.0) -> NDArray[np.float64]:
    """Always the highest mean + sqrt(exploration / n), which is infinite for a model that never answered."""
    for model in range(table.num_models):
        table.answer(model)
    for _ in range(table.num_models, budget):
        askable = table.unexhausted()
        if not askable:
            break
        bounds = [table.mean(m) + math.sqrt(exploration / table.pulls[m]) for m in askable]
        table.answer(best_of(askable, bounds, rng))
    return scores(table.means(), rng)
