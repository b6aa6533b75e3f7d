"""How often the intervals of recommended models cover the truth over simulated searches; prints Markdown.

Run: python ci/intervals.py    (some two minutes on two cores)

Simultaneous over all models, as a search states them; each valid by itself, which selection may break; and Wilson's,
which knows neither of stopping, nor of selection, nor that the queries run out.
"""

import argparse
import os
import sys

import jax
import numpy as np
from scipy.stats import binomtest

from gembench.confidence import accuracy_intervals
from gembench.intervals import CONFIDENCE
from gembench.load_race import load_race
from gembench.policies.catalog import make_policy
from gembench.simulate import simulate

TREE = "qwen2.5-3b"
POLICIES = "accelerated_sequential_halving", "sequential_halving", "ucb_e"
QUERIES_PER_MODEL = 10, 50
HEADER = (
    "policy",
    "queries per model",
    "answers of the recommended model, median",
    "interval",
    "covers",
    "its 95% interval",
    "p-value of covering less than 95%",
    "mean width",
)


def main():
    parser = argparse.ArgumentParser(description="Coverage of the intervals of recommended models, as Markdown.")
    parser.add_argument("--runs", type=int, default=10_000, help="searches of each policy and budget: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="seed of the searches: %(default)s")
    arguments = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    loaded = load_race(TREE)
    print(f"{arguments.runs:,} searches each of {TREE} ({loaded.num_models} models, {loaded.num_queries:,} queries),")
    print(f"seed {arguments.seed}; intervals of {CONFIDENCE:.0%} for the accuracy of the recommended model.\n")
    print_row(HEADER)
    print_row(("---",) * len(HEADER))
    for policy in POLICIES:
        for queries_per_model in QUERIES_PER_MODEL:
            for row in rows(loaded, policy, queries_per_model, arguments.runs, arguments.seed):
                print_row(row)
            print(f"{policy}, {queries_per_model} queries per model: done", file=sys.stderr)


def rows(loaded, policy, queries_per_model, num_runs, seed):
    """A row for each kind of interval."""
    budget = loaded.budget(queries_per_model)
    runs = simulate(make_policy(policy), loaded.race, budget=budget, num_runs=num_runs, seed=seed)
    truth = loaded.accuracy[runs.recommended[:, 0]]
    for name, intervals in intervals_of(runs, loaded).items():
        num_covered = int(((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])).sum())
        found = binomtest(num_covered, num_runs, CONFIDENCE, alternative="less")
        low, high = binomtest(num_covered, num_runs).proportion_ci(0.95, method="exact")
        yield (
            policy,
            str(queries_per_model),
            f"{np.median(runs.best_pulls):,.0f}",
            name,
            f"{num_covered / num_runs:.2%}",
            f"{low:.2%} to {high:.2%}",
            f"{found.pvalue:.2g}",
            f"{(intervals[:, 1] - intervals[:, 0]).mean():.3f}",
        )


def intervals_of(runs, loaded):
    """The intervals of every run's recommended model by kind, each [R, 2]."""
    tally, error = (runs.best_pulls, runs.best_correct, loaded.num_queries), 1 - CONFIDENCE
    return {
        "simultaneous": accuracy_intervals(*tally, error=error / loaded.num_models),
        "of one model": accuracy_intervals(*tally, error=error),
        "Wilson": wilson_intervals(runs.best_correct, runs.best_pulls),
    }


def wilson_intervals(num_correct, num_asked):
    """[R, 2], by SciPy."""
    tallies, of_run = np.unique(np.stack([num_correct, num_asked], axis=1), axis=0, return_inverse=True)
    intervals = [binomtest(*map(int, tally)).proportion_ci(CONFIDENCE, method="wilson") for tally in tallies]
    return np.array(intervals)[of_run.reshape(-1)]


def print_row(cells):
    print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
