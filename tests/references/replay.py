"""What a slow twin plays on: a table of answers that hands out one at a time and refuses to be cheated."""

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray


class Replay:
    """The answers of M models to Q queries, given one by one, each query once, up to a budget.

    Attributes:
        history: the models in the order in which they were asked, one entry a pull.
        pulls: [M], answers given so far by each model.
        num_correct: [M], how many of them were right.
    """

    def __init__(
        self,
        correct: NDArray[np.bool_],
        sampling: Literal["shared", "independent"],
        rng: np.random.Generator,
        budget: int,
    ) -> None:
        """Draw the query order: one for all models when `shared`, one for each when `independent`."""
        if sampling == "shared":
            ordered = rng.permutation(correct, axis=1)
        elif sampling == "independent":
            ordered = rng.permuted(correct, axis=1)
        else:
            raise ValueError(f"sampling is shared or independent, got {sampling!r}.")
        self._begin(ordered.tolist(), budget)

    @classmethod
    def in_order(cls, answers: list[list[int]], budget: int) -> Self:
        """A replay that gives each model's answers in the order written, for computations by hand."""
        replay = cls.__new__(cls)
        replay._begin([[bool(answer) for answer in row] for row in answers], budget)
        return replay

    def _begin(self, answers: list[list[bool]], budget: int) -> None:
        self._answers = answers
        self._budget = budget
        self.num_models = len(answers)
        self.num_queries = len(answers[0])
        self.history: list[int] = []
        self.pulls = [0] * self.num_models
        self.num_correct = [0] * self.num_models

    def answer(self, model: int) -> bool:
        """Whether the model gets its next unseen query right."""
        if len(self.history) == self._budget:
            raise RuntimeError(f"the budget of {self._budget} pulls is spent.")
        position = self.pulls[model]
        if position == self.num_queries:
            raise RuntimeError(f"model {model} has answered all {self.num_queries} queries.")
        right = self._answers[model][position]
        self.history.append(model)
        self.pulls[model] += 1
        self.num_correct[model] += right
        return right

    def mean(self, model: int) -> float:
        """The model's share of right answers so far."""
        return self.num_correct[model] / self.pulls[model]

    def means(self) -> list[float]:
        """[M], every model's mean; a model that never answered comes last."""
        return [self.mean(m) if self.pulls[m] else -np.inf for m in range(self.num_models)]

    def posterior_mean(self, model: int, prior_correct: float = 1.0, prior_wrong: float = 1.0) -> float:
        """The mean of the model's Beta posterior."""
        return (self.num_correct[model] + prior_correct) / (self.pulls[model] + prior_correct + prior_wrong)

    def unexhausted(self) -> list[int]:
        """The models that have queries left."""
        return [m for m in range(self.num_models) if self.pulls[m] < self.num_queries]

    def num_loads(self) -> int:
        """How often a model other than the one before it was asked."""
        changes = sum(now != before for before, now in zip(self.history, self.history[1:], strict=False))
        return changes + (len(self.history) > 0)
