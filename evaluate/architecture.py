"""What a config says about a model: its architecture, and whether one live engine can hold it after another."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import EvaluatorFailure

_GENERATES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
_NOT_STRUCTURE = frozenset(
    {
        "_name_or_path",
        "transformers_version",
        "unsloth_version",
        "unsloth_fixed",
        "use_cache",
        "bos_token_id",
        "eos_token_id",
        "pad_token_id",
        "decoder_start_token_id",
        "forced_bos_token_id",
        "forced_eos_token_id",
        "task_specific_params",
        "id2label",
        "label2id",
        "problem_type",
        "attention_dropout",
        "hidden_dropout",
        "resid_pdrop",
        "embd_pdrop",
        "attn_pdrop",
        "initializer_range",
        "output_attentions",
        "output_hidden_states",
        "return_dict",
        "gradient_checkpointing",
    }
)
"""What changes no tensor and no step of inference: where it came from, token ids (they travel with each request), and
settings of training. Everything unknown counts as structure, so that a doubt costs an engine and no wrong answer."""


def architecture_name(config: Mapping[str, Any], place: str) -> str:
    """The class that a config names, such as `LlamaForCausalLM`.

    Raises:
        EvaluatorFailure: `REMOTE_CODE`, or `UNSUPPORTED` for a model that does not generate text.
    """
    check_no_remote_code(config, place, "config.json")
    architectures = config.get("architectures")
    if not isinstance(architectures, list) or not architectures or not isinstance(architectures[0], str):
        raise EvaluatorFailure(
            ModelStatus.UNSUPPORTED,
            f"{place}: config.json names no architecture; write its class in 'architectures', as LlamaForCausalLM.",
        )
    name = architectures[0]
    if not name.endswith(_GENERATES):
        raise EvaluatorFailure(
            ModelStatus.UNSUPPORTED, f"{place}: a {name} generates no text, so that it answers no query; leave it out."
        )
    return name


def check_no_remote_code(config: Mapping[str, Any], place: str, file: str) -> None:
    """Refuse a config that asks to run the repository's own Python. Raises EvaluatorFailure, `REMOTE_CODE`."""
    if config.get("auto_map"):
        raise EvaluatorFailure(
            ModelStatus.REMOTE_CODE,
            f"{place}: auto_map in {file} asks to run Python from the repository, which gembench never does; if your "
            f"engine knows {config.get('model_type', 'the model type')!r} itself, record a copy without auto_map.",
        )


def quantization_method(config: Mapping[str, Any]) -> str:
    """How the weights are quantized, such as `gptq`; "" if they are not."""
    settings = config.get("quantization_config")
    if not isinstance(settings, dict):
        return ""
    return str(settings.get("quant_method") or "unknown")


def architecture_key(config: Mapping[str, Any]) -> str:
    """Hex sha256 of all that must be equal for two models to share one live engine by a swap of weights."""
    return hashlib.sha256(json.dumps(_structure(config), sort_keys=True).encode()).hexdigest()


def adapter_key(base_key: str, base: str) -> str:
    """The same for a LoRA adapter: those of one base, named by place and commit, share its engine."""
    return hashlib.sha256(f"adapter of {base} {base_key}".encode()).hexdigest()


def _structure(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _structure(entry) for name, entry in value.items() if name not in _NOT_STRUCTURE}
        if "torch_dtype" in kept:  # What older versions of transformers call dtype.
            kept.setdefault("dtype", kept.pop("torch_dtype"))
        return kept
    return [_structure(entry) for entry in value] if isinstance(value, list) else value
