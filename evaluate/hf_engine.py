"""The transformers engine: a model of the Hugging Face kind answers in this process, on a CPU or one accelerator."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from gembench.data.status import ModelStatus
from gembench.errors import UsageError
from gembench.evaluate.evaluator import Answer, Checkpoint, EvaluatorFailure, Request, Settings
from gembench.evaluate.hf_loading import load_full_model
from gembench.evaluate.loadable import Loadable, check_loadable
from gembench.evaluate.tokens import Codec, load_tokenizer
from gembench.extras import require_extra

if TYPE_CHECKING:
    from gembench.evaluate.hf_forward import Forward

DType = Literal["auto", "float32", "bfloat16", "float16"]
_LONGEST_CONTEXT_SETTINGS = ("n_positions", "max_position_embeddings", "n_ctx")
"""Names under which configs keep the longest context, in the order in which lm-evaluation-harness looks."""
_LONGEST_CONTEXT_DEFAULT = 2048


class HfEngine:
    """Answers by transformers.

    Args:
        dtype: number type of the weights and of the arithmetic; `auto` for the checkpoint's own.
        device: a torch device; `auto` for the accelerator if there is one.
        max_batch_tokens: how many tokens, padding included, may be in a batch; halved for good when memory runs out.
        max_model_len: the longest context in tokens, None for the model's own.
        seed: of what is drawn where a request has a temperature.
    """

    def __init__(
        self,
        dtype: DType = "auto",
        device: str = "auto",
        max_batch_tokens: int = 8192,
        max_model_len: int | None = None,
        seed: int = 0,
    ) -> None:
        if dtype not in DType.__args__:  # type: ignore[attr-defined]
            raise UsageError(f"dtype={dtype!r} is none of auto, float32, bfloat16, float16.")
        if max_batch_tokens < 1 or (max_model_len is not None and max_model_len < 1):
            raise UsageError("max_batch_tokens and max_model_len are at least 1.")
        require_extra("hf", "torch", "transformers")
        self._dtype = dtype
        self._device = device
        self._max_batch_tokens = max_batch_tokens
        self._max_model_len = max_model_len
        self._seed = seed
        self._forward: Forward | None = None

    @property
    def settings(self) -> Settings:
        """What its answers depend on beside the model."""
        return {
            "engine": "hf",
            "engine_version": version("transformers"),
            "torch_version": version("torch"),
            "dtype": self._dtype,
            "seed": self._seed,
            "max_model_len": self._max_model_len,
        }

    def load(self, checkpoint: Checkpoint) -> None:
        """Load a model, or a base model with a LoRA adapter merged into it.

        Raises:
            EvaluatorFailure: the model cannot be used.
        """
        self.close()
        loadable = check_loadable(checkpoint)
        from gembench.evaluate.hf_forward import Forward

        codec = Codec(load_tokenizer(loadable.tokenizer_folder), loadable.end_tokens)
        self._forward = Forward(
            model=self._load_model(checkpoint, loadable),
            codec=codec,
            name=checkpoint.model,
            max_length=self._max_model_len or _longest_context(loadable.config),
            max_batch_tokens=self._max_batch_tokens,
            seed=self._seed,
        )

    def answer(self, requests: Sequence[Request]) -> Iterator[tuple[int, Answer]]:
        """Answer log-likelihoods first, then generations, each kind by falling length.

        Raises:
            EvaluatorFailure: NAN_LOGITS; OUT_OF_MEMORY, one request alone does not fit.
        """
        if self._forward is None:
            raise RuntimeError("no model is loaded.")
        yield from self._forward.answer(requests)
        self._max_batch_tokens = self._forward.max_batch_tokens

    def close(self) -> None:
        """Give back the model's memory."""
        if self._forward is None:
            return
        self._forward = None
        import torch

        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _load_model(self, checkpoint: Checkpoint, loadable: Loadable) -> Any:
        import torch

        from gembench.evaluate.hf_attention import use_grouped_attention

        model = load_full_model(checkpoint.model, loadable, dtype=self._dtype)
        if checkpoint.base_folder is not None:
            model = _merge_adapter(model, checkpoint)
        try:
            model = model.to(_device(self._device)).eval().requires_grad_(False)
        except torch.OutOfMemoryError as error:
            raise EvaluatorFailure(
                ModelStatus.OUT_OF_MEMORY,
                f"{checkpoint.model}: its weights do not fit on the device; use a smaller dtype or a larger device.",
            ) from error
        if model.device.type == "cpu":
            use_grouped_attention(model)
        return model


def _merge_adapter(model: Any, checkpoint: Checkpoint) -> Any:
    try:
        from peft import PeftModel
    except ImportError as error:
        raise EvaluatorFailure(
            ModelStatus.UNSUPPORTED, f"{checkpoint.model}: a LoRA adapter needs peft; run pip install peft."
        ) from error
    adapted = PeftModel.from_pretrained(model, checkpoint.folder)
    missing = [name for name, _ in adapted.named_parameters() if "lora_" in name and name.endswith("weight")]
    if not missing:
        raise EvaluatorFailure(
            ModelStatus.WEIGHT_MISMATCH, f"{checkpoint.model}: its adapter touches no layer of its base model."
        )
    return adapted.merge_and_unload()


def _device(name: str) -> str:
    import torch

    return name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def _longest_context(config: Mapping[str, Any]) -> int:
    """As lm-evaluation-harness finds it: the language model's part of a composite config first."""
    for part in (config.get("text_config") or {}, config):
        for name in _LONGEST_CONTEXT_SETTINGS:
            if part.get(name) is not None:
                return int(part[name])
    return _LONGEST_CONTEXT_DEFAULT
