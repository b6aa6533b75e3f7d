"""`gembench leaderboard submit`: score a policy's file and write its entry."""

import re
from pathlib import Path

import click

from gembench.cli.leaderboard_options import (
    read_published,
    submissions_folder,
    submissions_option,
    time_limit_option,
)


@click.command(short_help="Score a file and write its entry.")
@click.argument("policy", metavar="FILE.py[:CLASS[:KEY=VALUE,…]]")
@click.option("--author", required=True, metavar="TEXT", help="Who wrote the file.")
@click.option("--license", "license_name", required=True, metavar="SPDX", help="The file's license, such as MIT.")
@click.option("--source", required=True, metavar="TEXT", help="Where the idea is from: a paper, a URL, or 'original'.")
@click.option("--name", metavar="NAME", help="What the leaderboard calls it. [default: its class, in_small_letters]")
@click.option("--description", metavar="TEXT", help="What it does. [default: its class's first paragraph]")
@time_limit_option
@submissions_option
def submit(
    policy: str,
    author: str,
    license_name: str,
    source: str,
    name: str | None,
    description: str | None,
    time_limit: float,
    submissions: Path | None,
) -> None:
    """Score a policy's FILE on the public benchmark and write its entry: the file, a card and the result.

    The entry is a folder of its own in policies/submissions, for a pull request.
    """
    from gembench.jax_setup import set_up_jax

    set_up_jax()
    from gembench.cli.progress import RunsProgress
    from gembench.cli.standing_table import print_pairs, print_standing
    from gembench.errors import UsageError
    from gembench.leaderboard.benchmark import load_benchmark, open_races
    from gembench.leaderboard.entries import check_place, make_card, write_submission
    from gembench.leaderboard.policy_file import read_policy_file
    from gembench.leaderboard.scores import cells_of
    from gembench.leaderboard.scoring import describe_file, score_file
    from gembench.leaderboard.standing import make_standing

    file, folder, benchmark = read_policy_file(policy), submissions_folder(submissions, to_write=True), load_benchmark()
    about = describe_file(file)
    name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", about.policy_class).lower()
    card = make_card(
        name,
        author,
        source,
        license_name,
        description or about.description,
        about.policy_class,
        about.hyper_parameters,
    )
    check_place(folder, name)
    published = read_published(submissions)
    if any(each.card.name == name for each in published):
        raise UsageError(f"a policy called {name} is published already; choose another --name.")
    progress = RunsProgress(total=len(cells_of(benchmark)) * benchmark.runs)
    with progress.running():
        result = score_file(
            benchmark, open_races(benchmark), file, name, seconds=time_limit, on_progress=progress.advance
        )
    place = write_submission(folder, card, file.text, result)
    standing = make_standing(benchmark, [*(each.result.scores for each in published), result.scores])
    print_standing(standing)
    print_pairs(standing, name)
    where = f" --submissions {submissions}" if submissions else ""
    click.echo(f"\nWritten: {place}. Next: gembench leaderboard build -o site{where}")
