"""Models behind any server that speaks OpenAI's completions protocol: vLLM, SGLang, llama.cpp, and those for hire.

Requests go out through the `openai` package rather than bare HTTP, for what it does between the lines: it tries again
after 408, 409, 429, 5xx and lost connections, waits longer each time, and as long as a Retry-After header says.
"""

import asyncio
import difflib
import math
import os
from collections.abc import Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

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
from gembench.evaluate.openai_fates import Fates, is_too_long
from gembench.extras import require_extra

if TYPE_CHECKING:
    from openai.types import Completion

_T = TypeVar("_T")


class OpenAiServer:
    """An evaluator whose models a server holds.

    Generations go to the completions endpoint, with the prompt as it stands. Log-likelihoods ask it to echo the prompt
    with the probability of each token (`echo`, `logprobs`, `max_tokens=0`), which vLLM does and many others refuse.

    Args:
        base_url: where the protocol begins, such as http://localhost:8000/v1.
        api_key_env: the environment variable that holds the key; "" for a server that wants none.
        concurrency: the most requests in flight.
        request_timeout: seconds until an unanswered request is tried again.
        max_retries: how often a request is tried again.

    Raises:
        MissingExtraError: the `openai` extra is not installed.
        UsageError: the URL is none, or holds a password; the variable is not set; a number is out of range.
    """

    def __init__(
        self,
        base_url: str,
        api_key_env: str = "",
        concurrency: int = 64,
        request_timeout: float = 600.0,
        max_retries: int = 6,
    ) -> None:
        require_extra("openai", "openai")
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"base_url must be like http://localhost:8000/v1, got '{base_url}'.")
        if parts.username or parts.password or parts.query:
            raise UsageError("base_url must hold no name, password or query; name the key's variable in api_key_env.")
        if api_key_env and not os.environ.get(api_key_env):
            raise UsageError(f"the environment variable {api_key_env}, which should hold the server's key, is not set.")
        if concurrency < 1 or max_retries < 0 or not 0 < request_timeout < math.inf:
            raise UsageError(
                f"concurrency and request_timeout must be positive and max_retries not negative, "
                f"got {concurrency}, {request_timeout} and {max_retries}."
            )
        self._base_url = base_url
        self._key = os.environ[api_key_env] if api_key_env else ""
        self._fates = Fates(base_url, api_key_env, self._key, request_timeout, max_retries)
        self._concurrency = concurrency
        self._request_timeout = request_timeout
        self._max_retries = max_retries
        self._session: _Session | None = None
        self._model = ""

    @property
    def settings(self) -> Settings:
        """The server's address, all that is known of what answers."""
        return {"engine": "openai", "base_url": self._base_url}

    def load(self, checkpoint: Checkpoint) -> None:
        """Look the model up among those that the server holds: by its id, its id without revision, or its folder.

        Raises:
            EvaluatorFailure: NOT_FOUND, the server holds none of these; or the server cannot be asked.
        """
        if self._session is None:
            self._session = _Session(self._base_url, self._key, self._request_timeout, self._max_retries)
        self._model = ""
        held = self._session.run(self._guarded(self._session.model_ids()))
        names = (checkpoint.model, checkpoint.model.partition("@")[0], str(checkpoint.folder))
        found = [name for name in names if name in held]
        if not found:
            near = difflib.get_close_matches(names[1], held, n=3, cutoff=0.3) or held[:3]
            hint = (
                f"it holds {', '.join(near)}{' and others' if len(held) > len(near) else ''}" if held else "it is empty"
            )
            raise EvaluatorFailure(ModelStatus.NOT_FOUND, f"{self._base_url} has no model {names[1]}; {hint}.")
        self._model = found[0]

    def answer(self, requests: Sequence[Request]) -> Iterator[tuple[int, Answer]]:
        """Yield (position, answer) as the server answers, many requests in flight."""
        if self._session is None or not self._model:
            raise RuntimeError("no model is loaded.")
        session = self._session
        answered: asyncio.Queue[tuple[int, Answer] | BaseException] = asyncio.Queue()
        waiting = iter(enumerate(requests))

        async def ask_in_turn() -> None:
            try:
                for position, request in waiting:
                    answered.put_nowait((position, await self._guarded(self._ask(request))))
            except Exception as error:  # the caller raises it
                answered.put_nowait(error)

        num_askers = min(self._concurrency, len(requests))
        askers = [session.loop.create_task(ask_in_turn()) for _ in range(num_askers)]
        try:
            for _ in requests:
                item = session.run(answered.get()) if answered.empty() else answered.get_nowait()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            session.cancel(askers)

    def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            self._session.close()
            self._session = None

    async def _ask(self, request: Request) -> Answer:
        from openai import APIStatusError

        try:
            return await (self._generate(request) if isinstance(request, Generate) else self._weigh(request))
        except APIStatusError as error:
            if is_too_long(error):
                return Answer(is_too_long=True)
            raise

    async def _complete(self, prompt: str, **more: Any) -> "Completion":
        if self._session is None:
            raise RuntimeError("the server was closed in the middle of an answer.")
        return await self._session.client.completions.create(model=self._model, prompt=prompt, **more)

    async def _generate(self, request: Generate) -> Answer:
        stop = {"stop": list(request.stop)} if request.stop else {}
        completion = await self._complete(
            request.prompt, max_tokens=request.max_tokens, temperature=request.temperature, **stop
        )
        text = completion.choices[0].text
        if not isinstance(text, str):
            raise TypeError("its text is missing")
        num_in, num_out = _num_tokens(completion)
        return Answer(text=text, prompt_tokens=num_in, completion_tokens=num_out)

    async def _weigh(self, request: LogLikelihood) -> Answer:
        # As the harness has it: white space at the end of the context goes with the continuation.
        context = request.context.rstrip()
        whole = request.context + request.continuation
        completion = await self._complete(whole, echo=True, logprobs=1, max_tokens=0, temperature=0)
        logprobs = completion.choices[0].logprobs
        if logprobs is None or not logprobs.tokens or not logprobs.token_logprobs:
            raise self._fates.no_likelihoods("it sends none")
        num_in, _ = _num_tokens(completion)
        end = num_in or len(logprobs.tokens)  # Some servers generate a token all the same.
        start = _first_token_after(context, whole, logprobs.tokens[:end])
        if start is None:
            start, _ = _num_tokens(await self._complete(context, max_tokens=1, temperature=0))
        own = logprobs.token_logprobs[start:end]
        if None in own or len(logprobs.token_logprobs) < end:
            raise self._fates.no_likelihoods("it leaves tokens out")
        likeliest = [max(top.values()) for top in (logprobs.top_logprobs or [])[start:end]]
        return Answer(
            log_likelihood=math.fsum(own),
            is_greedy=all(mine >= best for mine, best in zip(own, likeliest, strict=True)),
            prompt_tokens=num_in,
        )

    async def _guarded(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of some asking, whatever goes wrong told as a model's fate."""
        import openai

        try:
            return await work
        except EvaluatorFailure:
            raise
        except (openai.OpenAIError, ValueError, TypeError, AttributeError, LookupError) as error:
            raise self._fates.failure(error) from error


class _Session:
    """A client, and the event loop that it lives in, which turns only while somebody waits for it."""

    def __init__(self, base_url: str, key: str, timeout: float, max_retries: int) -> None:
        from openai import AsyncOpenAI

        self.loop = asyncio.new_event_loop()
        self.client = AsyncOpenAI(base_url=base_url, api_key=key or "none", timeout=timeout, max_retries=max_retries)

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self.loop.run_until_complete(work)

    async def model_ids(self) -> list[str]:
        return [model.id async for model in self.client.models.list()]

    def cancel(self, tasks: Sequence["asyncio.Task[None]"]) -> None:
        for task in tasks:
            task.cancel()
        if not self.loop.is_closed():
            self.run(_all_ended(tasks))

    def close(self) -> None:
        self.run(self.client.close())
        self.run(self.loop.shutdown_asyncgens())
        self.loop.close()


async def _all_ended(tasks: Sequence["asyncio.Task[None]"]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


def _num_tokens(completion: "Completion") -> tuple[int, int]:
    """How many tokens went in and came out; 0 where the server does not count."""
    usage = completion.usage
    return (usage.prompt_tokens or 0, usage.completion_tokens or 0) if usage is not None else (0, 0)


def _first_token_after(context: str, whole: str, tokens: Sequence[str]) -> int | None:
    """The position of the first token that reaches beyond the context; None if the tokens do not spell the text.

    Counted from the end, since some servers put a token of their own before the prompt. Texts are not spelled by
    their tokens where a character is cut into several.
    """
    length = len(whole) - len(context)
    position, tail = len(tokens), ""
    while position > 0 and len(tail) < length:
        position -= 1
        tail = tokens[position] + tail
    return position if tail[len(tail) - length :] == whole[len(context) :] else None
