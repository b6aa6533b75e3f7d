"""The evaluator contract: what answers queries live.

An evaluator holds one model at a time. It is given requests, the smallest things that a model can be asked, and hands
each answer out as soon as it has it, in whatever order suits its batches. Prompts and grades are not its business.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from gembench.data.status import ModelStatus
from gembench.errors import GembenchError

Settings = Mapping[str, str | int | float | bool | None]
"""What an evaluator's answers depend on, beside the model: its name, version, number type and sampling."""


@dataclass(frozen=True)
class Checkpoint:
    """A model on this machine's disk, checked before any engine sees it.

    Attributes:
        model: its id in the tensor, `org/name@revision` or a name of the user's.
        folder: its files: config, tokenizer and safetensors weights, or a LoRA adapter's; a path of any name for a
            model that a server holds.
        base_folder: where `folder` holds a LoRA adapter, the files of the model that it adapts.
    """

    model: str
    folder: Path
    base_folder: Path | None = None


@dataclass(frozen=True)
class Generate:
    """Continue a prompt until a stop string, the model's own end, or `max_tokens`.

    Attributes:
        prompt: the text as the model meets it, chat template and all.
        stop: texts that end the answer and are cut off it.
        max_tokens: the most tokens to generate.
        temperature: 0 for the likeliest token at every step.
    """

    prompt: str
    stop: tuple[str, ...] = ()
    max_tokens: int = 256
    temperature: float = 0.0


@dataclass(frozen=True)
class LogLikelihood:
    """How likely a continuation is after a context."""

    context: str
    continuation: str


Request = Generate | LogLikelihood


class Answer(NamedTuple):
    """What a model made of one request.

    Attributes:
        text: what was generated, without the stop string; "" for a log-likelihood.
        log_likelihood: natural logarithm of the continuation's probability; None for a generation.
        is_greedy: whether every token of the continuation is the likeliest one.
        prompt_tokens: tokens that went in (for a log-likelihood, context and continuation).
        completion_tokens: tokens that were generated.
        is_too_long: the prompt does not fit the model's context. It was not asked, and the rest means nothing.
    """

    text: str = ""
    log_likelihood: float | None = None
    is_greedy: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    is_too_long: bool = False


class EvaluatorFailure(GembenchError):  # noqa: N818, a measured outcome, not a mistake
    """A model that could not be measured: `status` says in which way, the message what a person can do about it."""

    def __init__(self, status: ModelStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class EvaluatorLost(GembenchError):  # noqa: N818, as above
    """An evaluator went away with its machine: no fault of the model's, which another evaluator takes up."""


class Evaluator(Protocol):
    """What answers queries. Not thread-safe: each worker has its own."""

    @property
    def settings(self) -> Settings:
        """What its answers depend on beside the model; known before any model is loaded."""
        ...

    def load(self, checkpoint: Checkpoint) -> None:
        """Make this the model that answers, in place of the one before.

        Raises:
            EvaluatorFailure: the model cannot be used. Another may be loaded after it.
        """
        ...

    def answer(self, requests: Sequence[Request]) -> Iterator[tuple[int, Answer]]:
        """Yield (position in `requests`, answer), each once, in any order, each as soon as it is there.

        Raises:
            EvaluatorFailure: the model failed; what was yielded before stands.
        """
        ...

    def close(self) -> None:
        """Give back memory and processes. Idempotent; only `load` may follow."""
        ...


class SwappingEvaluator(Evaluator, Protocol):
    """An evaluator that may put a model's weights into the engine that held the model before."""

    @property
    def is_fresh(self) -> bool:
        """Whether the engine was started for the present model, and held none before it."""
        ...

    def restart(self) -> None:
        """End the engine, so that the next model is loaded into a fresh one."""
        ...
