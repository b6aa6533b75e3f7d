"""Which queries each model of a generated tree answers right: relatives agree, strangers agree on what is easy.

A model answers right where its margin is largest, in each task as many queries as its right answers there:

    margin[m, q] = 1.2 easiness[q] + z[m, q]
    z[m] = sqrt(1 - d[m]) z[parent of m] + sqrt(d[m] / 2) (noise of m's recipe + new noise)
"""

import math

import numpy as np
from numpy.typing import NDArray

from gembench.data.exact_draws import ExactDraws
from gembench.data.tree_accuracy import right_answers, spread_over_tasks, unsquash
from gembench.data.tree_figures import TASKS, TreeFigures
from gembench.data.tree_structure import BEST_BASE, NUM_RECIPES, OTHER_BASE, Descent

EASINESS = 1.2
"""Weight of a query's easiness against the variance 1 of z: strangers' margins correlate by 0.59."""

_BASES_APART = 0.5
"""The drift of the second base from the best one."""


def draw_answers(figures: TreeFigures, descent: Descent, seed: int) -> NDArray[np.int8]:
    """The answers, [K, Q] int8, 1 right, 0 wrong; queries lie task by task."""
    right = right_answers(figures)[descent.place]
    by_task = spread_over_tasks(right, _skill(figures, descent, right, seed), figures.queries_per_task)
    margin = _margins(figures, descent, right, seed)
    correct = np.zeros(margin.shape, dtype=np.int8)
    first = 0
    for task, size in enumerate(figures.queries_per_task):
        of_task = slice(first, first + size)
        correct[:, of_task] = _largest(margin[:, of_task], by_task[:, task])
        first += size
    return correct


def _largest(margin: NDArray[np.float64], how_many: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Marks each row's `how_many` [K] largest margins: of equal margins, the later query's counts as larger."""
    size = margin.shape[1]
    distinct = (np.floor(margin * 2.0**36).astype(np.int64) << 20) + np.arange(size)
    rising = np.sort(distinct, axis=1)
    least = np.take_along_axis(rising, np.maximum(size - how_many, 0)[:, None] % size, axis=1)
    return (distinct >= least) & (how_many > 0)[:, None]


def _step_in_accuracy(figures: TreeFigures, descent: Descent, right: NDArray[np.int64]) -> NDArray[np.float64]:
    """How much more accurate each model is than its parent, [K]; 0 for the bases."""
    step = (right - right[descent.parent]) / figures.num_queries
    step[[BEST_BASE, OTHER_BASE]] = 0
    return step


def _skill(figures: TreeFigures, descent: Descent, right: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """What each model is good at, [K, T], on the scale of `unsquash`; only differences between tasks count.

    The best base and the best model have their published profile. A child keeps its parent's, changed the more the
    more its accuracy changed, so that a fine-tune may gain on one task and lose on another.
    """
    new = ExactDraws(seed, f"{figures.name}/skill").normal(figures.num_models, len(TASKS))
    change = np.abs(_step_in_accuracy(figures, descent, right))
    skill = np.zeros((figures.num_models, len(TASKS)))
    published = unsquash(np.asarray(figures.base_task_accuracy)), unsquash(np.asarray(figures.best_task_accuracy))
    for model in range(figures.num_models):
        if descent.place[model] == 0:
            skill[model] = published[1]
        elif model in (BEST_BASE, OTHER_BASE):
            skill[model] = published[0] + 0.1 * model * new[model]
        else:
            skill[model] = skill[descent.parent[model]] + (0.02 + 1.5 * change[model]) * new[model]
    return skill


def _margins(figures: TreeFigures, descent: Descent, right: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    num_models, num_queries = figures.num_models, figures.num_queries
    draws = ExactDraws(seed, f"{figures.name}/answers")
    easiness = draws.normal(num_queries)
    recipe_noise = draws.normal(NUM_RECIPES, num_queries)
    z = draws.normal(num_models, num_queries)
    drift = _drift(_step_in_accuracy(figures, descent, right), draws.uniform(num_models))
    drift[OTHER_BASE] = _BASES_APART
    z[OTHER_BASE] = math.sqrt(1 - _BASES_APART) * z[BEST_BASE] + math.sqrt(_BASES_APART) * z[OTHER_BASE]
    for model in range(2, num_models):
        inherited = z[descent.parent[model]]
        if descent.second_parent[model] >= 0:
            inherited = (inherited + z[descent.second_parent[model]]) / 2
        new = recipe_noise[descent.recipe[model]] + z[model]
        z[model] = math.sqrt(1 - drift[model]) * inherited + math.sqrt(drift[model] / 2) * new
    return EASINESS * easiness + z


def _drift(step: NDArray[np.float64], uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    """The variance share d of what is new in each model, [K].

    Let f be the share of answers that change beyond what the step in accuracy itself changes. It is drawn as
    0.01 + 0.015 u / (1 - u): a median of 2.5% with a tail as heavy as a Cauchy's, plus 0.3 of the step, at most 0.2.
    Margins of correlation r answer a share arccos(r) / pi of the queries differently, so that d is nearly
    (pi f)^2 (1 + EASINESS^2).
    """
    flips = np.minimum(0.01 + 0.015 * uniform / (1 - uniform) + 0.3 * np.abs(step), 0.2)
    return np.minimum((math.pi * flips) * (math.pi * flips) * (1 + EASINESS * EASINESS), 0.95)
