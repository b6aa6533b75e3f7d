"""`gembench synth`: make a calibrated model tree."""

import click

from gembench.data.tree_figures import PUBLISHED_FIGURES


@click.command(short_help="Generate a calibrated model tree.")
@click.argument("tree", type=click.Choice(list(PUBLISHED_FIGURES)))
@click.option("--models", "num_models", type=click.IntRange(min=1), help="Models. [default: as published]")
@click.option("--queries", "num_queries", type=click.IntRange(min=1), help="Queries. [default: as published]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Another seed, another tree.")
@click.option("--output", "-o", required=True, metavar="STORE", help="Folder (.zarr), .zip or URL to write to.")
@click.option("--overwrite", is_flag=True, help="Replace a tensor that lies there.")
def synth(tree: str, num_models: int | None, num_queries: int | None, seed: int, output: str, overwrite: bool) -> None:
    """Generate a model tree whose accuracies are calibrated to those published for TREE.

    Example: gembench synth qwen2.5-3b --models 2000 --seed 1 -o big.zarr
    """
    from gembench.data.tensor import write_tensor
    from gembench.data.trees import generate_tree

    figures = PUBLISHED_FIGURES[tree].resized(num_models=num_models, num_queries=num_queries)
    digest = write_tensor(generate_tree(figures, seed=seed), output, overwrite=overwrite)
    click.echo(f"{output}: {figures.num_models:,} models, {figures.num_queries:,} queries, {digest}")
