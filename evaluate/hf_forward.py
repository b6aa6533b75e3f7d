"""Batches through a transformers model: log-likelihoods in two passes, and generation with a growing cache.

A context that several continuations share is run once; its keys and values are then handed to each of them. No token
is computed twice, and logits are made only where they are read.
"""

import inspect
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch

from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import Answer, EvaluatorFailure, LogLikelihood, Request
from gembench.evaluate.tokens import Codec, Pair, Prompt, nan_logits, nothing_to_weigh

Answers = Iterator[tuple[int, Answer]]


class Work(Protocol):
    """Something that is run as a whole: `rows` sequences of at most `width` tokens, for requests at `positions`."""

    @property
    def positions(self) -> Sequence[int]: ...  # noqa: D102

    @property
    def rows(self) -> int: ...  # noqa: D102

    @property
    def width(self) -> int: ...  # noqa: D102


WorkT = TypeVar("WorkT", bound=Work)


@dataclass(frozen=True)
class Family:
    """All continuations of one context."""

    context: tuple[int, ...]
    positions: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]

    @property
    def rows(self) -> int:
        """One sequence a continuation."""
        return len(self.continuations)

    @property
    def width(self) -> int:
        """Tokens of the context and the longest continuation."""
        return len(self.context) + max(map(len, self.continuations))


@dataclass(frozen=True)
class Writing:
    """One prompt to continue."""

    position: int
    prompt: Prompt
    rows: int = 1

    @property
    def positions(self) -> tuple[int]:
        """Its only request."""
        return (self.position,)

    @property
    def width(self) -> int:
        """The most tokens that it can come to."""
        return len(self.prompt.tokens) + self.prompt.max_tokens


_Row = tuple[Writing, torch.Generator | None, list[int]]
"""A prompt on its way: where its draws come from, and the tokens generated so far."""


