"""Benchmarks, scores and published policies made by hand."""

import hashlib
from dataclasses import replace

import numpy as np

from gembench.leaderboard.benchmark import Benchmark, BenchmarkTensor
from gembench.leaderboard.entry import Card, Published
from gembench.leaderboard.result_file import make_result
from gembench.leaderboard.scores import CellScore, PolicyScores, cells_of


def make_benchmark(tensors=("oak",), queries_per_model=(10,), runs=50, version="test", **settings):
    return Benchmark(
        version=version,
        tensors=tuple(BenchmarkTensor(name, f"sha256:{place:064x}", name) for place, name in enumerate(tensors)),
        queries_per_model=queries_per_model,
        runs=runs,
        **{"seed": 0, "top_k": (1, 3), "reference": "reference", **settings},
    )


def make_scores(benchmark, name, ranks, *, pulls=100, seconds=50.0):
    """Scores whose ranks, pulls and seconds are broadcast to [cells, runs]."""
    cells = cells_of(benchmark)
    shape = (len(cells), benchmark.runs)
    ranks, pulls = (np.broadcast_to(np.asarray(values, np.int64), shape) for values in (ranks, pulls))
    seconds = np.broadcast_to(np.asarray(seconds, np.float64), shape)
    return PolicyScores(
        name,
        tuple(
            CellScore(
                cell=cell,
                rank=ranks[place],
                accuracy=1 / ranks[place],
                recall={k: (ranks[place] <= k).astype(np.float64) for k in benchmark.top_k},
                pulls=pulls[place],
                model_loads=pulls[place] // 10,
                cost_seconds=seconds[place],
            )
            for place, cell in enumerate(cells)
        ),
    )


CARD = Card(
    name="",
    author="Ann Author",
    source="Somebody, Journal of Searches 1, 2020",
    license="MIT",
    description="It asks all models in turn.",
    policy_class="InTurn",
    hyper_parameters={"patience": 2, "warmth": 0.5, "kind": "mild", "is_greedy": True},
)


def make_published(benchmark, name, ranks, *, is_submission=False, code="class InTurn: ...\n", card=CARD, **costs):
    """A policy with ranks made by hand; `card` is what people are told of it, but for its name."""
    file_sha256 = hashlib.sha256(code.encode()).hexdigest() if is_submission else None
    result = make_result(benchmark, make_scores(benchmark, name, ranks, **costs), file_sha256)
    return Published(replace(card, name=name), code, result, is_submission)
