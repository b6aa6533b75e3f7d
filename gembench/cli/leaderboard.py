"""`gembench leaderboard`: how policies stand on the benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gembench.cli.options import MemorySize, json_option
from gembench.cli.outputs import STDOUT, check_output, write_output
from gembench.errors import UsageError

if TYPE_CHECKING:
    from gembench.leaderboard.standing import Standing


@click.group(short_help="How policies stand on the benchmark.")
def leaderboard() -> None:
    """How policies stand on the benchmark: fixed tensors, budgets, runs and seed, the same for everybody.

    Example: gembench leaderboard score ucb_e:exploration=4 accelerated_sequential_halving
    """


@leaderboard.command(short_help="Score policies of the catalog.")
@click.argument("policy", nargs=-1, metavar="[NAME[:KEY=VALUE,…]]…")
@click.option("--memory", type=MemorySize(), help="Memory for runs in flight. [default: a quarter of the machine's]")
@click.option(
    "--results",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write a JSON file for each policy: every run's rank and costs, which `show` reads.",
)
@json_option
def score(policy: tuple[str, ...], memory: int | None, folder: Path | None, json_path: Path | None) -> None:
    """Score policies on the public benchmark, beside the reference. With no POLICY, the whole catalog.

    A policy's number is its mean rank relative to the reference's, as a geometric mean over all tensors and budgets;
    its place is 1 + the policies that are better for certain.
    """
    if json_path is not None:
        check_output(json_path)
    if folder is not None:
        _make_folder(folder)

    from gembench.jax_setup import set_up_jax

    set_up_jax()
    from gembench.cli.progress import RunsProgress
    from gembench.experiment import make_policies
    from gembench.leaderboard.benchmark import load_benchmark, open_races
    from gembench.leaderboard.result_file import make_result
    from gembench.leaderboard.result_file import to_json as result_to_json
    from gembench.leaderboard.scores import cells_of, score_policies
    from gembench.leaderboard.standing import make_standing
    from gembench.memory import memory_for_runs

    benchmark = load_benchmark()
    policies = make_policies(policy)
    policies |= make_policies([benchmark.reference])
    races = open_races(benchmark)
    progress = RunsProgress(total=len(policies) * len(cells_of(benchmark)) * benchmark.runs)
    with progress.running():
        scores = score_policies(
            benchmark, races, policies, memory_bytes=memory_for_runs(memory), on_progress=progress.advance
        )
    if folder is not None:
        for each in scores:
            write_output(folder / f"{each.name}.json", result_to_json(make_result(benchmark, each)))
    _show(make_standing(benchmark, scores), json_path)


@leaderboard.command(short_help="Show the standing that results make.")
@click.argument("result", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def show(result: tuple[Path, ...], json_path: Path | None) -> None:
    """Show where policies stand by the RESULT files that `score --results` wrote, the reference's among them."""
    if json_path is not None:
        check_output(json_path)

    from gembench.leaderboard.benchmark import load_benchmark
    from gembench.leaderboard.result_file import check_benchmark, from_json
    from gembench.leaderboard.standing import make_standing

    benchmark = load_benchmark()
    scores = []
    for path in result:
        read = from_json(_read(path), str(path))
        check_benchmark(read, benchmark, str(path))
        scores.append(read.scores)
    _show(make_standing(benchmark, scores), json_path)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make {folder}: {error.strerror}; choose another folder.") from error
    check_output(folder / "result.json")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as text: {error}.") from error


def _show(standing: Standing, json_path: Path | None) -> None:
    from gembench.cli.standing_table import print_standing
    from gembench.leaderboard.standing import to_json

    if json_path is not None:
        write_output(json_path, to_json(standing))
    if str(json_path) != STDOUT:
        print_standing(standing)
