"""What an evaluator and the process that hosts it say to each other: JSON, a message in each block of bytes.

The standard library's JSON, not a faster one: it needs no further package, keeps every float to the bit, infinities
and NaN among them, and lets half a surrogate pair through, which a broken tokenizer may well produce.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import Answer, Checkpoint, Generate, LogLikelihood, Request, Settings


@dataclass(frozen=True)
class Open:
    """Make the engine of that name, with these options. Answered by `Opened`."""

    engine: str
    options: Settings


@dataclass(frozen=True)
class CanSwap:
    """May this checkpoint be loaded into the engine as it stands? Answered by `Swappable`."""

    checkpoint: Checkpoint


@dataclass(frozen=True)
class Load:
    """Load a checkpoint. Answered by `Loaded`."""

    checkpoint: Checkpoint


@dataclass(frozen=True)
class Ask:
    """A part of the requests of one call of `answer`; answered after the last part, by `Answered` and then `Done`."""

    requests: Sequence[Request]
    is_last: bool


@dataclass(frozen=True)
class Stop:
    """No more answers are wanted. `Done` comes all the same."""


@dataclass(frozen=True)
class Close:
    """Close the engine and end."""


@dataclass(frozen=True)
class Opened:
    """The engine is made, and has these settings."""

    settings: Settings


@dataclass(frozen=True)
class Swappable:
    """Whether the checkpoint may be loaded in place of the one before."""

    can_swap: bool


@dataclass(frozen=True)
class Loaded:
    """The checkpoint answers from now on."""


@dataclass(frozen=True)
class Answered:
    """Some answers, each with its request's position among all parts."""

    answers: Sequence[tuple[int, Answer]]


@dataclass(frozen=True)
class Done:
    """No more answers come."""


@dataclass(frozen=True)
class Failed:
    """The model could not be measured; the engine lives on."""

    status: ModelStatus
    message: str


@dataclass(frozen=True)
class Refused:
    """The engine could not be made as it was asked for: a message for a person, and the command's exit code."""

    exit_code: int
    message: str


@dataclass(frozen=True)
class Crashed:
    """The engine raised what an evaluator must not raise. Its state is unknown."""

    summary: str


Call = Open | CanSwap | Load | Ask | Stop | Close
Reply = Opened | Swappable | Loaded | Answered | Done | Failed | Refused | Crashed


def encode(message: Call | Reply) -> bytes:
    """A message as bytes: a JSON list of its name and its fields."""
    fields: list[Any]
    match message:
        case Ask(requests, is_last):
            fields = [[_request_row(request) for request in requests], is_last]
        case Answered(answers):
            fields = [[(position, *answer) for position, answer in answers]]
        case Open(engine, options):
            fields = [engine, dict(options)]
        case Opened(settings):
            fields = [dict(settings)]
        case Load(checkpoint) | CanSwap(checkpoint):
            base = checkpoint.base_folder
            fields = [checkpoint.model, str(checkpoint.folder), None if base is None else str(base)]
        case _:
            fields = list(vars(message).values())
    return json.dumps([type(message).__name__, *fields], separators=(",", ":")).encode()


def decode(block: bytes) -> Call | Reply:
    """The message that `encode` made these bytes from."""
    name, *fields = json.loads(block.decode())
    match name:
        case "Ask":
            rows, is_last = fields
            return Ask([_request(row) for row in rows], is_last)
        case "Answered":
            (rows,) = fields
            return Answered([(position, Answer(*answer)) for position, *answer in rows])
        case "Load" | "CanSwap":
            model, folder, base = fields
            checkpoint = Checkpoint(model, Path(folder), None if base is None else Path(base))
            return Load(checkpoint) if name == "Load" else CanSwap(checkpoint)
        case "Failed":
            status, message = fields
            return Failed(ModelStatus(status), message)
        case _:
            return _PLAIN[name](*fields)


_PLAIN: dict[str, type[Call] | type[Reply]] = {
    kind.__name__: kind for kind in (Open, Stop, Close, Opened, Swappable, Loaded, Done, Refused, Crashed)
}


def _request_row(request: Request) -> list[Any]:
    """Rows of two are log-likelihoods, rows of four generations."""
    if isinstance(request, LogLikelihood):
        return [request.context, request.continuation]
    return [request.prompt, request.stop, request.max_tokens, request.temperature]


def _request(row: list[Any]) -> Request:
    if len(row) == 2:
        return LogLikelihood(*row)
    prompt, stop, max_tokens, temperature = row
    return Generate(prompt, tuple(stop), max_tokens, temperature)
