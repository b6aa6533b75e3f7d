"""Families: models of one tensor that are much alike, and others on the same queries, as their history.

A repository of fine-tunes is many models near one base. From any large tensor such a race can be cut: a random model
and those nearest to it by the share of answers in which they differ; the history are other models, at random.

Shapes: M models and Q queries of the tensor, K models of a family.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gembench.errors import UsageError


@dataclass(frozen=True)
class Family:
    """Where a family lies in its tensor.

    Attributes:
        models: [K] int64, the models in the race, in random order.
        history: [H] int64, other models.
        queries: [n] int64, the queries of both.
    """

    models: NDArray[np.int64]
    history: NDArray[np.int64]
    queries: NDArray[np.int64]


def make_family(
    correct: NDArray[np.uint8], seed: int, *, num_models: int, num_queries: int, num_histories: int
) -> Family:
    """Cut a family out of a complete tensor.

    Args:
        correct: [M, Q], 1 right and 0 wrong.
        seed: chooses the model in the middle, the queries and the history.
        num_models: K.
        num_queries: n, at random of the Q.
        num_histories: H, at random of the other models.

    Raises:
        UsageError: the tensor is too small.
    """
    size, available = correct.shape
    if num_models + num_histories > size or num_queries > available:
        raise UsageError(
            f"a family of {num_models} models, {num_histories} others and {num_queries} queries does not fit into "
            f"{size} models x {available} queries; ask for fewer."
        )
    rng = np.random.default_rng(seed)
    queries = rng.choice(available, num_queries, replace=False)
    answers = correct[:, queries].astype(np.float32)
    middle = answers[rng.integers(size)]
    # Of zeros and ones: x + y - 2xy. The sums are whole numbers under 2**24, and so exact.
    distance = answers.sum(axis=1) + middle.sum() - 2 * answers @ middle
    nearest = np.argsort(distance, kind="stable")
    return Family(
        models=rng.permutation(nearest[:num_models]),
        history=rng.choice(nearest[num_models:], num_histories, replace=False),
        queries=queries,
    )
