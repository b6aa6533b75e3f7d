"""Cells are measured in processes of their own, which can be ended: one that takes too long does not stop the rest."""

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection, wait
from pathlib import Path

from gembench.jax_setup import num_cores, set_up_jax
from policy_results.plan import Cell
from policy_results.races import find_race


def measure_cells(
    batches: Iterable[list[Cell]],
    folder: Path | None,
    jobs: int,
    limit: float,
    on_outcome: Callable[[Cell, dict], None],
) -> None:
    """Measure batches of cells, some at once; a process takes a whole batch.

    Args:
        batches: cells of one policy on races of one shape, the smaller N first. Once one is over the limit, those after
            it are not tried: they take as long.
        folder: where the tensors lie that are not embedded.
        jobs: how many processes.
        limit: seconds for a cell.
        on_outcome: told what came of each cell.
    """
    waiting = deque(deque(batch) for batch in batches if batch)
    measurers = [Measurer(folder, jobs) for _ in range(min(jobs, len(waiting)))]
    try:
        while waiting or any(measurer.batch for measurer in measurers):
            for measurer in measurers:
                if not measurer.batch and waiting:
                    measurer.take(waiting.popleft(), limit)
            busy = [measurer for measurer in measurers if measurer.batch]
            soonest = min(measurer.deadline for measurer in busy)
            ready = wait([measurer.connection for measurer in busy], max(0, soonest - time.monotonic()))
            for measurer in busy:
                if measurer.connection in ready:
                    on_outcome(*measurer.outcome(limit))
                elif time.monotonic() >= measurer.deadline:
                    for cell in measurer.give_up():
                        on_outcome(cell, {"failed": f"over {limit:g} s", "limit": limit})
    finally:
        for measurer in measurers:
            measurer.end()


class Measurer:
    """A process that measures the cells of a batch, one after the other."""

    def __init__(self, folder, jobs):
        self._arguments = folder, jobs
        self.batch: deque[Cell] = deque()
        self.deadline = 0.0
        self._start()

    def _start(self):
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        theirs.close()

    def take(self, batch, limit):
        """Begin a batch."""
        self.batch = batch
        self._begin(limit)

    def _begin(self, limit):
        self.connection.send(self.batch[0])
        self.deadline = time.monotonic() + limit

    def outcome(self, limit):
        """The first cell and what came of it; the next one begins."""
        cell = self.batch.popleft()
        try:
            outcome = self.connection.recv()
        except EOFError:
            self._process.join()
            outcome = {"failed": f"its process ended with code {self._process.exitcode}", "limit": limit}
            self.end()
            self._start()
        if self.batch:
            self._begin(limit)
        return cell, outcome

    def give_up(self):
        """The cells of the batch, none of which will be measured."""
        self.end()
        self._start()
        left, self.batch = self.batch, deque()
        return left

    def end(self):
        """End the process."""
        self._process.kill()
        self._process.join()
        self.connection.close()


def _serve(connection: Connection, folder: Path | None, jobs: int) -> None:
    """What the process does: a cell comes, its outcome goes."""
    import jax

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The command ends its processes itself.
    set_up_jax()
    jax.config.update("jax_num_cpu_devices", max(1, num_cores() // jobs))
    while True:
        try:
            cell = connection.recv()
        except EOFError:
            return
        try:
            connection.send(measure_cell(cell, folder))
        except Exception as error:  # Whatever it is, the page tells it, and the other cells are measured.
            connection.send({"failed": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"})


def measure_cell(cell: Cell, folder: Path | None) -> dict:
    """What the runs of a cell did.

    `rank` and `missed` are of each run's recommended model: its rank, and on how many queries fewer than the best
    model it is right. `pulls` and `distinct_queries` are means.
    """
    from gembench.measures import ranks_of
    from gembench.simulate import simulate

    race, background = find_race(cell.race, cell.row.history, folder)
    num_models, num_queries = race.correct.shape
    started = time.perf_counter()
    runs = simulate(
        cell.row.policy,
        race,
        budget=cell.num_each * num_models,
        num_runs=cell.runs,
        seed=cell.seed,
        background=background,
    )
    seconds = time.perf_counter() - started
    num_right = race.correct.sum(axis=1, dtype=int)
    chosen = runs.recommended[:, 0]
    return {
        "rank": ranks_of(num_right)[chosen].tolist(),
        "missed": (num_right.max() - num_right[chosen]).tolist(),
        "pulls": float(runs.pulls.mean()),
        "distinct_queries": float(runs.distinct_queries.mean()),
        "num_models": num_models,
        "num_queries": num_queries,
        "num_histories": 0 if background is None else len(background.history),
        "seconds": round(seconds, 1),
    }
