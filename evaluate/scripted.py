"""A scripted evaluator: answers by hashing, without any model, for tests and dry trials.

Every answer is a pure function of the model's id and the request. A model's skill, drawn from its id, is how often it
gets a sum right ("17 + 25"), in a generation or as a choice; about anything else its opinions are arbitrary but firm.
It fails, hangs and crashes on command, as real engines do unasked.
"""

import os
import re
import signal
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b

from gembench.data.status import ModelStatus
from gembench.errors import UsageError
from gembench.evaluate.evaluator import (
    Answer,
    Checkpoint,
    EvaluatorFailure,
    Generate,
    LogLikelihood,
    Request,
    Settings,
)

_SUM = re.compile(r"(\d+) ?([-+*]) ?(\d+)")
_FOR_EVER = 1e8
"""Seconds that a hanging model sleeps."""
_WHERE_A_SUM_MAY_BE = 100
"""Characters at the end of a prompt that are searched for a sum: prompts can be long, and answers must be fast."""


class Scripted:
    """Answers of no model at all.

    Args:
        seconds_per_load: how long a load takes.
        seconds_per_request: how long an answer takes.
        failures: models that fail to load and how, as `model=status,model=status`.
        hangs: models, separated by commas, that never answer.
        crashes: models, separated by commas, at whose first answer the process dies of SIGSEGV.
        die_after: after how many answers, over all models, the process dies of SIGKILL.
        max_characters: prompts longer than this do not fit.
    """

    def __init__(
        self,
        seconds_per_load: float = 0.0,
        seconds_per_request: float = 0.0,
        failures: str = "",
        hangs: str = "",
        crashes: str = "",
        die_after: int | None = None,
        max_characters: int | None = None,
    ) -> None:
        self._seconds_per_load = seconds_per_load
        self._seconds_per_request = seconds_per_request
        self._failures = dict(_failure(entry) for entry in _entries(failures))
        self._hangs = frozenset(_entries(hangs))
        self._crashes = frozenset(_entries(crashes))
        self._answers_left = die_after
        self._max_characters = max_characters
        self._model: str | None = None

    @property
    def settings(self) -> Settings:
        """Its name and version, and what is too long for it."""
        return {"engine": "scripted", "engine_version": "1", "max_characters": self._max_characters}

    def load(self, checkpoint: Checkpoint) -> None:
        """Take a model's name. Its files are never looked at.

        Raises:
            EvaluatorFailure: as `failures` says.
        """
        self._model = None
        time.sleep(self._seconds_per_load)
        status = self._failures.get(checkpoint.model)
        if status is not None:
            raise EvaluatorFailure(status, f"{checkpoint.model}: fails as the script says ({status}).")
        self._model = checkpoint.model

    def answer(self, requests: Sequence[Request]) -> Iterator[tuple[int, Answer]]:
        """Answer in the order of the requests."""
        if self._model is None:
            raise RuntimeError("no model is loaded.")
        model = self._model
        key = blake2b(model.encode(), digest_size=32).digest()
        for position, request in enumerate(requests):
            if model in self._hangs:
                time.sleep(_FOR_EVER)
            if model in self._crashes:
                os.kill(os.getpid(), signal.SIGSEGV)
            if self._answers_left is not None:
                if self._answers_left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                self._answers_left -= 1
            if self._seconds_per_request:
                time.sleep(self._seconds_per_request)
            yield position, self._answer(key, request)

    def close(self) -> None:
        """Forget the model."""
        self._model = None

    def _answer(self, key: bytes, request: Request) -> Answer:
        prompt = request.prompt if isinstance(request, Generate) else request.context
        if self._max_characters is not None and len(prompt) > self._max_characters:
            return Answer(is_too_long=True)
        right = _sum_asked(prompt)
        knows = right is not None and _chance(key, prompt) < _skill(key)
        if isinstance(request, Generate):
            number = right if knows else int(1000 * _chance(key, prompt, "a"))
            return Answer(text=f" {number}", prompt_tokens=len(prompt.split()), completion_tokens=1)
        return _weigh(key, request, str(right) if knows else None)


def _weigh(key: bytes, request: LogLikelihood, believed: str | None) -> Answer:
    """A log-likelihood of -0.1 for what is believed, and of -1 to -10 for all else."""
    num_tokens = len(request.context.split()) + 1
    if believed is not None and request.continuation.strip() == believed:
        return Answer(log_likelihood=-0.1, is_greedy=True, prompt_tokens=num_tokens)
    chance = _chance(key, request.context, request.continuation)
    return Answer(log_likelihood=-1.0 - 9.0 * chance, prompt_tokens=num_tokens)


def _chance(key: bytes, text: str, more: str = "") -> float:
    """A number in [0, 1) from a model's key and what it was asked."""
    digest = blake2b(f"{text}\0{more}".encode(), digest_size=6, key=key).digest()
    return int.from_bytes(digest, "little") / 2.0**48


def _skill(key: bytes) -> float:
    """How often a model gets sums right: its key's first byte, from 0.1 to 0.9."""
    return 0.1 + 0.8 * key[0] / 255


@lru_cache(maxsize=4096)  # Many models are asked the same.
def _sum_asked(prompt: str) -> int | None:
    """The right answer to the last sum of a prompt, None if there is none."""
    sums = _SUM.findall(prompt[-_WHERE_A_SUM_MAY_BE:])
    if not sums:
        return None
    left, sign, right = sums[-1]
    a, b = int(left), int(right)
    return a + b if sign == "+" else a - b if sign == "-" else a * b


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def _failure(entry: str) -> tuple[str, ModelStatus]:
    model, _, status = entry.rpartition("=")
    if not model or status not in list(ModelStatus):
        known = ", ".join(ModelStatus)
        raise UsageError(f"failures={entry!r} is not model=status, with a status of {known}.")
    return model, ModelStatus(status)
