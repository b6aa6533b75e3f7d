"""From requests to token ids and back, for every engine that holds the model itself.

The rules are those of lm-evaluation-harness for causal models (`lm_eval/api/model.py`, `TemplateLM._encode_pair` and
`TemplateLM.loglikelihood`; `lm_eval/models/huggingface.py`, `HFLM.tok_encode`), so that numbers agree with those that
people publish. One thing differs: where the harness cuts a prompt that does not fit, it is not asked at all.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import Answer, EvaluatorFailure, Generate, LogLikelihood
from gembench.extras import require_extra


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that is used here."""

    bos_token_id: int | None
    eos_token_id: int | None
    unk_token_id: int | None

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Token ids of a text."""
        ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool, clean_up_tokenization_spaces: bool) -> str:
        """Text of token ids."""
        ...

    def convert_tokens_to_ids(self, tokens: str) -> int | None:
        """Id of one token by its name."""
        ...


@dataclass(frozen=True)
class Pair:
    """A context and the continuation to be weighed after it, as token ids; neither end is ever cut."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.context) + len(self.continuation)


@dataclass(frozen=True)
class Prompt:
    """A text to continue, as token ids, and what ends the continuation.

    Attributes:
        tokens: the prompt.
        end_tokens: ids that end it: the model's own end, and stop strings that are a single special token.
        stop: the other stop strings.
        max_tokens: the most tokens to generate.
        temperature: 0 for the likeliest token at every step.
    """

    tokens: tuple[int, ...]
    end_tokens: frozenset[int]
    stop: tuple[str, ...]
    max_tokens: int
    temperature: float

    def seed(self, seed: int) -> int:
        """Of this prompt's draws: its own, so that they do not depend on what else is in its batch."""
        digest = hashlib.sha256(repr((seed, self.tokens)).encode()).digest()
        return int.from_bytes(digest[:7], "little")


class Codec:
    """Turns requests to one model into token ids, and its token ids into text.

    Args:
        tokenizer: the model's own.
        end_tokens: the ids that its generation config calls its end.
    """

    def __init__(self, tokenizer: Tokenizer, end_tokens: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        own_end = tokenizer.eos_token_id
        self._end_tokens = end_tokens if own_end is None else end_tokens | {own_end}
        first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        self._first_token = first
        self._first_text = "" if first is None else self._raw_text((first,))
        # The choices of one query share their context, and come one after another.
        self._encode_context = lru_cache(maxsize=1024)(self._encode)

    def pair(self, request: LogLikelihood) -> Pair:
        """Token ids of a log-likelihood request. White space at the end of the context goes with the continuation."""
        context = request.context.rstrip()
        continuation = request.context[len(context) :] + request.continuation
        context_tokens = self._encode_context(context) if context else ()
        if context_tokens:
            return Pair(context_tokens, self._encode(context + continuation)[len(context_tokens) :])
        tokens = tuple(self._tokenizer.encode(continuation, add_special_tokens=False))
        if self._first_token is None or tokens[:1] == (self._first_token,):
            return Pair(tokens[:1], tokens[1:])
        return Pair((self._first_token,), tokens)

    def prompt(self, request: Generate) -> Prompt:
        """Token ids of a generation request."""
        stop_tokens = {text: self._special_token(text) for text in request.stop if text}
        own_stops = {token for token in stop_tokens.values() if token is not None}
        return Prompt(
            tokens=self._encode(request.prompt),
            end_tokens=self._end_tokens | own_stops,
            stop=tuple(text for text, token in stop_tokens.items() if token is None),
            max_tokens=request.max_tokens,
            temperature=request.temperature,
        )

    def text(self, generated: Sequence[int], prompt: Prompt) -> str:
        """The text of generated token ids, up to the first end token or stop string."""
        end = next((i for i, token in enumerate(generated) if token in prompt.end_tokens), len(generated))
        text = self._plain_text(generated[:end])
        return text[: min((at for stop in prompt.stop if (at := text.find(stop)) >= 0), default=len(text))]

    def is_stopped(self, generated: Sequence[int], prompt: Prompt) -> bool:
        """Whether the newest of the generated token ids completes a stop string.

        A token is at least one byte of text, so a stop of n bytes that ends in the newest token lies in the last n
        tokens, and one more guards against decoders that drop a leading space.
        """
        if not prompt.stop:
            return False
        newest = generated[-1 - max(len(stop.encode()) for stop in prompt.stop) :]
        tail = self._plain_text(newest)
        return any(stop in tail for stop in prompt.stop)

    def _encode(self, text: str) -> tuple[int, ...]:
        has_first = bool(self._first_text) and text.startswith(self._first_text)
        return tuple(self._tokenizer.encode(text, add_special_tokens=not has_first))

    def _special_token(self, text: str) -> int | None:
        """The id of a special token with exactly this name: its text is left out of answers, so it stops by its id."""
        token = self._tokenizer.convert_tokens_to_ids(text)
        is_special = token is not None and token != self._tokenizer.unk_token_id and not self._plain_text((token,))
        return token if is_special else None

    def _plain_text(self, tokens: Sequence[int]) -> str:
        return self._tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def _raw_text(self, tokens: Sequence[int]) -> str:
        return self._tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False)


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model's folder; code that comes with a model is never run.

    Raises:
        EvaluatorFailure: NO_TOKENIZER, there is none or it cannot be read.
    """
    require_extra("hf", "transformers")
    from transformers import AutoTokenizer

    try:
        tokenizer: Tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the library raises whatever its parsers raise
        raise EvaluatorFailure(
            ModelStatus.NO_TOKENIZER,
            f"{folder.name}: its tokenizer cannot be read ({first_line(error)}); "
            f"add the tokenizer files of the model that it was made from.",
        ) from error
    return tokenizer


def nothing_to_weigh(pair: Pair) -> Answer:
    """The answer where a continuation adds no token to its context: it is certain."""
    return Answer(log_likelihood=0.0, is_greedy=True, prompt_tokens=len(pair))


def nan_logits(model: str) -> EvaluatorFailure:
    """What an engine raises when a model's logits are NaN."""
    return EvaluatorFailure(
        ModelStatus.NAN_LOGITS,
        f"{model}: its weights or its arithmetic give NaN; try dtype=float32, else the checkpoint is broken.",
    )


def first_line(error: BaseException) -> str:
    """What an error says, in one line fit for a sentence of ours."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0].strip()}"[:300].rstrip(".")
