"""UCB1: Auer, Cesa-Bianchi and Fischer, "Finite-time Analysis of the Multiarmed Bandit Problem", 2002, figure 1."""

import math

import numpy as np
from numpy.typing import NDArray

from references.replay import Replay
from references.ties import best_of, scores


def run(table: Replay, budget: int, rng: np.random.Generator, *, exploration: float = 0.25) -> NDArray[np.float64]:
    """Every model once, then always the highest mean + sqrt(exploration ln t / n), t the pulls made so far."""
    for model in range(table.num_models):
        table.answer(model)
    for t in range(table.num_models, budget):
        askable = table.unexhausted()
        if not askable:
            break
        bounds = [table.mean(m) + math.sqrt(exploration * math.log(t) / table.pulls[m]) for m in askable]
        table.answer(best_of(askable, bounds, rng))
    return scores(table.means(), rng)
