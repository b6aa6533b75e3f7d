"""Uniform allocation: every model answers as many queries as every other, but for what does not divide evenly."""

import numpy as np
from numpy.typing import NDArray

from references.replay import Replay
from references.ties import scores


def run(table: Replay, budget: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """B // M queries each, the B mod M left over to distinct models drawn at random; the highest mean wins."""
    each, left_over = divmod(budget, table.num_models)
    lucky = rng.permutation(table.num_models)[:left_over].tolist()
    for model in range(table.num_models):
        wanted = each + (model in lucky)
        for _ in range(min(wanted, table.num_queries)):
            table.answer(model)
    return scores(table.means(), rng)
