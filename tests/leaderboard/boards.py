"""Benchmarks and scores made by hand."""

import numpy as np

from gembench.leaderboard.benchmark import Benchmark, BenchmarkTensor
from gembench.leaderboard.scores import CellScore, PolicyScores, cells_of


def make_benchmark(tensors=("oak",), queries_per_model=(10,), runs=50, **settings):
    return Benchmark(
        version="test",
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
