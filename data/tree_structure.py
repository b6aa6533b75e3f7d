"""Who descends from whom in a generated tree, and how far each model went from its parent."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gembench.data.exact_draws import ExactDraws
from gembench.data.tree_figures import TreeFigures

BEST_BASE, OTHER_BASE = 0, 1
NUM_RECIPES = 10
"""Training recipes in use in a tree: fine-tunes of one recipe move the same answers the same way."""

_SHARE_OF_FINE_TUNE = 0.20
_SHARE_OF_MERGE = 0.06
_SHARE_OF_OTHER_BASE = 0.15
_OTHER_BASE_DEPTH = 0.3
"""The second base's place in the ranking, as a share of the models."""


@dataclass(frozen=True, eq=False)
class Descent:
    """A tree's K models, a parent always before its children; models 0 and 1 are the two bases.

    Attributes:
        parent: [K] the (first) parent, -1 for a base.
        second_parent: [K] the other parent of a merge, -1 for all others.
        root: [K] the base that the model descends from.
        recipe: [K] which of `NUM_RECIPES` recipes changed the model.
        place: [K] the model's place in the ranking by accuracy, 0 = best, each place once.
    """

    parent: NDArray[np.int64]
    second_parent: NDArray[np.int64]
    root: NDArray[np.int64]
    recipe: NDArray[np.int64]
    place: NDArray[np.int64]


def draw_descent(figures: TreeFigures, seed: int) -> Descent:
    """The tree: mostly children of the best base, some of the other base, of fine-tunes, and merges of two models.

    A model's quality is its parent's plus a step, whose size is heavy-tailed (most are small, a few are huge) and
    whose mean is that of its recipe, usually a loss. The order of the qualities becomes the order of the accuracies.
    """
    num_models = figures.num_models
    draws = ExactDraws(seed, f"{figures.name}/descent")
    kinds = draws.uniform(num_models)
    picks = draws.uniform(num_models, 4)
    step = draws.normal(num_models)
    sizes = draws.uniform(num_models)
    recipe = (draws.uniform(num_models) * NUM_RECIPES).astype(np.int64)
    recipe_gain = draws.normal(NUM_RECIPES) * 0.6 - 0.9
    step_size = 0.1 + 0.3 * sizes / (1.02 - sizes)

    parent, second_parent = np.full((2, num_models), -1, dtype=np.int64)
    root = np.array([BEST_BASE, OTHER_BASE] + [0] * (num_models - 2))
    quality = np.zeros(num_models)
    quality[OTHER_BASE] = -0.3

    def better_of_two(model: int, first: float, second: float) -> int:
        # People build on what is good: the better of two models drawn at random.
        one, two = int(first * model), int(second * model)
        return one if quality[one] >= quality[two] else two

    for model in range(2, num_models):
        if kinds[model] < _SHARE_OF_MERGE + _SHARE_OF_FINE_TUNE:
            parent[model] = better_of_two(model, picks[model, 0], picks[model, 1])
        else:
            parent[model] = OTHER_BASE if picks[model, 0] < _SHARE_OF_OTHER_BASE else BEST_BASE
        inherited = quality[parent[model]]
        if kinds[model] < _SHARE_OF_MERGE:
            other = better_of_two(model, picks[model, 2], picks[model, 3])
            if other != parent[model]:
                second_parent[model] = other
                inherited = (inherited + quality[other]) / 2
        root[model] = root[parent[model]]
        quality[model] = inherited + step_size[model] * (step[model] + recipe_gain[recipe[model]])
    return Descent(parent, second_parent, root, recipe, _places(figures, quality))


def _places(figures: TreeFigures, quality: NDArray[np.float64]) -> NDArray[np.int64]:
    place = np.empty(figures.num_models, dtype=np.int64)
    place[BEST_BASE] = figures.num_above_base
    place[OTHER_BASE] = max(
        figures.num_above_base + figures.num_tied_with_base, int(_OTHER_BASE_DEPTH * figures.num_models)
    )
    free = np.setdiff1d(np.arange(figures.num_models), place[:2])
    place[2 + np.argsort(-quality[2:], kind="stable")] = free
    return place
