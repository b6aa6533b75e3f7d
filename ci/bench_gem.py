"""Speed of gem, cold and warm, beside accelerated sequential halving, in one process: a JSON line per family and N.

    python ci/bench_gem.py TENSOR.npz [--size 300 --size 400 --size 800] [-n 10 -n 50] [--repeats 7]

Families are cut as ci/search_power.py cuts them. Seconds are medians over the repeats, in which the three take turns;
warm ones are with the study of the history. `first_seconds` is the warm race's first time, which compiles it.
"""

import json
import statistics
import time

import click
import numpy as np
from search_power import cut

from gembench.jax_setup import set_up_jax


@click.command()
@click.argument("tensor", type=click.Path(exists=True))
@click.option("--size", "sizes", type=int, multiple=True, default=(300, 400, 800), show_default=True)
@click.option("-n", "--queries-per-model", type=int, multiple=True, default=(10, 50), show_default=True)
@click.option("--runs", default=1000, show_default=True)
@click.option("--repeats", default=7, show_default=True)
def main(tensor, sizes, queries_per_model, runs, repeats):
    """Print the lines."""
    set_up_jax()
    correct = np.load(tensor)["correct"]
    for size in sizes:
        race, background = cut(correct, 1000, size, "true")
        for num_each in queries_per_model:
            print(json.dumps(measure(race, background, num_each * size, runs, repeats)), flush=True)


def measure(race, background, budget, runs, repeats):
    """Time the three in turn."""
    from gembench.policies.catalog import make_policy

    gem, reference = make_policy("gem"), make_policy("accelerated_sequential_halving")
    contests = {"reference": (reference, None), "cold": (gem, None), "warm": (gem, background)}
    first = {name: seconds(*contest, race, budget, runs, 0) for name, contest in contests.items()}
    timed = {name: [] for name in contests}
    for seed in range(1, repeats + 1):
        for name, contest in contests.items():
            timed[name].append(seconds(*contest, race, budget, runs, seed))
    medians = {name: statistics.median(found) for name, found in timed.items()}
    return {
        "models": len(race.correct),
        "queries_per_model": budget // len(race.correct),
        "runs": runs,
        "repeats": repeats,
        **{f"{name}_seconds": round(found, 3) for name, found in medians.items()},
        "first_seconds": round(first["warm"], 1),
        "cold_ratio": round(medians["cold"] / medians["reference"], 2),
    }


def seconds(policy, background, race, budget, runs, seed):
    """That the runs take."""
    from gembench.simulate import simulate

    started = time.perf_counter()
    simulate(policy, race, budget=budget, num_runs=runs, seed=seed, background=background)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
