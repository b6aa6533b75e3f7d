"""Accelerated sequential halving: arXiv 2601.22157. One steep cut to 100 models, then halving on a running tally."""

from fractions import Fraction
from math import ceil, floor, log2

import numpy as np
from numpy.typing import NDArray

from references.replay import Replay
from references.ties import ranked, scores


def round_sizes(num_models: int) -> list[int]:
    """How many models each round compares: M, then 100 where M is more, then halves down to 2."""
    sizes = [num_models]
    if num_models > 100:
        sizes.append(100)
    while sizes[-1] > 2:
        sizes.append(ceil(sizes[-1] / 2))
    return sizes


def run(table: Replay, budget: int, rng: np.random.Generator, *, first_share: float = 0.0) -> NDArray[np.float64]:
    """A share of the budget goes to the first cut to 100; every other round gets an equal part of what is left.

    Where no share is given, the cut weighs 0.6 times the squared number of halvings it stands for, any other round 1.
    """
    sizes = round_sizes(table.num_models)
    if first_share == 0:
        cut_weight = 0.6 * log2(table.num_models / 100) ** 2
        first_share = cut_weight / (cut_weight + len(sizes) - 1)
    survivors = list(range(table.num_models))
    reached = [0] * table.num_models
    for this_round, size in enumerate(sizes):
        means = table.means()
        survivors = ranked(survivors, [means[m] for m in survivors], rng)[:size]
        remaining = budget - len(table.history)
        if this_round == 0 and table.num_models > 100:
            round_budget = Fraction(first_share) * budget
        else:
            round_budget = Fraction(remaining, len(sizes) - this_round)
        num_queries = floor(round_budget / size)
        if num_queries == 0 and remaining >= size:
            num_queries = 1
        num_queries = min(num_queries, table.num_queries - table.pulls[survivors[0]])
        for model in survivors:
            reached[model] = this_round
            for _ in range(num_queries):
                table.answer(model)
    return scores(list(zip(reached, table.means(), strict=True)), rng)
