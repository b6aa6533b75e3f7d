"""Speed of the replay engine beside plain NumPy loops, in one process: a JSON line per benchmark.

    python ci/bench.py [--repeats 7] [NAME ...]

Seconds are medians over the repeats, after compilation; `numpy_seconds` is the loop's time for as many runs, from
`numpy_runs` timed ones. The race is an embedded tree (467 models, 3,000 queries), all cores are used.
"""

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import click
import jax
import numpy as np
from numpy.typing import NDArray

from gembench.jax_setup import set_up_jax

Loop = Callable[[NDArray[np.uint8], int, np.random.Generator], int]


@dataclass(frozen=True)
class Benchmark:
    """A policy at N, the time it is meant to stay under, and the loop beside it."""

    policy: str
    queries_per_model: int
    limit_seconds: float
    loop: Loop
    numpy_runs: int


def loop_accelerated_halving(correct: NDArray[np.uint8], budget: int, rng: np.random.Generator) -> int:
    """One run, a stage at a time, over the rounds of the catalog's policy."""
    from gembench.policies.catalog import make_policy
    from gembench.policy import Problem

    problem = Problem(*correct.shape, budget)
    order = rng.permutation(correct.shape[1])
    survivors = np.arange(len(correct))
    points = np.zeros(len(correct))
    seen = 0
    for stage in make_policy("accelerated_sequential_halving").plan(problem):
        ties = rng.random(len(survivors))
        survivors = survivors[np.lexsort((ties, -points[survivors]))[: stage.num_models]]
        asked = order[seen : seen + stage.max_queries]
        points[survivors] += correct[np.ix_(survivors, asked)].sum(axis=1)
        seen += stage.max_queries
    return int(survivors[np.argmax(points[survivors])])


def loop_ucb_e(correct: NDArray[np.uint8], budget: int, rng: np.random.Generator, exploration: float = 1.0) -> int:
    """One run, a pull at a time."""
    num_models, num_queries = correct.shape
    order = rng.permuted(np.tile(np.arange(num_queries), (num_models, 1)), axis=1)
    pulls = np.ones(num_models)
    right = correct[np.arange(num_models), order[:, 0]].astype(float)
    for _ in range(budget - num_models):
        score = right / pulls + np.sqrt(exploration / pulls)
        model = rng.choice(np.flatnonzero(score == score.max()))
        right[model] += correct[model, order[model, int(pulls[model])]]
        pulls[model] += 1
    return int(np.argmax(right / pulls))


def loop_ttts(correct: NDArray[np.uint8], budget: int, rng: np.random.Generator) -> int:
    """One run, a pull at a time, with the challenger sought until found."""
    num_models, num_queries = correct.shape
    order = rng.permuted(np.tile(np.arange(num_queries), (num_models, 1)), axis=1)
    pulls, right = np.zeros(num_models, int), np.zeros(num_models)
    for _ in range(budget):
        leader = model = int(np.argmax(rng.beta(right + 1, pulls - right + 1)))
        if rng.random() < 0.5:
            while model == leader:
                model = int(np.argmax(rng.beta(right + 1, pulls - right + 1)))
        right[model] += correct[model, order[model, pulls[model]]]
        pulls[model] += 1
    return int(np.argmax((right + 1) / (pulls + 2)))


BENCHMARKS = {
    "accelerated_sequential_halving": Benchmark(
        "accelerated_sequential_halving", 50, 0.030, loop_accelerated_halving, numpy_runs=200
    ),
    "ucb_e": Benchmark("ucb_e", 10, 0.6, loop_ucb_e, numpy_runs=5),
    "ttts": Benchmark("ttts", 10, 20.0, loop_ttts, numpy_runs=2),
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)))
@click.option("--runs", default=1000, show_default=True)
@click.option("--repeats", default=7, show_default=True)
def main(names: tuple[str, ...], runs: int, repeats: int) -> None:
    """Print a JSON line for each benchmark."""
    set_up_jax()
    from gembench.load_race import load_race

    race = load_race("qwen2.5-3b").race
    for name in names or BENCHMARKS:
        print(json.dumps({"name": name, **measure(BENCHMARKS[name], race, runs, repeats), **machine()}), flush=True)


def measure(benchmark: Benchmark, race, runs: int, repeats: int) -> dict[str, object]:
    """Time the engine and the loop in turn."""
    from gembench.policies.catalog import make_policy
    from gembench.simulate import simulate

    budget = benchmark.queries_per_model * len(race.correct)
    policy = make_policy(benchmark.policy)
    simulate(policy, race, budget=budget, num_runs=runs)
    engine, loop = [], []
    rng = np.random.default_rng(0)
    for seed in range(repeats):
        started = time.perf_counter()
        simulate(policy, race, budget=budget, num_runs=runs, seed=seed)
        engine.append(time.perf_counter() - started)
        started = time.perf_counter()
        for _ in range(benchmark.numpy_runs):
            benchmark.loop(race.correct, budget, rng)
        loop.append((time.perf_counter() - started) / benchmark.numpy_runs * runs)
    seconds, numpy_seconds = statistics.median(engine), statistics.median(loop)
    return {
        "policy": benchmark.policy,
        "queries_per_model": benchmark.queries_per_model,
        "models": len(race.correct),
        "queries": race.correct.shape[1],
        "runs": runs,
        "repeats": repeats,
        "seconds": round(seconds, 4),
        "seconds_min_max": [round(min(engine), 4), round(max(engine), 4)],
        "limit_seconds": benchmark.limit_seconds,
        "numpy_seconds": round(numpy_seconds, 3),
        "numpy_runs": benchmark.numpy_runs,
        "ratio": round(numpy_seconds / seconds, 1),
    }


def machine() -> dict[str, object]:
    """What it ran on."""
    return {
        "devices": [jax.devices()[0].platform, jax.device_count()],
        "jax": jax.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


if __name__ == "__main__":
    sys.exit(main())
