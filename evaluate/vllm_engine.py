"""The vLLM engine: answers stream out as they are made, and checkpoints of one shape follow each other in one engine.

It runs in this process, without vLLM's own engine process, so that its errors and its memory are this process's. Host
it in `EngineProcess`: an engine that cannot take the next model is then replaced with its process.
"""

import gc
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from gembench.evaluate.adapters import Adapter
from gembench.evaluate.evaluator import Answer, Checkpoint, EvaluatorFailure, LogLikelihood, Request, Settings
from gembench.evaluate.hf_loading import check_weights_fit
from gembench.evaluate.hot_swap import why_no_swap
from gembench.evaluate.loadable import Loadable, check_loadable
from gembench.evaluate.tokens import Codec, Pair, Prompt, load_tokenizer, nan_logits, nothing_to_weigh
from gembench.evaluate.vllm_failures import failure_of_load
from gembench.evaluate.vllm_head import can_share_anew, share_anew
from gembench.evaluate.vllm_options import check_engine_arguments, settings_of
from gembench.evaluate.vllm_requests import read_answer, sampling_params
from gembench.extras import require_extra

_MOST_UNFINISHED = 2048
"""Requests that the engine holds at a time: enough to fill its batches, and few enough to start at once."""
_SIGN_OF_NAN = "NaNs detected in logits"
_ENVIRONMENT = {
    # An engine process of vLLM's own would hide why it failed.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    # Else it goes on with whatever token comes of them.
    "VLLM_RAISE_ON_LOGIT_NANS": "1",
    "VLLM_NO_USAGE_STATS": "1",
}
"""What vLLM reads when it starts, where the user's environment says nothing."""


