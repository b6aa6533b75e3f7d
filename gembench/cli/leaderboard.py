"""`gembench leaderboard`: how policies stand on the benchmark."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gembench.cli.leaderboard_build import build
from gembench.cli.leaderboard_check import check
from gembench.cli.leaderboard_options import read_published, submissions_option, time_limit_option
from gembench.cli.leaderboard_submit import submit
from gembench.cli.leaderboard_verify import verify
from gembench.cli.options import MemorySize, history_option, json_option
from gembench.cli.outputs import STDOUT, check_output, write_output
from gembench.errors import UsageError

if TYPE_CHECKING:
    from gembench.leaderboard.standing import Standing


@click.group(short_help="How policies stand on the benchmark.")
def leaderboard() -> None:
    """How policies stand on the benchmark: fixed tensors, budgets, runs and seed, the same for everybody.

    Example: gembench leaderboard score my_policy.py
    """


@leaderboard.command(short_help="Score policies, of files or of the catalog.")
@click.argument("policy", nargs=-1, metavar="[FILE.py[:CLASS[:KEY=VALUE,…]]|NAME[:KEY=VALUE,…]]…")
@click.option(
    "--private",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Score on the tensors in this folder; results name them by their digests alone.",
)
@history_option
@click.option("--memory", type=MemorySize(), help="Memory for runs in flight. [default: a quarter of the machine's]")
@time_limit_option
@click.option(
    "--results",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write a JSON file for each policy: every run's rank and costs, which `show` reads.",
)
@submissions_option
@json_option
def score(
    policy: tuple[str, ...],
    private: Path | None,
    histories: tuple[str, ...],
    memory: int | None,
    time_limit: float,
    folder: Path | None,
    submissions: Path | None,
    json_path: Path | None,
) -> None:
    """Score policies on the public benchmark, beside what is published. With no POLICY, the whole catalog.

    A FILE is run in a sandbox that sees no tensor. A policy's number is its mean rank relative to the reference's, as a
    geometric mean over all tensors and budgets; its place is 1 + the policies that are better for certain.
    """
    if histories and private is None:
        raise UsageError("--history is for --private FOLDER: the public benchmark has no history.")
    if json_path is not None:
        check_output(json_path)
    if folder is not None:
        _make_folder(folder)

    from gembench.jax_setup import set_up_jax

    set_up_jax()
    from gembench.cli.contests import say_history
    from gembench.cli.progress import RunsProgress
    from gembench.experiment import make_policies
    from gembench.leaderboard.benchmark import load_benchmark, open_backgrounds, open_races, private_benchmark
    from gembench.leaderboard.catalog import published_policies
    from gembench.leaderboard.field import score_field
    from gembench.leaderboard.policy_file import is_policy_file, read_policy_file
    from gembench.leaderboard.result_file import file_name_of, to_json
    from gembench.leaderboard.scores import cells_of
    from gembench.leaderboard.standing import make_standing
    from gembench.memory import memory_for_runs

    benchmark = load_benchmark()
    files = [read_policy_file(each) for each in policy if is_policy_file(each)]
    named = [each for each in policy if not is_policy_file(each)]
    policies = make_policies(named) if named else {}
    if not policy:
        policies = published_policies()
    is_beside_published = bool(policy) and private is None
    published = read_published(submissions, policies) if is_beside_published else ()
    if private is not None:
        benchmark = private_benchmark(benchmark, private, histories)
        policies |= make_policies([benchmark.reference])
    races = open_races(benchmark)
    known = open_backgrounds(benchmark, races)
    for tensor, beforehand in known.items():
        say_history(tensor, beforehand.history)
    progress = RunsProgress(total=(len(policies) + len(files)) * len(cells_of(benchmark)) * benchmark.runs)
    with progress.running():
        results = score_field(
            benchmark,
            races,
            policies,
            files,
            known=known,
            seconds=time_limit,
            memory_bytes=memory_for_runs(memory),
            on_progress=progress.advance,
        )
    if folder is not None:
        for each in results:
            write_output(folder / file_name_of(each), to_json(each))
    made = {each.scores.name: each for each in results}
    field = {each.card.name: each.result for each in published} | made
    standing = make_standing(benchmark, [each.scores for each in field.values()])
    _show(standing, json_path, about=[name for name in made if policy and name != benchmark.reference])


@leaderboard.command(short_help="Show the standing.")
@click.argument("result", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@submissions_option
@json_option
def show(result: tuple[Path, ...], submissions: Path | None, json_path: Path | None) -> None:
    """Show where the published policies stand, or those of RESULT files that `score --results` wrote."""
    if json_path is not None:
        check_output(json_path)

    from gembench.leaderboard.benchmark import load_benchmark
    from gembench.leaderboard.private import hidden_benchmark, is_private
    from gembench.leaderboard.result_file import check_benchmark, read_result
    from gembench.leaderboard.standing import make_standing

    benchmark = load_benchmark()
    if result:
        results = [read_result(path) for path in result]
        if is_private(results[0]):
            benchmark = hidden_benchmark(benchmark, results[0])
        for path, each in zip(result, results, strict=True):
            check_benchmark(each, benchmark, str(path))
    else:
        results = [each.result for each in read_published(submissions)]
    _show(make_standing(benchmark, [each.scores for each in results]), json_path)


leaderboard.add_command(build)
leaderboard.add_command(check)
leaderboard.add_command(submit)
leaderboard.add_command(verify)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make {folder}: {error.strerror}; choose another folder.") from error
    check_output(folder / "result.json")


def _show(standing: "Standing", json_path: Path | None, about: list[str] | None = None) -> None:
    from gembench.cli.standing_table import print_pairs, print_standing
    from gembench.leaderboard.standing import to_json

    if json_path is not None:
        write_output(json_path, to_json(standing))
    if str(json_path) != STDOUT:
        print_standing(standing)
        for name in about or ():
            print_pairs(standing, name)
