"""Races of trees that were made by hand, and atlases of them."""

import numpy as np

from gembench.data.schema import make_tensor
from gembench.data.tensor import write_tensor
from gembench.leaderboard.site.atlas import make_atlas
from gembench.load_race import load_race
from gembench.policies.catalog import make_policy


def tree_race(folder, num_right, *, num_queries=20, **coordinates):
    """A race in which model i answers `num_right[i]` of the queries; `coordinates` as a tensor has them."""
    correct = (np.arange(num_queries)[None, :] < np.asarray(num_right)[:, None]).astype(np.int8)
    names = coordinates.pop("names", [f"org/model-{number}" for number in range(len(correct))])
    queries = [f"q{number}" for number in range(num_queries)]
    write_tensor(make_tensor(correct, names, queries, model_coordinates=coordinates), folder / "tree.zarr")
    return load_race(str(folder / "tree.zarr"))


def atlas_of(loaded, policy="accelerated_sequential_halving", queries_per_model=10, seed=4):
    return make_atlas(loaded, make_policy(policy), policy, queries_per_model=queries_per_model, seed=seed)
