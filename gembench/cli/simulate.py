"""`gembench simulate`: replay policies on tensors."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from gembench.cli.contests import run_and_print, say_what_is_known, say_what_was_left_out
from gembench.cli.options import (
    MemorySize,
    OutputFile,
    TopK,
    history_option,
    json_option,
    min_coverage_option,
    prior_option,
    queries_per_model_option,
    sampling_option,
)
from gembench.cli.outputs import STDOUT, check_output, write_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gembench.experiment import ContestResult
    from gembench.result import Report


@click.command(short_help="Replay policies on tensors.")
@click.argument("tensor", nargs=-1)
@click.option("--policy", "-p", multiple=True, metavar="NAME[:KEY=VALUE,…]", help="Policy to replay. [default: all]")
@queries_per_model_option
@click.option(
    "--runs", type=click.IntRange(min=1), default=100, show_default=True, help="Randomized runs of each policy."
)
@sampling_option
@click.option(
    "--top-k", type=TopK(), multiple=True, default=("1,3,5",), show_default=True, help="Ks of the top-k recall."
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Seed of all runs.")
@click.option("--memory", type=MemorySize(), help="Memory for runs in flight. [default: a quarter of the machine's]")
@min_coverage_option
@history_option
@prior_option
@json_option
@click.option("--plot", "plot_path", type=OutputFile(".html", ".png"), metavar="F.html|F.png", help="Draw the results.")
@click.option(
    "--runs-out", type=OutputFile(".csv", ".parquet"), metavar="F.csv|F.parquet", help="Write a row for each run."
)
def simulate(
    tensor: tuple[str, ...],
    policy: tuple[str, ...],
    queries_per_model: tuple[float, ...],
    runs: int,
    sampling: Literal["auto", "shared", "independent"],
    top_k: tuple[tuple[int, ...], ...],
    seed: int,
    memory: int | None,
    min_coverage: float,
    histories: tuple[str, ...],
    prior: str | None,
    json_path: Path | None,
    plot_path: Path | None,
    runs_out: Path | None,
) -> None:
    """Replay policies on recorded TENSORs: an embedded name, a store's path or URL, or an .npz.

    With no TENSOR, the four generated model trees.

    Example: gembench simulate qwen2.5-3b -p ucb_e:exploration=4 -p uniform
    """
    for path in filter(None, (json_path, plot_path, runs_out)):
        check_output(path)
    _check_extras(plot_path, runs_out)

    from gembench.jax_setup import set_up_jax

    set_up_jax()
    from gembench.background import load_background
    from gembench.data.embedded import TREES
    from gembench.experiment import Settings, compare_results, make_policies, plan_contests
    from gembench.load_race import load_races
    from gembench.memory import memory_for_runs
    from gembench.result import make_report, to_json

    policies = make_policies(policy)
    races = load_races(tensor or tuple(TREES), min_coverage=min_coverage)
    for loaded in races:
        say_what_was_left_out(loaded)
    known = {}
    if histories or prior is not None:
        known = {loaded.tensor: load_background(loaded, histories, prior) for loaded in races}
    contests = plan_contests(
        races, policies, queries_per_model, sampling=None if sampling == "auto" else sampling, known=known
    )
    say_what_is_known(known, contests)
    settings = Settings(
        num_runs=runs,
        seed=seed,
        top_k=tuple(dict.fromkeys(itertools.chain(*top_k))),
        memory_bytes=memory_for_runs(memory),
        with_digests=runs_out is not None,
    )
    json_only = json_path is not None and str(json_path) == STDOUT
    results = run_and_print(contests, settings, quiet=json_only)
    report = make_report([result.row for result in results], compare_results(results))
    if json_path is not None:
        write_output(json_path, to_json(report))
    if plot_path is not None:
        _write_plot(report, plot_path)
    if runs_out is not None:
        _write_runs(results, runs_out)


def _check_extras(plot_path: Path | None, runs_out: Path | None) -> None:
    from gembench.extras import require_extra

    if plot_path is not None:
        require_extra("plot", "plotly" if plot_path.suffix.lower() == ".html" else "matplotlib")
    if runs_out is not None and runs_out.suffix.lower() == ".parquet":
        require_extra("parquet", "pyarrow")


def _write_plot(report: Report, path: Path) -> None:
    if path.suffix.lower() == ".html":
        from gembench.plot.interactive import to_html

        write_output(path, to_html(report))
    else:
        from gembench.plot.picture import to_png

        write_output(path, to_png(report))


def _write_runs(results: Sequence[ContestResult], path: Path) -> None:
    from gembench.runs_table import to_csv, to_parquet

    write_output(path, to_parquet(results) if path.suffix.lower() == ".parquet" else to_csv(results))
