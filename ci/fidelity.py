"""Holds what the policies reach on the embedded trees against Table 2 of the paper; docs/fidelity.md keeps the outcome.

Run: python ci/fidelity.py            (prints all of it, in about three minutes on two cores)
     python ci/fidelity.py --write    (also puts it into docs/fidelity.md)
"""

import argparse
import math
import os
import sys
from pathlib import Path

import jax
import numpy as np
from scipy.stats import spearmanr

from gembench.data.tree_accuracy import right_answers
from gembench.data.tree_figures import PUBLISHED_FIGURES
from gembench.intervals import mean_interval
from gembench.load_race import load_race
from gembench.measures import measure
from gembench.policies.catalog import make_policy
from gembench.race import Race
from gembench.simulate import simulate

POLICIES = (
    "uniform",
    "ucb",
    "ucb_stddev",
    "ucb_e",
    "ttts",
    "successive_rejects",
    "bayes_elim",
    "sequential_halving",
    "accelerated_sequential_halving",
)
# Mean rank of the recommended model, in the order of POLICIES: Kahana, Horwitz and Hoshen, arXiv 2601.22157, Table 2.
PAPER = {
    ("qwen2.5-3b", 10): (166.3, 88.0, 81.8, 78.4, 92.6, 94.4, 56.4, 69.3, 11.3),
    ("qwen2.5-3b", 50): (91.2, 41.2, 34.7, 37.4, 53.1, 83.1, 30.0, 41.0, 3.5),
    ("llama-3.1-8b", 10): (222.0, 110.2, 96.0, 106.5, 103.6, 171.5, 79.9, 75.2, 15.4),
    ("llama-3.1-8b", 50): (114.9, 55.8, 37.1, 43.4, 70.6, 92.0, 34.4, 29.9, 3.0),
}
PAGE = Path(__file__).parents[1] / "docs" / "fidelity.md"
BEGIN, END = "<!-- made by ci/fidelity.py: begin -->\n", "<!-- made by ci/fidelity.py: end -->\n"


def main():
    parser = argparse.ArgumentParser(description="Compare the policies on the embedded trees with the paper's Table 2.")
    parser.add_argument("--runs", type=int, default=1000, help="randomized runs of each cell (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the runs (default: %(default)s)")
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=POLICIES, help="only these policies")
    parser.add_argument("--write", action="store_true", help=f"put the outcome into {PAGE.name}")
    arguments = parser.parse_args()
    if arguments.write and set(arguments.policies) != set(POLICIES):
        parser.error("--write needs the whole table: leave out --policies.")
    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    report = make_report(arguments.policies, arguments.runs, arguments.seed)
    print(report)
    if arguments.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(before + BEGIN + "\n" + report + "\n\n" + END + after, encoding="utf-8")


def make_report(policies, num_runs, seed):
    """All tables as Markdown: every cell, the summaries, and the two extremes of likeness."""
    lines = [f"Mean ranks over {num_runs:,} runs (seed {seed}) with their 95% intervals."]
    ratios, correlations = {}, {}
    for (tree, num_each), published in PAPER.items():
        paper = dict(zip(POLICIES, published, strict=True))
        race = load_race(tree).race
        cells = {policy: ranks(policy, race, num_each, num_runs, seed) for policy in policies}
        means = {policy: float(cell.mean()) for policy, cell in cells.items()}
        ratio = {policy: math.log2(means[policy] / paper[policy]) for policy in policies}
        ratios[tree, num_each] = ratio
        rows = [
            (policy, f"{means[policy]:.1f}", interval(cells[policy]), f"{paper[policy]:.1f}", f"{ratio[policy]:+.2f}")
            for policy in policies
        ]
        lines += ["", f"### {tree}, {num_each} queries per model", ""]
        lines += table(("policy", "mean rank", "95% interval", "paper", "log2 of the ratio"), rows)
        correlations[tree, num_each] = [
            correlation([(means[policy], paper[policy]) for policy in policies if policy not in without])
            for without in ((), ("successive_rejects",))
        ]
        print(f"{tree}, {num_each} queries per model: done", file=sys.stderr)
    lines += ["", "### Summary", "", *summary(ratios, correlations)]
    if "accelerated_sequential_halving" in policies:
        lines += ["", "### Accelerated sequential halving and how alike models answer", ""]
        lines += likeness_table(num_runs, seed)
    return "\n".join(lines)


def ranks(policy, race, num_each, num_runs, seed):
    """The rank of every run's recommendation, [R] int64."""
    budget = num_each * len(race.correct)
    return measure(simulate(make_policy(policy), race, budget=budget, num_runs=num_runs, seed=seed), race.accuracy).rank


def summary(ratios, correlations):
    """The two figures of merit: how far the cells are off, and whether the policies come in the same order."""
    sizes = np.abs([value for ratio in ratios.values() for value in ratio.values()])
    yield f"- Median of abs(log2 of the ratio) over {len(sizes)} cells: **{np.median(sizes):.3f}**;"
    yield f"  {(sizes <= 0.5).sum()} cells lie within 0.5, a factor of 1.41."
    by_group = ", ".join(f"{tree} at {num_each}: {both[0]:.2f}" for (tree, num_each), both in correlations.items())
    average, without_rejects = np.mean(list(correlations.values()), axis=0)
    yield f"- Spearman correlation of the mean ranks, over policies: **{average:.2f}** on average ({by_group})."
    yield f"  Without successive rejects: {without_rejects:.2f} on average."


def likeness_table(num_runs, seed):
    """The embedded trees against nested ones: who is more accurate answers right all that the less accurate does."""
    rows = []
    for (tree, num_each), published in PAPER.items():
        figures, race = PUBLISHED_FIGURES[tree], load_race(tree).race
        right = right_answers(figures)[:, None] > np.arange(figures.num_queries)
        nested = Race(right.astype(np.uint8), race.load_seconds, race.query_seconds)
        cells = [ranks(POLICIES[-1], each, num_each, num_runs, seed) for each in (race, nested)]
        rows.append(
            (
                f"{tree}, {num_each}",
                *(f"{cell.mean():.1f} ({interval(cell)})" for cell in cells),
                f"{published[-1]:.1f}",
            )
        )
    return table(("tree, queries per model", "embedded tree", "nested answers", "paper"), rows)


def correlation(pairs):
    ours, theirs = zip(*pairs, strict=True)
    return float(spearmanr(ours, theirs).statistic) if len(pairs) > 2 else math.nan


def interval(cell):
    low, high = mean_interval(cell)
    return f"{low:.1f} to {high:.1f}"


def table(header, rows):
    return ["| " + " | ".join(row) + " |" for row in (header, ("---",) * len(header), *rows)]


if __name__ == "__main__":
    main()
