"""Reports for tests, made without any replay."""

import numpy as np

from gembench.comparison import compare
from gembench.measures import measure
from gembench.result import Replay, make_report, summarize_runs
from gembench.runs import Runs

ACCURACY = np.linspace(0.9, 0.1, 40)


def make_row(policy="uniform", *, tensor="tree", queries_per_model=10, num_runs=50, quality=1.0, top_k=(1, 3)):
    """A row, and the ranks behind it, of runs that recommend good models the more surely the higher `quality`."""
    rng = np.random.default_rng([num_runs, round(queries_per_model * 10), round(quality * 100)])
    noise = rng.normal(0, 0.3 / quality / np.sqrt(queries_per_model), (num_runs, len(ACCURACY)))
    runs = Runs(
        recommended=np.argsort(-(ACCURACY + noise), axis=1)[:, : max(top_k)].astype(np.int32),
        pulls=np.full(num_runs, int(queries_per_model * len(ACCURACY))),
        model_loads=np.full(num_runs, len(ACCURACY)),
        cost_seconds=quality * queries_per_model * rng.gamma(50, 1, num_runs),
        best_pulls=np.full(num_runs, 2),
        best_correct=np.full(num_runs, 1),
        distinct_queries=np.full(num_runs, 2.0),
    )
    replay = Replay(
        tensor=tensor,
        tensor_digest="sha256:0",
        min_coverage=0.5,
        num_models=len(ACCURACY),
        num_queries=100,
        policy=policy,
        sampling="shared",
        queries_per_model=queries_per_model,
        budget=int(queries_per_model * len(ACCURACY)),
        runs=num_runs,
        seed=0,
        cost_source="recorded",
    )
    measures = measure(runs, ACCURACY, top_k)
    return summarize_runs(replay, runs, measures, wall_seconds=0.5), measures.rank


def make_test_report(policies=("uniform", "ucb"), tensors=("tree",), queries_per_model=(10, 50), num_runs=50):
    rows, comparisons = [], []
    for tensor in tensors:
        for num_each in queries_per_model:
            ranks = {}
            for place, policy in enumerate(policies, start=1):
                row, ranks[policy] = make_row(
                    policy, tensor=tensor, queries_per_model=num_each, num_runs=num_runs, quality=place
                )
                rows.append(row)
            comparisons.append(compare(ranks, tensor=tensor, queries_per_model=num_each, seed=0))
    return make_report(rows, comparisons)
