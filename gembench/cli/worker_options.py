"""`--engine`, `--num-workers` and what belongs to them: what answers, how much of it, and where."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import click

from gembench.cli.engine_option import EngineChoice, EngineSpec
from gembench.cli.option_groups import add_options
from gembench.cli.options import MemorySize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gembench.evaluate.evaluator import Evaluator


@dataclass(frozen=True)
class WorkerChoice:
    """What the options said."""

    engine: EngineChoice
    commit_every: int
    canary_every: int
    num_workers: int
    workers: Literal["local", "ray"]
    ray_address: str | None
    gpus_per_worker: float
    disk: int | None
    load_timeout: float
    answer_timeout: float

    @contextlib.contextmanager
    def evaluators(self) -> Iterator[Sequence[Evaluator]]:
        """Yield the evaluators, one for each worker; close them at the end.

        Raises:
            UsageError: the engine refuses its options.
            GembenchError: it cannot be started, or the cluster cannot be reached.
        """
        name, options = self.engine
        if self.workers == "ray":
            from gembench.evaluate.ray_pool import ray_evaluators

            # Whatever befalls its workers Ray prints on stdout, which is for results.
            with (
                contextlib.redirect_stdout(sys.stderr),
                ray_evaluators(
                    self.num_workers,
                    name,
                    options,
                    load_timeout=self.load_timeout,
                    answer_timeout=self.answer_timeout,
                    address=self.ray_address,
                    num_gpus_per_worker=self.gpus_per_worker,
                ) as evaluators,
            ):
                yield evaluators
            return

        from gembench.evaluate.engine_process import EngineProcess

        with contextlib.ExitStack() as stack:
            local = [
                EngineProcess(name, options, load_timeout=self.load_timeout, answer_timeout=self.answer_timeout)
                for _ in range(self.num_workers)
            ]
            for evaluator in local:
                stack.callback(evaluator.close)
            yield local


worker_options = add_options(
    (
        click.option(
            "--engine",
            "-e",
            type=EngineSpec(),
            default="vllm",
            show_default=True,
            metavar="NAME[:KEY=VALUE,…]",
            help="vllm, hf, openai or scripted, in a search also replay; and its own options.",
        ),
        click.option(
            "--commit-every",
            type=click.IntRange(min=1),
            default=64,
            show_default=True,
            help="Cells committed together.",
        ),
        click.option(
            "--canary-every",
            type=click.IntRange(min=1),
            default=16,
            show_default=True,
            help="Swaps of weights from one check by a fresh engine to the next.",
        ),
        click.option(
            "--num-workers", type=click.IntRange(min=1), default=1, show_default=True, help="Engines at once."
        ),
        click.option(
            "--workers",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="Where engines run.",
        ),
        click.option("--ray-address", metavar="ADDRESS", help="The Ray cluster. [default: one on this machine]"),
        click.option("--gpus-per-worker", type=click.FloatRange(min=0), default=0, help="What a Ray worker asks for."),
        click.option(
            "--disk", type=MemorySize(), help="The most that downloads take at once. [default: half of what is free]"
        ),
        click.option(
            "--load-timeout", type=click.FloatRange(1), default=1800, show_default=True, help="Seconds to load a model."
        ),
        click.option(
            "--answer-timeout",
            type=click.FloatRange(1),
            default=600,
            show_default=True,
            help="Seconds to wait for an answer.",
        ),
    )
)
"""Adds the options of `WorkerChoice`."""
