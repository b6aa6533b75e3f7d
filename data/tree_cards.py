"""What a hub page would say of each model of a generated tree: name, parent, downloads, likes, licence, date, costs."""

import datetime
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gembench.data.exact_draws import ExactDraws
from gembench.data.tree_figures import TreeFigures
from gembench.data.tree_structure import BEST_BASE, OTHER_BASE, Descent

TOTAL_DOWNLOADS = 10_000_000
SHARE_OF_BEST_BASE, SHARE_OF_OTHER_BASE = 0.96, 0.03
"""Of the downloads. The paper: the most downloaded 0.15% of all models hold over 95% of them."""

_DAYS_OF_UPLOADS = 500
_BYTES_PER_PARAMETER = 2
_DISK_BYTES_PER_SECOND = 2e9
_MEMORY_BYTES_PER_SECOND = 2e12
_ANSWERS_AT_ONCE = 64
_TOKENS_PER_ANSWER = 200

COST_MODEL = (
    f"load_seconds: {_BYTES_PER_PARAMETER} bytes a parameter, read at {_DISK_BYTES_PER_SECOND / 1e9:g} GB/s. "
    f"query_seconds: the weights pass once a token through a memory of {_MEMORY_BYTES_PER_SECOND / 1e12:g} TB/s, for "
    f"{_ANSWERS_AT_ONCE} answers at once of {_TOKENS_PER_ANSWER} tokens, times each model's verbosity of 0.5 to 2."
)


@dataclass(frozen=True, eq=False)
class Cards:
    """K models' names, the model coordinates of the schema, and costs in seconds ([K] float32)."""

    names: list[str]
    coordinates: dict[str, list[Any]]
    load_seconds: NDArray[np.float32]
    query_seconds: NDArray[np.float32]


def draw_cards(figures: TreeFigures, descent: Descent, seed: int) -> Cards:
    """Downloads say next to nothing about accuracy, and no model of the top 1% by accuracy is in the top 1% by them."""
    num_models = figures.num_models
    draws = ExactDraws(seed, f"{figures.name}/cards")
    names = _names(figures, descent)
    downloads = _downloads(descent, draws.uniform(num_models))
    liking = draws.uniform(num_models)
    relicensed, other_license = draws.uniform(2, num_models)
    verbosity = 0.5 + 1.5 * draws.uniform(num_models) * draws.uniform(num_models)
    released = datetime.date.fromisoformat(figures.released)
    num_bytes = figures.num_parameters * _BYTES_PER_PARAMETER
    seconds_per_answer = num_bytes / _MEMORY_BYTES_PER_SECOND * _TOKENS_PER_ANSWER / _ANSWERS_AT_ONCE
    licenses = [figures.license] * num_models
    for model in range(2, num_models):
        if relicensed[model] < 0.25:
            licenses[model] = ("apache-2.0", "mit", "unknown")[int(other_license[model] * 3)]
    days = [max(0, model - 1) * _DAYS_OF_UPLOADS // num_models for model in range(num_models)]
    return Cards(
        names=names,
        coordinates={
            "revision": ["main"] * num_models,
            "parent": [names[parent] if parent >= 0 else "" for parent in descent.parent],
            "base": [names[root] for root in descent.root],
            "downloads": downloads.tolist(),
            "likes": [int(math.sqrt(count) * like / 2) for count, like in zip(downloads, liking, strict=True)],
            "license": licenses,
            "num_parameters": [figures.num_parameters] * num_models,
            "created": [(released + datetime.timedelta(days=day)).isoformat() for day in days],
        },
        load_seconds=np.full(num_models, num_bytes / _DISK_BYTES_PER_SECOND, dtype=np.float32),
        query_seconds=(seconds_per_answer * verbosity).astype(np.float32),
    )


def _names(figures: TreeFigures, descent: Descent) -> list[str]:
    names = [f"synthetic/{figures.name}-instruct", f"synthetic/{figures.name}-base"]
    for model in range(2, figures.num_models):
        kind = "merge" if descent.second_parent[model] >= 0 else "ft"
        names.append(f"synthetic/{figures.name}-{kind}-{model:04d}")
    return names


def _downloads(descent: Descent, popularity: NDArray[np.float64]) -> NDArray[np.int64]:
    """Downloads, [K]: the bases' shares, then falling as the 1.5th power of the place in popularity."""
    num_models = len(popularity)
    num_popular = math.ceil(num_models / 100)
    by_popularity = [model for model in np.argsort(-popularity, kind="stable").tolist() if model > OTHER_BASE]
    hidden = [model for model in by_popularity if descent.place[model] < num_popular]
    known = [model for model in by_popularity if descent.place[model] >= num_popular]
    middle = num_popular + int((len(known) - num_popular) * popularity[BEST_BASE])
    rest = known[:middle] + hidden + known[middle:]

    downloads = np.zeros(num_models, dtype=np.int64)
    downloads[BEST_BASE] = round(SHARE_OF_BEST_BASE * TOTAL_DOWNLOADS)
    downloads[OTHER_BASE] = round(SHARE_OF_OTHER_BASE * TOTAL_DOWNLOADS)
    places = np.arange(1, num_models - 1, dtype=np.float64)
    of_first = (1 - SHARE_OF_BEST_BASE - SHARE_OF_OTHER_BASE) * TOTAL_DOWNLOADS / 3
    downloads[rest] = np.floor(of_first / (places * np.sqrt(places))).astype(np.int64)
    return downloads
