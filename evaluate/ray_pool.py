"""Evaluators on a Ray cluster: one actor each, which hosts an engine in a process of its own on whichever machine.

What goes back and forth are the messages of `wire`, as bytes.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gembench.data.status import ModelStatus
from gembench.errors import GembenchError, UsageError
from gembench.evaluate import wire
from gembench.evaluate.engine_process import EngineStartError
from gembench.evaluate.engines import find_engine
from gembench.evaluate.evaluator import (
    Answer,
    Checkpoint,
    Evaluator,
    EvaluatorFailure,
    EvaluatorLost,
    Request,
    Settings,
)
from gembench.evaluate.ray_host import EngineHost
from gembench.extras import require_extra

_SECONDS_TO_CLOSE = 15.0
_LONGEST_QUOTE = 300


@contextlib.contextmanager
def ray_evaluators(
    num_workers: int,
    engine: str,
    options: Settings,
    *,
    load_timeout: float,
    answer_timeout: float,
    address: str | None = None,
    num_gpus_per_worker: float = 0,
) -> Iterator[Sequence[Evaluator]]:
    """Yield that many evaluators, their engines started; at the end they and all that they started are ended.

    Args:
        num_workers: how many, each in an actor of its own, spread over the machines.
        engine: as `EngineProcess` has it, like the next three.
        options: what the engine is made with.
        load_timeout: seconds in which an actor must find room and start its engine, and a model must be loaded.
        answer_timeout: the longest wait for a next answer, in seconds.
        address: of the cluster, as `ray.init` takes it; None for that in RAY_ADDRESS, or one on this machine.
        num_gpus_per_worker: GPUs of one actor; those of several on one GPU are fractions. With 0 it sees none.

    Raises:
        MissingExtraError: Ray, or what the engine needs, is not installed here.
        UsageError: the address is a client's, or the engine refuses its options.
        EngineStartError: an engine cannot be started.
        GembenchError: the cluster cannot be reached.
        EvaluatorLost: the cluster has no room for so many workers.
    """
    require_extra("ray", "ray")
    find_engine(engine)
    if address is not None and address.startswith("ray://"):
        raise UsageError(
            f"{address} is a Ray client's address, over which answers cannot stream; "
            f"run the command on a machine of the cluster, with the address auto."
        )
    import ray

    is_ours = not ray.is_initialized()
    if is_ours:
        _connect(address)
    host = ray.remote(EngineHost).options(
        num_gpus=num_gpus_per_worker,
        scheduling_strategy="SPREAD",
        max_concurrency=2,
    )
    evaluators: list[RayEvaluator] = []
    try:
        for _ in range(num_workers):
            start = lambda: host.remote(engine, dict(options), load_timeout, answer_timeout)  # noqa: E731
            evaluators.append(RayEvaluator(start, load_timeout))
        for evaluator in evaluators:
            evaluator.wait()
        yield evaluators
    finally:
        for evaluator in evaluators:
            evaluator.close()
        if is_ours:
            ray.shutdown()


def _connect(address: str | None) -> None:
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        where = f"the Ray cluster at {address} cannot be reached" if address else "Ray cannot be started here"
        raise GembenchError(f"{where}: {_one_line(error)}") from error


class RayEvaluator:
    """The evaluator in one actor. When the actor is lost, the next `load` starts another wherever there is room.

    Args:
        start_actor: starts an actor around an `EngineHost`.
        start_timeout: seconds in which an actor must find room, and its engine start.
    """

    def __init__(self, start_actor: Callable[[], Any], start_timeout: float) -> None:
        self._start_actor = start_actor
        self._start_timeout = start_timeout
        self._settings: Settings = {}
        self._turn = 0
        self._is_busy = False
        self._actor = start_actor()
        self._opening = self._actor.open.remote()

    @property
    def settings(self) -> Settings:
        """What the engine's answers depend on."""
        return self._settings

    @property
    def is_fresh(self) -> bool:
        """Whether the engine was started for the present model, and held none before it."""
        return bool(self._fetch(lambda actor: actor.is_fresh.remote()))

    def wait(self) -> None:
        """Wait until the actor found room and its engine started.

        Raises:
            UsageError: the engine refuses its options.
            EngineStartError: the engine cannot be started there.
            EvaluatorLost: no machine had room in time, or the actor is gone already.
        """
        reply = _checked(self._fetch(lambda actor: self._opening, self._start_timeout))
        if isinstance(reply, wire.Opened):
            self._settings = reply.settings

    def load(self, checkpoint: Checkpoint) -> None:
        """Make this the model that answers; its folder must be there on the actor's machine too.

        Raises:
            EvaluatorFailure: the model cannot be used.
            EvaluatorLost: the actor is gone, or there is no room for another.
        """
        if self._actor is None:
            self._actor = self._start_actor()
            self._opening = self._actor.open.remote()
            self.wait()
        block = wire.encode(wire.Load(checkpoint))
        _checked(self._fetch(lambda actor: actor.load.remote(block)))

    def answer(self, requests: Sequence[Request]) -> Iterator[tuple[int, Answer]]:
        """Yield (position, answer) as the engine does.

        Raises:
            EvaluatorFailure: the model failed.
            EvaluatorLost: the actor is gone.
        """
        self._turn += 1
        turn, block = self._turn, wire.encode(wire.Ask(requests, is_last=True))
        replies: Any = None
        is_over = False

        def next_reply(actor: Any) -> Any:
            nonlocal replies
            if replies is None:
                replies = actor.answer.options(num_returns="streaming").remote(turn, block)
            return next(replies)

        try:
            while isinstance(reply := _checked(self._fetch(next_reply)), wire.Answered):
                yield from reply.answers
            is_over = True
        except GembenchError:
            is_over = True
            raise
        finally:
            if not is_over and self._actor is not None:
                self._actor.stop.remote(turn)

    def restart(self) -> None:
        """End the engine's process, so that the next model is loaded into a fresh one."""
        self._fetch(lambda actor: actor.close.remote())

    def close(self) -> None:
        """End the actor, the engine and all that it started. Another thread may do it, at any time."""
        if self._actor is not None and not self._is_busy:
            with contextlib.suppress(EvaluatorLost):  # Then there is nothing left to close.
                self._fetch(lambda actor: actor.close.remote(), _SECONDS_TO_CLOSE)
        self._end()

    def _fetch(self, call: Callable[[Any], Any], timeout: float | None = None) -> Any:
        """What a call of the actor returns.

        Raises:
            EvaluatorLost: the actor is gone, or does not answer in time.
            EvaluatorFailure: this evaluator was closed meanwhile.
        """
        import ray
        from ray.exceptions import GetTimeoutError, RayError, RayTaskError

        actor = self._actor
        if actor is None:
            raise EvaluatorFailure(ModelStatus.ENGINE_CRASHED, "the Ray worker holds no model; load one.")
        self._is_busy = True
        try:
            return ray.get(call(actor), timeout=timeout)
        except RayTaskError:
            raise
        except RayError as error:
            if self._actor is not actor:
                raise EvaluatorFailure(ModelStatus.ENGINE_CRASHED, "the Ray worker was closed.") from error
            self._end()
            what = f"a Ray worker is gone with what it held: {_one_line(error)}"
            if isinstance(error, GetTimeoutError):
                what = (
                    f"a Ray worker was silent for {timeout:g} s; is there room for it? Ask for fewer workers or GPUs."
                )
            raise EvaluatorLost(what) from error
        finally:
            self._is_busy = False

    def _end(self) -> None:
        import ray

        actor, self._actor = self._actor, None
        if actor is not None:
            ray.kill(actor)


def _checked(block: bytes) -> wire.Call | wire.Reply:
    """The reply, unless it tells of a failure, which is raised."""
    reply = wire.decode(block)
    match reply:
        case wire.Failed(status, message):
            raise EvaluatorFailure(status, message)
        case wire.Refused(exit_code, message):
            raise (UsageError if exit_code == UsageError.exit_code else EngineStartError)(message)
    return reply


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:_LONGEST_QUOTE]