class Forward:
    """A loaded model and its tokenizer, ready to answer.

    Args:
        model: a transformers causal language model.
        codec: of its tokenizer.
        name: what failures call it.
        max_length: its longest context, tokens.
        max_batch_tokens: the most tokens in a batch, padding included.
        seed: of draws at a temperature.
    """

    def __init__(self, model: Any, codec: Codec, name: str, max_length: int, max_batch_tokens: int, seed: int) -> None:
        self.max_batch_tokens = max_batch_tokens
        self._model = model
        self._codec = codec
        self._name = name
        self._max_length = max_length
        self._seed = seed
        self._device = next(model.parameters()).device
        self._takes = inspect.signature(model.forward).parameters

    def answer(self, requests: Sequence[Request]) -> Answers:
        """Answer each request once, batch by batch.

        Raises:
            EvaluatorFailure: NAN_LOGITS or OUT_OF_MEMORY.
        """
        pairs: dict[tuple[int, ...], dict[int, Pair]] = {}
        writings: list[Writing] = []
        for position, request in enumerate(requests):
            if isinstance(request, LogLikelihood):
                pair = self._codec.pair(request)
                # The last token is only predicted, never read: it needs no room.
                if len(pair) > self._max_length + 1:
                    yield position, Answer(is_too_long=True)
                elif not pair.continuation:
                    yield position, nothing_to_weigh(pair)
                else:
                    pairs.setdefault(pair.context, {})[position] = pair
            else:
                writing = Writing(position, self._codec.prompt(request))
                if writing.width > self._max_length:
                    yield position, Answer(is_too_long=True)
                else:
                    writings.append(writing)
        families = [
            Family(context, tuple(some), tuple(pair.continuation for pair in some.values()))
            for context, some in pairs.items()
        ]
        yield from self._in_batches(families, self._weigh)
        yield from self._in_batches(writings, self._write)

    def _in_batches(self, work: Sequence[WorkT], run: Callable[[Sequence[WorkT]], Answers]) -> Answers:
        """Run work in batches of like length, longest first, so that memory runs out at once or never."""
        queue = deque(self._split(sorted(work, key=lambda item: item.width, reverse=True)))
        while queue:
            batch = queue.popleft()
            answered = set()
            try:
                for position, answer in run(batch):
                    answered.add(position)
                    yield position, answer
                continue
            except RuntimeError as error:  # torch.OutOfMemoryError is one; a full CPU's has no class of its own
                if not _is_out_of_memory(error):
                    raise
                if len(batch) == 1:
                    raise EvaluatorFailure(
                        ModelStatus.OUT_OF_MEMORY,
                        f"{self._name}: one request of {batch[0].rows} x {batch[0].width} tokens does not fit into "
                        f"memory; set max_model_len lower, or use a larger device.",
                    ) from error
            # Outside the handler, so that the error no longer holds on to the failed batch's arrays.
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            self.max_batch_tokens = max(1, _tokens(batch) // 2)
            left = [item for item in batch if item.positions[0] not in answered]
            queue = deque(self._split([*left, *(item for later in queue for item in later)]))

    def _split(self, work: Sequence[WorkT]) -> Iterator[list[WorkT]]:
        batch: list[WorkT] = []
        for item in work:
            if batch and _tokens([*batch, item]) > self.max_batch_tokens:
                yield batch
                batch = []
            batch.append(item)
        if batch:
            yield batch

    def _weigh(self, families: Sequence[Family]) -> Answers:
        """The log-likelihoods of a batch: all contexts at once, then all their continuations at once."""
        first_logits, cache, mask = self._read_prompts([family.context for family in families])
        owners = [i for i, family in enumerate(families) for _ in family.continuations]
        targets = [continuation for family in families for continuation in family.continuations]
        firsts = _log_probabilities(first_logits[owners, 0], torch.tensor([t[0] for t in targets], device=self._device))
        scores = [firsts[row : row + 1] for row in range(len(targets))]
        long_rows = [row for row, target in enumerate(targets) if len(target) > 1]
        if long_rows:
            of_long = torch.tensor([owners[row] for row in long_rows], device=self._device)
            cache.reorder_cache(of_long)
            logits = self._read_continuations([targets[row][:-1] for row in long_rows], cache, mask[of_long])
            for i, row in enumerate(long_rows):
                rest = torch.tensor(targets[row][1:], device=self._device)
                scores[row] = torch.cat([scores[row], _log_probabilities(logits[i, : len(rest)], rest)])
        totals = torch.stack([torch.stack([row[:, 0].sum(), row[:, 1].min()]) for row in scores]).tolist()
        positions = [position for family in families for position in family.positions]
        for position, owner, target, (total, is_greedy) in zip(positions, owners, targets, totals, strict=True):
            if total != total:
                raise nan_logits(self._name)
            num_tokens = len(families[owner].context) + len(target)
            yield position, Answer(log_likelihood=total, is_greedy=is_greedy == 1.0, prompt_tokens=num_tokens)

    def _write(self, writings: Sequence[Writing]) -> Answers:
        """Continue a batch of prompts; rows leave it as they end."""
        logits, cache, mask = self._read_prompts([writing.prompt.tokens for writing in writings])
        rows = [(writing, self._generator(writing.prompt), list[int]()) for writing in writings]
        while True:
            tokens = self._draw(logits[:, -1], rows)
            ended = []
            for row, ((writing, _, generated), token) in enumerate(zip(rows, tokens, strict=True)):
                generated.append(token)
                if self._is_over(writing.prompt, generated):
                    ended.append(row)
                    yield writing.position, self._written(writing.prompt, generated)
            if len(ended) == len(rows):
                return
            if ended:
                kept = [row for row in range(len(rows)) if row not in set(ended)]
                rows, tokens = [rows[row] for row in kept], [tokens[row] for row in kept]
                selection = torch.tensor(kept, device=self._device)
                cache.reorder_cache(selection)
                mask = mask[selection]
            logits = self._read_continuations([(token,) for token in tokens], cache, mask)
            mask = torch.nn.functional.pad(mask, (0, 1), value=1)

    def _read_prompts(self, prompts: Sequence[tuple[int, ...]]) -> tuple[torch.Tensor, Any, torch.Tensor]:
        """Run prompts, padded on the left so that all end at one place: last logits [B, 1, V], cache, mask [B, S]."""
        width = max(map(len, prompts))
        tokens = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=self._device)
        mask = torch.tensor(
            [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=self._device
        )
        output = self._run(tokens, mask, cache=None, num_logits=1)
        return output.logits, output.past_key_values, mask

    def _read_continuations(self, tokens: Sequence[tuple[int, ...]], cache: Any, mask: torch.Tensor) -> torch.Tensor:
        """Run what follows cached tokens, padded on the right, where nothing looks: logits [B, T, V]."""
        width = max(map(len, tokens))
        rows = torch.tensor([[*some, *[0] * (width - len(some))] for some in tokens], device=self._device)
        logits: torch.Tensor = self._run(rows, torch.nn.functional.pad(mask, (0, width), value=1), cache, width).logits
        return logits

    def _run(self, tokens: torch.Tensor, mask: torch.Tensor, cache: Any, num_logits: int) -> Any:
        arguments: dict[str, Any] = {"input_ids": tokens, "attention_mask": mask, "use_cache": True}
        if cache is not None:
            arguments["past_key_values"] = cache
        if "position_ids" in self._takes:
            arguments["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        if "logits_to_keep" in self._takes:
            arguments["logits_to_keep"] = num_logits
        with torch.inference_mode():
            output = self._model(**arguments)
        output.logits = output.logits[:, -num_logits:]
        return output

    def _draw(
        self, logits: torch.Tensor, rows: Sequence[tuple[Writing, torch.Generator | None, list[int]]]
    ) -> list[int]:
        """The next token of every row, [B]: the likeliest, or drawn where the request has a temperature."""
        if bool(torch.isnan(logits).any()):
            raise nan_logits(self._name)
        tokens: list[int] = logits.argmax(-1).tolist()
        for row, (writing, generator, _) in enumerate(rows):
            if generator is not None:
                heat = torch.softmax(logits[row].float() / writing.prompt.temperature, -1)
                tokens[row] = int(torch.multinomial(heat, 1, generator=generator))
        return tokens

    def _generator(self, prompt: Prompt) -> torch.Generator | None:
        """The source of a request's draws, None for a request without any."""
        if prompt.temperature == 0:
            return None
        return torch.Generator(self._device).manual_seed(prompt.seed(self._seed))

    def _is_over(self, prompt: Prompt, generated: Sequence[int]) -> bool:
        return (
            generated[-1] in prompt.end_tokens
            or len(generated) >= prompt.max_tokens
            or self._codec.is_stopped(generated, prompt)
        )

    def _written(self, prompt: Prompt, generated: Sequence[int]) -> Answer:
        return Answer(
            text=self._codec.text(generated, prompt),
            prompt_tokens=len(prompt.tokens),
            completion_tokens=len(generated),
        )


def _log_probabilities(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """[N, 2] float32 of logits [N, V] and targets [N]: log-probability, and 1 where no token is likelier."""
    wide = logits.float()
    chosen = wide.gather(1, targets[:, None])[:, 0]
    return torch.stack([chosen - wide.logsumexp(1), (chosen >= wide.amax(1)).float()], 1)


def _tokens(batch: Sequence[Work]) -> int:
    """Tokens of a batch, padding included."""
    return sum(item.rows for item in batch) * max(item.width for item in batch)


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