class VllmEngine:
    """Answers by vLLM.

    Args:
        hot_swap: whether a checkpoint of the same shape may be read into the live engine.
        engine_arguments: vLLM's own, under its names, such as `gpu_memory_utilization=0.8`.

    Raises:
        UsageError: vLLM has no such argument.
        MissingExtraError: vLLM is not installed.
    """

    def __init__(self, *, hot_swap: bool = True, **engine_arguments: Any) -> None:
        require_extra("vllm", "vllm", "accelerate")
        check_engine_arguments(engine_arguments)
        self._hot_swap = hot_swap
        self._arguments = engine_arguments
        self._seed = int(engine_arguments.get("seed") or 0)
        self._engine: Any = None
        self._live: Loadable | None = None
        self._lora: Any = None
        self._codec: Codec | None = None
        self._model = ""
        self._is_spoiled = False
        self._num_requests = 0
        self._num_adapters = 0

    @property
    def settings(self) -> Settings:
        """What its answers depend on beside the model."""
        return settings_of(self._arguments)

    def can_swap(self, checkpoint: Checkpoint) -> bool:
        """Whether this process can take the checkpoint: into its live engine, or into the first one; never raises."""
        if self._is_spoiled:
            return False
        if self._engine is None:
            return True
        try:
            return not self._why_no_swap(checkpoint, check_loadable(checkpoint))
        except EvaluatorFailure:
            # `load` says so without touching the engine.
            return True

    def load(self, checkpoint: Checkpoint) -> None:
        """Read the model into the live engine where that is safe, else into a fresh one.

        Raises:
            EvaluatorFailure: the model cannot be used.
        """
        self._codec = None
        new = check_loadable(checkpoint)
        tokenizer = load_tokenizer(new.tokenizer_folder)
        is_swap = self._engine is not None and not self._why_no_swap(checkpoint, new)
        try:
            if is_swap:
                self._swap(checkpoint, new)
            else:
                self.close()
                check_weights_fit(checkpoint.model, new)
                self._start(checkpoint, new)
            if checkpoint.base_folder is not None:
                self._add_adapter(checkpoint)
        except EvaluatorFailure:
            raise
        except Exception as error:
            self._give_up()
            raise failure_of_load(checkpoint.model, error) from error
        self._live = new
        self._model = checkpoint.model
        # Stop strings are looked for in text, which must be this model's.
        self._engine.output_processor.tokenizer = tokenizer
        self._codec = Codec(tokenizer, new.end_tokens)

    def answer(self, requests: Sequence[Request]) -> Iterator[tuple[int, Answer]]:
        """Answer in the order in which vLLM is done with them.

        Raises:
            EvaluatorFailure: NAN_LOGITS.
        """
        codec = self._codec
        if codec is None:
            raise RuntimeError("no model is loaded.")
        asked: dict[str, tuple[int, Pair | Prompt]] = {}
        waiting = iter(enumerate(requests))
        try:
            while True:
                for position, request in islice(waiting, _MOST_UNFINISHED - len(asked)):
                    tokens = codec.pair(request) if isinstance(request, LogLikelihood) else codec.prompt(request)
                    at_once = self._without_asking(tokens)
                    if at_once is not None:
                        yield position, at_once
                    else:
                        asked[self._ask(tokens)] = (position, tokens)
                if not asked:
                    return
                for output in self._step():
                    if output.finished:
                        position, tokens = asked.pop(output.request_id)
                        yield position, read_answer(output, tokens, codec, self._model)
        finally:
            if asked and self._engine is not None:
                self._engine.abort_request(list(asked))

    def close(self) -> None:
        """Give back the engine's memory."""
        self._codec = None
        self._live = None
        self._lora = None
        if self._engine is None:
            return
        engine, self._engine = self._engine, None
        from vllm.distributed import cleanup_dist_env_and_memory

        engine.engine_core.shutdown()
        del engine
        gc.collect()
        cleanup_dist_env_and_memory()

    def _why_no_swap(self, checkpoint: Checkpoint, new: Loadable) -> str:
        if self._live is None or not self._hot_swap:
            return "swaps are off"
        serves_adapters = self._engine.vllm_config.lora_config is not None
        if checkpoint.base_folder is None:
            if serves_adapters:
                return "the engine serves adapters"
            if self._shares_output_layer() and not all(self._engine.collective_rpc(can_share_anew)):
                return "it shares weights between more layers than an embedding and an output layer"
            return why_no_swap(self._live, new)
        if not serves_adapters or self._live.model_folder != new.model_folder:
            return "the engine holds another base model"
        fits = Adapter.of(checkpoint).fits(self._engine.vllm_config.lora_config)
        return "" if fits else "the engine has no room for its rank or layers"

    def _shares_output_layer(self) -> bool:
        """Whether the live model's output layer has the embedding's weights; files may be silent, the engine knows."""
        return bool(getattr(self._engine.vllm_config.model_config.hf_text_config, "tie_word_embeddings", False))

    def _start(self, checkpoint: Checkpoint, new: Loadable) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from vllm import EngineArgs, LLMEngine

        adapters = {} if checkpoint.base_folder is None else Adapter.of(checkpoint).engine_arguments()
        arguments = EngineArgs(
            model=str(new.model_folder),
            tokenizer=str(new.tokenizer_folder),
            **{"disable_log_stats": True, "seed": 0, **adapters, **self._arguments},
        )
        self._engine = LLMEngine.from_engine_args(arguments)

    def _swap(self, checkpoint: Checkpoint, new: Loadable) -> None:
        """Read other weights into the live engine, and let it forget what it computed with the old ones."""
        if checkpoint.base_folder is None:
            self._engine.collective_rpc("reload_weights", kwargs={"weights_path": str(new.model_folder)})
            if self._shares_output_layer():
                self._engine.collective_rpc(share_anew)
        if not self._engine.reset_prefix_cache():
            raise RuntimeError("vLLM could not clear its prefix cache, which holds keys of the model before.")

    def _add_adapter(self, checkpoint: Checkpoint) -> None:
        from vllm.lora.request import LoRARequest

        if self._lora is not None:
            self._engine.remove_lora(self._lora.lora_int_id)
        self._num_adapters += 1
        self._lora = LoRARequest(checkpoint.model, self._num_adapters, str(checkpoint.folder))
        self._engine.add_lora(self._lora)

    def _step(self) -> list[Any]:
        """The outputs that vLLM has next."""
        try:
            outputs: list[Any] = self._engine.step()
        except RuntimeError as error:
            if _SIGN_OF_NAN not in str(error):
                raise
            self._give_up()
            raise nan_logits(self._model) from error
        return outputs

    def _give_up(self) -> None:
        """Close an engine that may hold half a model or half a batch, and memory that nobody gives back."""
        self._is_spoiled = True
        self.close()

    def _without_asking(self, tokens: Pair | Prompt) -> Answer | None:
        """The answer to a request that the engine cannot be asked, or need not be."""
        max_length = self._engine.vllm_config.model_config.max_model_len
        if isinstance(tokens, Prompt):
            return Answer(is_too_long=True) if len(tokens.tokens) + tokens.max_tokens > max_length else None
        # vLLM generates one token at least.
        if len(tokens) > max_length - 1:
            return Answer(is_too_long=True)
        return None if tokens.continuation else nothing_to_weigh(tokens)

    def _ask(self, tokens: Pair | Prompt) -> str:
        from vllm.inputs import tokens_input

        self._num_requests += 1
        name = str(self._num_requests)
        prompt = list(tokens.tokens if isinstance(tokens, Prompt) else tokens.context + tokens.continuation)
        self._engine.add_request(
            name, tokens_input(prompt), sampling_params(tokens, self._seed), lora_request=self._lora
        )
        return name
