"""Sequential Halving: Karnin, Koren and Somekh, "Almost Optimal Exploration in Multi-Armed Bandits", ICML 2013."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from references.replay import Replay
from references.ties import ranked, scores


def num_halvings(num_models: int) -> int:
    """ceil(log2 M), in whole numbers."""
    rounds = 0
    while 2**rounds < num_models:
        rounds += 1
    return rounds


def run(table: Replay, budget: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Each round asks fresh queries, and the better half by that round's answers alone survives."""
    survivors = list(range(table.num_models))
    rounds = num_halvings(table.num_models)
    reached = [0] * table.num_models
    last_score = [0.0] * table.num_models
    for this_round in range(rounds):
        num_fresh = budget // (len(survivors) * rounds)
        # All survivors have answered equally many queries, so that all or none of them are asked.
        num_fresh = min(num_fresh, table.num_queries - table.pulls[survivors[0]])
        for model in survivors:
            num_right = sum(table.answer(model) for _ in range(num_fresh))
            if num_fresh > 0:
                last_score[model] = num_right / num_fresh
        round_scores = [last_score[m] if num_fresh > 0 else 0.0 for m in survivors]
        survivors = ranked(survivors, round_scores, rng)[: ceil(len(survivors) / 2)]
        for model in survivors:
            reached[model] = this_round + 1
    return scores(list(zip(reached, last_score, strict=True)), rng)
