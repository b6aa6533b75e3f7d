"""Calibrated model trees: generated tensors whose accuracies are the published ones of four real model trees.

They are synthetic, and every id and the attributes say so. What is real about them: the accuracies (`tree_figures`),
and, in size, how alike relatives answer. docs/trees.md compares both with what was published and measured.
"""

import hashlib

import xarray as xr

from gembench.data.schema import make_tensor
from gembench.data.tree_answers import draw_answers
from gembench.data.tree_cards import COST_MODEL, draw_cards
from gembench.data.tree_figures import TASKS, TreeFigures
from gembench.data.tree_structure import draw_descent
from gembench.errors import UsageError

SOURCE = "synthetic answers, calibrated to the figures that arXiv 2601.22157 published on the real model tree"


def generate_tree(figures: TreeFigures, *, seed: int = 0) -> xr.Dataset:
    """A model tree that meets the figures: a complete tensor with every model coordinate and stated costs.

    The same figures and seed give the same bits on every platform. Another seed keeps the accuracies and redraws who
    descends from whom, which queries are hard, and who answers what. Seconds follow the cost model in the attributes.

    Args:
        figures: one of `PUBLISHED_FIGURES`, one `resized`, or your own.
        seed: not negative.

    Raises:
        UsageError: no tree meets the figures, or the seed is negative.
    """
    if seed < 0:
        raise UsageError(f"the seed of a generated tree must not be negative, got {seed}.")
    descent = draw_descent(figures, seed)
    cards = draw_cards(figures, descent, seed)
    tasks = [task for task, size in zip(TASKS, figures.queries_per_task, strict=True) for _ in range(size)]
    places = [place for size in figures.queries_per_task for place in range(size)]
    queries = [f"{task}-{place:04d}" for task, place in zip(tasks, places, strict=True)]
    return make_tensor(
        draw_answers(figures, descent, seed),
        cards.names,
        queries,
        tasks=tasks,
        model_coordinates=cards.coordinates,
        query_coordinates={
            "doc_hash": [_synthetic_hash(figures, seed, "document", query) for query in queries],
            "target_hash": [_synthetic_hash(figures, seed, "target", query) for query in queries],
        },
        variables={"load_seconds": cards.load_seconds, "query_seconds": cards.query_seconds},
        attributes={
            "title": f"{figures.name}, a generated model tree",
            "source": SOURCE,
            "is_synthetic": True,
            "seed": seed,
            "cost_model": COST_MODEL,
        },
    )


def _synthetic_hash(figures: TreeFigures, seed: int, what: str, query: str) -> str:
    return hashlib.sha256(f"synthetic/{figures.name}/{seed}/{what}/{query}".encode()).hexdigest()
