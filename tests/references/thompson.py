"""Thompson sampling: Thompson, "On the Likelihood that One Unknown Probability Exceeds Another", 1933."""

import numpy as np
from numpy.typing import NDArray

from references.replay import Replay
from references.ties import scores


def sampled_best(table: Replay, askable: list[int], rng: np.random.Generator) -> int:
    """The askable model that a draw from the Beta(1 + right, 1 + wrong) posteriors puts first."""
    right = np.array([table.num_correct[m] for m in askable])
    wrong = np.array([table.pulls[m] for m in askable]) - right
    return askable[int(np.argmax(rng.beta(1 + right, 1 + wrong)))]


def run(table: Replay, budget: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Each pull goes to the best of a draw from the posterior; the highest posterior mean wins."""
    for _ in range(budget):
        askable = table.unexhausted()
        if not askable:
            break
        table.answer(sampled_best(table, askable, rng))
    return scores([table.posterior_mean(m) for m in range(table.num_models)], rng)
