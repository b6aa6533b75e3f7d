"""Top-two Thompson sampling: Russo, "Simple Bayesian Algorithms for Best-Arm Identification", COLT 2016."""

import numpy as np
from numpy.typing import NDArray

from references.replay import Replay
from references.thompson import sampled_best
from references.ties import scores


def run(
    table: Replay, budget: int, rng: np.random.Generator, *, leader_probability: float = 0.5
) -> NDArray[np.float64]:
    """The leader of a posterior draw, or, with 1 - leader_probability, the first other model that a draw puts first."""
    for _ in range(budget):
        askable = table.unexhausted()
        if not askable:
            break
        chosen = leader = sampled_best(table, askable, rng)
        if rng.random() >= leader_probability and len(askable) > 1:
            while chosen == leader:
                chosen = sampled_best(table, askable, rng)
        table.answer(chosen)
    return scores([table.posterior_mean(m) for m in range(table.num_models)], rng)
