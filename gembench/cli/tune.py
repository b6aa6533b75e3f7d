"""`gembench tune`: choose a policy's hyper-parameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from gembench.cli.contests import say_what_was_left_out
from gembench.cli.options import (
    MemorySize,
    OutputFile,
    json_option,
    min_coverage_option,
    queries_per_model_option,
    sampling_option,
)
from gembench.cli.outputs import STDOUT, check_output, write_output
from gembench.errors import UsageError
from gembench.extras import require_extra

if TYPE_CHECKING:
    from gembench.tuning.splits import FamilySize


@click.command(short_help="Choose a policy's hyper-parameters.")
@click.argument("tensor", nargs=-1)
@click.option(
    "--policy", "-p", required=True, metavar="NAME[:KEY=VALUE,…]", help="Policy to tune; what is given stays."
)
@click.option(
    "--range",
    "-r",
    "ranges",
    multiple=True,
    metavar="KEY=LOW:HIGH[:log]",
    help="Tune a number between these ends; :log, where ratios and not differences count.",
)
@click.option("--choices", "-c", multiple=True, metavar="KEY=A,B,…", help="Tune by choosing one of these values.")
@queries_per_model_option
@click.option("--families", type=click.IntRange(min=1), metavar="K", help="Cut so many families out of each tensor.")
@click.option("--family-size", type=click.IntRange(min=2), metavar="M", help="Models of a family.")
@click.option("--queries", type=click.IntRange(min=1), metavar="Q", help="Queries of a family. [default: all]")
@click.option(
    "--history-models", type=click.IntRange(min=1), metavar="H", help="Other models that are known to each family."
)
@click.option("--trials", type=click.IntRange(min=1), default=50, show_default=True, help="Settings to try.")
@click.option(
    "--runs", type=click.IntRange(min=1), default=100, show_default=True, help="Randomized runs of each race and N."
)
@click.option(
    "--reference",
    metavar="NAME[:KEY=VALUE,…]",
    default="accelerated_sequential_halving",
    show_default=True,
    help="Policy whose mean ranks are 1.",
)
@sampling_option
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Seed of settings, families, runs."
)
@click.option("--timeout-seconds", type=click.FloatRange(min=0), metavar="S", help="Begin no trial after so long.")
@click.option("--memory", type=MemorySize(), help="Memory for runs in flight. [default: a quarter of the machine's]")
@click.option("--storage", type=OutputFile(), metavar="FILE", help="Keep the trials there, and go on with those kept.")
@min_coverage_option
@json_option
def tune(
    tensor: tuple[str, ...],
    policy: str,
    ranges: tuple[str, ...],
    choices: tuple[str, ...],
    queries_per_model: tuple[float, ...],
    families: int | None,
    family_size: int | None,
    queries: int | None,
    history_models: int | None,
    trials: int,
    runs: int,
    reference: str,
    sampling: Literal["auto", "shared", "independent"],
    seed: int,
    timeout_seconds: float | None,
    memory: int | None,
    storage: Path | None,
    min_coverage: float,
    json_path: Path | None,
) -> None:
    """Choose a policy's hyper-parameters on some races, and test the choice once on others.

    The races are three or more TENSORs, the last of them to test on; or families of much the same models, cut out of
    each TENSOR by --families. With no TENSOR, the four generated model trees.

    Example: gembench tune big.npz -p gem -r keep=0.6:0.9 -r tilt=-0.3:0.3 --families 20 --family-size 100
    """
    require_extra("tune", "optuna")
    if json_path is not None:
        check_output(json_path)

    from gembench.jax_setup import set_up_jax

    set_up_jax()
    from gembench.cli.tune_progress import TuneProgress
    from gembench.cli.tune_report import print_tuning, say_what_is_shared, to_json
    from gembench.data.embedded import TREES
    from gembench.memory import memory_for_runs
    from gembench.tuning.question import Question, make_plan
    from gembench.tuning.study import open_study
    from gembench.tuning.tune import Limits
    from gembench.tuning.tune import tune as run

    question = Question(
        tensors=tensor or tuple(TREES),
        policy=policy,
        ranges=ranges,
        choices=choices,
        queries_per_model=queries_per_model,
        family_size=_family_size(families, family_size, queries, history_models),
        num_runs=runs,
        reference=reference,
        sampling=None if sampling == "auto" else sampling,
        seed=seed,
        min_coverage=min_coverage,
    )
    plan = make_plan(question, memory_for_runs(memory))
    for loaded in plan.races:
        say_what_was_left_out(loaded)
    say_what_is_shared(plan.splits)
    with open_study(storage, plan.space, seed, plan.asked) as study, TuneProgress(trials) as progress:
        tuning, was_known = run(plan, study, Limits(trials, timeout_seconds), progress)
    if was_known:
        click.echo(f"gembench: {storage} holds this result: its test was used, so nothing is tried any more.", err=True)
    if json_path is not None:
        write_output(json_path, to_json(tuning))
    if json_path is None or str(json_path) != STDOUT:
        print_tuning(tuning)


def _family_size(
    num_families: int | None, num_models: int | None, num_queries: int | None, num_histories: int | None
) -> FamilySize | None:
    from gembench.tuning.splits import FamilySize

    if num_families is None:
        given = {"--family-size": num_models, "--queries": num_queries, "--history-models": num_histories}
        if extra := [option for option, value in given.items() if value is not None]:
            raise UsageError(f"only families have {' and '.join(extra)}; give --families K too.")
        return None
    if num_models is None:
        raise UsageError("how many models has a family? Give --family-size M.")
    return FamilySize(num_families, num_models, num_queries, num_histories or 0)
