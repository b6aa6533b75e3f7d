"""Choices among equals: every tie is broken uniformly at random."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def best_of(models: Sequence[int], values: Sequence[float], rng: np.random.Generator) -> int:
    """One of the models with the highest value."""
    highest = max(values)
    tied = [model for model, value in zip(models, values, strict=True) if value == highest]
    return tied[0] if len(tied) == 1 else tied[rng.integers(len(tied))]


def ranked(models: Sequence[int], keys: Sequence[Any], rng: np.random.Generator) -> list[int]:
    """The models by falling key, equals in random order."""
    shuffled = rng.permutation(len(models)).tolist()
    shuffled.sort(key=lambda position: keys[position], reverse=True)
    return [models[position] for position in shuffled]


def scores(keys: Sequence[Any], rng: np.random.Generator) -> NDArray[np.float64]:
    """[M] distinct scores that rank the models by falling key, equals in random order."""
    score = np.empty(len(keys))
    for place, model in enumerate(ranked(range(len(keys)), keys, rng)):
        score[model] = len(keys) - place
    return score
