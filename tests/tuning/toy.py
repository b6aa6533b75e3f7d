"""A policy whose best setting is known, and parts of a tuning that need no replay."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import numpy as np

from gembench.errors import PolicySettingError
from gembench.load_race import LoadedRace
from gembench.policy import Ask, Stage, TallyOnly, mean_accuracy
from gembench.race import Race

BEST = 0.3


@dataclass(frozen=True)
class Noisy(TallyOnly):
    """Everybody answers the same queries, and noise is added to the means: the less, the nearer `target` is to `BEST`.

    Scores with more independent Gaussian noise can be made of those with less, so that the mean rank is lowest there.
    """

    target: float = 0.9

    sampling: ClassVar = "shared"

    def __post_init__(self):
        if not 0 <= self.target <= 1:
            raise PolicySettingError(f"target must be from 0 to 1, got {self.target}.")

    def plan(self, problem):
        return (Stage(problem.num_models, problem.budget // problem.num_models),)

    def ask(self, rng_key, step, tally, memory):
        everyone = jax.numpy.arange(step.problem.num_models, dtype=jax.numpy.int32)
        return Ask(everyone, jax.numpy.full_like(everyone, self.plan(step.problem)[0].max_queries))

    def recommend(self, rng_key, problem, tally, memory):
        noise = jax.random.normal(rng_key, (problem.num_models,))
        return mean_accuracy(tally) + abs(self.target - BEST) * noise


def make_loaded(name="tree", num_models=40, num_queries=30, seed=0, models=None):
    rng = np.random.default_rng(seed)
    correct = (rng.random((num_models, num_queries)) < rng.uniform(0.3, 0.7, (num_models, 1))).astype(np.uint8)
    return LoadedRace(
        tensor=name,
        digest=f"sha256:{name}",
        min_coverage=0.5,
        models=models or tuple(f"{name}/model-{model}" for model in range(num_models)),
        race=Race(correct, np.arange(num_models) + 1.0, np.arange(num_models) + 2.0),
        cost_source="recorded",
        left_out_models=(),
        num_left_out_queries=0,
    )
