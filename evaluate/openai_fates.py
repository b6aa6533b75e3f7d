"""What the errors of a server that speaks OpenAI's protocol mean for the model that was asked."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import EvaluatorFailure

if TYPE_CHECKING:
    from openai import APIStatusError

_TOO_LONG = re.compile(r"context_length_exceeded|context (length|window|size)|max_model_len|too long", re.IGNORECASE)
_LONGEST_QUOTE = 300


def is_too_long(error: "APIStatusError") -> bool:
    """Whether a server refuses a request because prompt and answer do not fit the model's context."""
    return error.status_code in (400, 413, 422) and _TOO_LONG.search(str(error)) is not None


@dataclass(frozen=True)
class Fates:
    """How a server was asked, as far as its errors must be explained.

    Attributes:
        base_url: where the protocol begins.
        api_key_env: the environment variable that holds the key, "" for none.
        key: the key, which servers like to quote.
        request_timeout: seconds until a request is tried again.
        max_retries: how often it is.
    """

    base_url: str
    api_key_env: str
    key: str = field(repr=False)
    request_timeout: float
    max_retries: int

    def failure(self, error: Exception) -> EvaluatorFailure:
        """What became of a model at whose asking this error arose."""
        import openai

        match error:
            case openai.APITimeoutError():
                tries = f"for {self.request_timeout:g} s, {self.max_retries + 1} times"
                return EvaluatorFailure(ModelStatus.TIMEOUT, f"{self.base_url} left a request unanswered {tries}.")
            case openai.APIStatusError():
                return self._refusal(error.status_code, self._quote(error))
            case openai.APIConnectionError():
                what = f"cannot be reached ({self._quote(error.__cause__ or error)}); is the server running?"
                return EvaluatorFailure(ModelStatus.ENGINE_CRASHED, f"{self.base_url} {what}")
            case _:
                what = f"sent what the protocol does not know ({type(error).__name__}: {self._quote(error)})."
                return EvaluatorFailure(ModelStatus.ENGINE_CRASHED, f"{self.base_url} {what}")

    def no_likelihoods(self, why: str) -> EvaluatorFailure:
        """A server that cannot weigh a continuation."""
        return EvaluatorFailure(
            ModelStatus.UNSUPPORTED,
            f"{self.base_url} gives no log-likelihoods of a prompt ({why}); "
            f"use a server that does, such as vLLM, or a suite that only generates.",
        )

    def _refusal(self, code: int, said: str) -> EvaluatorFailure:
        if code in (401, 403):
            where = f"check the key in {self.api_key_env}" if self.api_key_env else "name its variable in api_key_env"
            return EvaluatorFailure(ModelStatus.GATED, f"{self.base_url} refuses access; {where}: {said}")
        if code == 429:
            return EvaluatorFailure(ModelStatus.TIMEOUT, f"{self.base_url} stayed too busy; lower concurrency: {said}")
        if code >= 500:
            return EvaluatorFailure(ModelStatus.ENGINE_CRASHED, f"{self.base_url} failed: {said}")
        if "echo" in said or "logprobs" in said:
            return self.no_likelihoods(said)
        return EvaluatorFailure(ModelStatus.UNSUPPORTED, f"{self.base_url} refuses the request: {said}")

    def _quote(self, error: BaseException) -> str:
        """What was said, in one line and without the key."""
        said = " ".join(str(error).split())
        return (said.replace(self.key, "***") if self.key else said)[:_LONGEST_QUOTE]
