"""Prints, as Markdown, how near the embedded trees come to every published figure. docs/trees.md holds the output.

Run: python ci/trees_report.py
"""

import math

import numpy as np

from gembench.data.embedded import load_embedded
from gembench.data.tree_figures import PUBLISHED_FIGURES, TASKS

OVERALL_OF_TABLE_1 = {
    "qwen2.5-3b": (0.716, 0.732),
    "qwen2.5-7b": (0.783, 0.791),
    "mistral-7b": (0.556, 0.696),
    "llama-3.1-8b": (0.713, 0.747),
}
SIMILAR = 0.01
"""Two models whose accuracies are this near count as similarly accurate."""


def main():
    tensors = {name: load_embedded(name) for name in PUBLISHED_FIGURES}
    print("### Accuracies\n")
    print_table(
        ["figure", *(f"{name}: {column}" for name in tensors for column in ("asked", "made", "difference"))],
        [
            [figure, *(f"{value:{sign}.4g}" for cell in cells for value, sign in with_difference(cell))]
            for figure, cells in figures_by_row(tensors)
        ],
    )
    print("\n### How alike the models of a tree answer\n")
    names, columns = zip(*((name, likeness(tensor)) for name, tensor in tensors.items()), strict=True)
    print_table(
        ["statistic", *names],
        [[row, *(f"{column[row]:.3f}" for column in columns)] for row in columns[0]],
    )


def with_difference(cell):
    asked, made = cell
    return (asked, ""), (made, ""), (round(made - asked, 4) + 0.0, "+")


def figures_by_row(tensors):
    """(figure's name, [(asked, made) of each tree]) for every published figure."""
    by_tree = [asked_and_made(name, tensor) for name, tensor in tensors.items()]
    return [(figure, [cells[figure] for cells in by_tree]) for figure in by_tree[0]]


def asked_and_made(name, tensor):
    figures, correct = PUBLISHED_FIGURES[name], tensor["correct"].values
    accuracy = correct.mean(axis=1)
    above = accuracy[accuracy > figures.threshold]
    is_base = (tensor["parent"] == "").values
    base, best = int(np.argmax(np.where(is_base, accuracy, 0))), int(np.argmax(accuracy))
    num_tied = int((accuracy == accuracy[base]).sum())
    rows = {
        "models": (figures.num_models, len(accuracy)),
        "mean accuracy": (figures.mean_accuracy, accuracy.mean()),
        "best accuracy": (figures.best_accuracy, accuracy[best]),
        "best base: accuracy": (figures.best_base_accuracy, accuracy[base]),
        "best base: rank (ties share)": (
            figures.best_base_rank,
            int((accuracy > accuracy[base]).sum()) + (1 + num_tied) / 2,
        ),
        "share above the threshold": (figures.share_above, len(above) / len(accuracy)),
    }
    for percentile, asked in figures.percentiles:
        rows[f"percentile {percentile} of those above"] = (asked, float(np.percentile(above, percentile)))
    overall = OVERALL_OF_TABLE_1[name]
    profiles = (("base", base, figures.base_task_accuracy), ("gem", best, figures.best_task_accuracy))
    for (who, model, asked_by_task), asked_overall in zip(profiles, overall, strict=True):
        for task, asked in zip(TASKS, asked_by_task, strict=True):
            rows[f"{who}: {task}"] = (asked, correct[model][tensor["task"].values == task].mean())
        rows[f"{who}: overall"] = (asked_overall, accuracy[model])
    return rows


def likeness(tensor):
    correct = tensor["correct"].values
    num_models, num_queries = correct.shape
    accuracy = correct.mean(axis=1)
    right = correct.astype(np.float32)
    both_right = np.rint(right @ right.T)
    num_right = both_right.diagonal()
    apart = (num_right[:, None] + num_right[None, :] - 2 * both_right) / num_queries
    place = {model: row for row, model in enumerate(tensor["model"].values)}
    children = [row for row, parent in enumerate(tensor["parent"].values) if parent]
    parents = [place[tensor["parent"].values[row]] for row in children]
    from_parent = apart[children, parents]
    nearest = np.sort(apart + 9 * np.eye(num_models), axis=1)
    one, other = np.triu_indices(num_models, 1)
    similar = np.abs(accuracy[one] - accuracy[other]) < SIMILAR
    one, other = one[similar], other[similar]
    by_chance = accuracy[one] * (1 - accuracy[other]) + accuracy[other] * (1 - accuracy[one])
    best = np.argsort(-accuracy, kind="stable")[: math.ceil(num_models / 10)]
    among_best = apart[np.ix_(best, best)][np.triu_indices(len(best), 1)]
    return {
        "answers that differ from the parent's: 10th percentile": np.percentile(from_parent, 10),
        "... median": np.median(from_parent),
        "... 90th percentile": np.percentile(from_parent, 90),
        "... from the nearest model's: median": np.median(nearest[:, 0]),
        "... from the 20 nearest models': median": np.median(nearest[:, :20].mean(axis=1)),
        "... between similarly accurate models: mean": apart[one, other].mean(),
        "... as a share of what independent models would differ": (apart[one, other] / by_chance).mean(),
        "... between two of the best tenth: mean": among_best.mean(),
        "standard deviation of the queries' mean accuracy": correct.mean(axis=0).std(),
    }


def print_table(header, rows):
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
