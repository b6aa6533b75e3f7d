"""`gembench leaderboard build`: the leaderboard as static pages."""

from pathlib import Path

import click

from gembench.cli.leaderboard_options import read_published, submissions_option

REPLAYED = "accelerated_sequential_halving"
"""The policy whose search is drawn on the trees: the paper's."""


@click.command(short_help="Write the static pages.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="FOLDER",
    help="Where the pages go.",
)
@click.option(
    "--private-result",
    "private",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A result of `score --private --results`, the reference's among them; may be repeated.",
)
@submissions_option
def build(output: Path, private: tuple[Path, ...], submissions: Path | None) -> None:
    """Write the leaderboard as static pages: the ranking, a page a policy, and an atlas of each model tree.

    They need no server: open index.html.
    """
    from gembench.jax_setup import set_up_jax

    set_up_jax()
    from gembench.experiment import make_policies
    from gembench.leaderboard.benchmark import load_benchmark, open_races
    from gembench.leaderboard.result_file import read_result
    from gembench.leaderboard.site.atlas import make_atlas
    from gembench.leaderboard.site.build import build_site

    benchmark = load_benchmark()
    hidden = [read_result(path) for path in private]
    published = read_published(submissions)
    (policy,) = make_policies([REPLAYED]).values()
    queries_per_model = max(benchmark.queries_per_model)
    atlases = []
    for loaded in open_races(benchmark):
        click.echo(f"gembench: drawing {loaded.tensor}", err=True)
        atlases.append(make_atlas(loaded, policy, REPLAYED, queries_per_model=queries_per_model, seed=benchmark.seed))
    index = build_site(output, benchmark, published, private=hidden, atlases=atlases)
    click.echo(f"Written: {index}")
