"""What a recording tells while it goes on, and what it reports at its end."""

from dataclasses import dataclass
from typing import Literal

from gembench.data.status import ModelStatus


@dataclass(frozen=True)
class ModelStarted:
    """A model is about to be loaded; `num_left` of its queries are still to be answered."""

    model: str
    num_left: int
    kind: Literal["model_started"] = "model_started"


@dataclass(frozen=True)
class CellsCommitted:
    """Some of a model's cells are safe on the disk."""

    model: str
    num_cells: int
    num_tokens: int
    kind: Literal["cells_committed"] = "cells_committed"


@dataclass(frozen=True)
class ModelEnded:
    """A model is done with, for better or worse.

    Attributes:
        model: its id.
        status: what became of it.
        message: what a person can do about it, "" where nothing is to be done.
        num_cells: cells committed in this session.
        load_seconds: seconds until it could answer; None if it never could.
        seconds: seconds in all, loading and answering.
    """

    model: str
    status: ModelStatus
    message: str
    num_cells: int
    load_seconds: float | None
    seconds: float
    kind: Literal["model_ended"] = "model_ended"


@dataclass(frozen=True)
class CanaryAsked:
    """A fresh engine answered some prompts of a swapped model again.

    Attributes:
        model: the model that was swapped in.
        agrees: whether its answers were the same.
        again: the models whose rows are not to be trusted, and are recorded again.
        num_cells: how many cells those rows had.
    """

    model: str
    agrees: bool
    again: tuple[str, ...] = ()
    num_cells: int = 0
    kind: Literal["canary_asked"] = "canary_asked"


@dataclass(frozen=True)
class WorkerLost:
    """A worker is gone; the model that it had is taken up by another."""

    model: str
    message: str
    kind: Literal["worker_lost"] = "worker_lost"


Event = ModelStarted | CellsCommitted | ModelEnded | CanaryAsked | WorkerLost
