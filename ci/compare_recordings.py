"""How far two recordings of the same models agree, such as those of two engines: a table in Markdown.

    python ci/compare_recordings.py ONE.zarr OTHER.zarr

Over the models and queries that both have answered: the share of cells with the same grade, by task, and the largest
difference of a model's accuracy. The models' order by accuracy is compared by Kendall's tau.
"""

import click
import numpy as np
import xarray as xr
from scipy.stats import kendalltau

from gembench.data.tensor import open_tensor


@click.command()
@click.argument("one")
@click.argument("other")
def main(one: str, other: str) -> None:
    """Print the table."""
    ours, theirs = xr.align(*(open_tensor(place)[["correct", "score"]].load() for place in (one, other)), join="inner")
    answered = (ours["correct"] >= 0) & (theirs["correct"] >= 0)
    if not answered.any():
        raise click.UsageError("no model answered the same query in both.")
    same = ours["correct"] == theirs["correct"]
    tasks = ours["task"].values
    print(f"{ours.sizes['model']} models, {ours.sizes['query']} queries\n")
    print("| task | cells | same grade | largest difference of a model's accuracy |\n|---|---|---|---|")
    for task in (*np.unique(tasks), "all"):
        is_in_task = xr.DataArray((tasks == task) | (task == "all"), dims="query")
        cells = answered & is_in_task
        difference = ours["correct"].where(cells).mean("query") - theirs["correct"].where(cells).mean("query")
        print(
            f"| {task} | {int(cells.sum()):,} | {float(same.where(cells).mean()):.2%} | "
            f"{float(np.abs(difference).max()):.2%} |"
        )
    accuracies = [tensor["correct"].where(answered).mean("query") for tensor in (ours, theirs)]
    print(f"\nKendall's tau of the models' accuracies: {kendalltau(*accuracies).statistic:.3f}")


if __name__ == "__main__":
    main()
