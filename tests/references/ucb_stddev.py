"""UCB whose width follows each model's own standard deviation, smoothed by the rule of succession."""

import math

import numpy as np
from numpy.typing import NDArray

from references.replay import Replay
from references.ties import best_of, scores


def run(table: Replay, budget: int, rng: np.random.Generator, *, exploration: float = 0.5) -> NDArray[np.float64]:
    """Every model once, then the highest mean + sqrt(exploration p (1 - p) ln t / n), p = (right + 1) / (n + 2)."""
    for model in range(table.num_models):
        table.answer(model)
    for t in range(table.num_models, budget):
        askable = table.unexhausted()
        if not askable:
            break
        bounds = []
        for model in askable:
            p = (table.num_correct[model] + 1) / (table.pulls[model] + 2)
            width = math.sqrt(exploration * p * (1 - p) * math.log(t) / table.pulls[model])
            bounds.append(table.mean(model) + width)
        table.answer(best_of(askable, bounds, rng))
    return scores(table.means(), rng)
