"""Wide CSV: a row a model, a column a query; a cell is the score, or 1 or 0 where the tensor has no scores.

A cell without an answer is empty, whatever the reason. Left out are tasks, and what is right where the scores (from 0.5
on) do not say it.
"""

import csv
from pathlib import Path

import xarray as xr

from gembench.data.cells import read_values
from gembench.data.export_cells import each_model, is_score_exact, variables_beside
from gembench.data.outcomes import Outcome

THRESHOLD = 0.5
"""From which score on `gembench import` takes an answer for right where nobody says otherwise."""


def write(dataset: xr.Dataset, path: Path) -> set[str]:
    """Write a tensor, a model at a time; returns what is left out."""
    values = "score" if "score" in dataset.variables else "correct"
    left_out = variables_beside(dataset, ["model", "query", "correct", "score", "outcome"])
    with path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["model", *read_values(dataset, "query").tolist()])
        for cells in each_model(dataset):
            is_answered = cells.values["correct"] >= 0
            # NumPy prints the fewest digits that give the same float32 again.
            texts = cells.values[values].astype(str).tolist()
            row = [text if answered else "" for text, answered in zip(texts, is_answered.tolist(), strict=True)]
            writer.writerow([cells.model, *row])
            if (cells.values["outcome"] > Outcome.ANSWERED).any():
                left_out.add("outcome")
            if values == "score" and not is_score_exact(cells, THRESHOLD):
                left_out.add("correct")
    return left_out
