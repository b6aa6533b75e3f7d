"""The evaluators that a command was asked for: on this machine, or on a Ray cluster."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gembench.cli.engine_option import EngineChoice
    from gembench.evaluate.evaluator import Evaluator


@contextlib.contextmanager
def engine_workers(
    engine: EngineChoice,
    *,
    where: Literal["local", "ray"],
    num_workers: int,
    load_timeout: float,
    answer_timeout: float,
    ray_address: str | None,
    gpus_per_worker: float,
) -> Iterator[Sequence[Evaluator]]:
    """Yield the evaluators; close them at the end.

    Raises:
        UsageError: the engine refuses its options.
        GembenchError: it cannot be started, or the cluster cannot be reached.
    """
    if where == "ray":
        from gembench.evaluate.ray_pool import ray_evaluators

        with ray_evaluators(
            num_workers,
            engine.name,
            engine.options,
            load_timeout=load_timeout,
            answer_timeout=answer_timeout,
            address=ray_address,
            num_gpus_per_worker=gpus_per_worker,
        ) as evaluators:
            yield evaluators
        return

    from gembench.evaluate.engine_process import EngineProcess

    with contextlib.ExitStack() as stack:
        evaluators = [
            EngineProcess(engine.name, engine.options, load_timeout=load_timeout, answer_timeout=answer_timeout)
            for _ in range(num_workers)
        ]
        for evaluator in evaluators:
            stack.callback(evaluator.close)
        yield evaluators
