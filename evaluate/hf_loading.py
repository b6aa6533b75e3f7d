"""Loading a model by transformers, with every weight accounted for: the library itself only warns."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from gembench.data.status import ModelStatus
from gembench.evaluate.architecture import quantization_method
from gembench.evaluate.evaluator import EvaluatorFailure
from gembench.evaluate.loadable import Loadable
from gembench.evaluate.tokens import first_line

_NOT_WEIGHTS = ("rotary_emb.inv_freq", "attn.masked_bias", "attn.bias", "position_ids")
"""Ends of names of constants that older versions of transformers saved beside the weights."""


def load_full_model(model: str, loadable: Loadable, **options: Any) -> Any:
    """The transformers model in a folder, `options` as `from_pretrained` takes them.

    Raises:
        EvaluatorFailure: WEIGHT_MISMATCH, UNSUPPORTED or OUT_OF_MEMORY.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        loaded, report = AutoModelForCausalLM.from_pretrained(
            loadable.model_folder,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            # Misshapen weights are then listed in the report, where the error would only say that there are some.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **options,
        )
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise EvaluatorFailure(
            ModelStatus.OUT_OF_MEMORY,
            f"{model}: its weights do not fit into memory; use a smaller dtype or a larger device.",
        ) from error
    except SafetensorError as error:
        raise EvaluatorFailure(
            ModelStatus.WEIGHT_MISMATCH,
            f"{model}: its weights cannot be read ({first_line(error)}); fetch them again.",
        ) from error
    except (ValueError, KeyError, AttributeError, TypeError, ImportError, OSError, RuntimeError) as error:
        # What the library raises for a config that it does not know or cannot build a model from.
        raise EvaluatorFailure(
            ModelStatus.UNSUPPORTED,
            f"{model}: transformers {version('transformers')} cannot build it ({first_line(error)}); "
            f"try a newer version or another engine.",
        ) from error
    _refuse_wrong_weights(model, report)
    return loaded


def check_weights_fit(model: str, loadable: Loadable) -> None:
    """Make sure, from headers alone, that a checkpoint has the weights that its config asks for, and no others.

    It is for engines that leave holes as they are. What transformers does not know, and packed weights, pass.

    Raises:
        EvaluatorFailure: WEIGHT_MISMATCH.
    """
    if quantization_method(loadable.config):
        return
    try:
        load_full_model(model, loadable, dtype="auto", device_map="meta")
    except EvaluatorFailure as failure:
        if failure.status != ModelStatus.UNSUPPORTED:
            raise


def _refuse_wrong_weights(model: str, report: Mapping[str, Any]) -> None:
    misshapen = sorted(report["mismatched_keys"])
    missing = sorted(report["missing_keys"])
    unexpected = sorted(key for key in report["unexpected_keys"] if not key.endswith(_NOT_WEIGHTS))
    if misshapen:
        name, found, wanted = misshapen[0]
        what = f"{name} has shape {tuple(found)} where its config says {tuple(wanted)}"
    elif missing:
        what = f"{missing[0]} is missing ({len(missing)} such)"
    elif unexpected:
        what = f"{unexpected[0]} has no place in the model that its config describes ({len(unexpected)} such)"
    else:
        return
    raise EvaluatorFailure(
        ModelStatus.WEIGHT_MISMATCH, f"{model}: {what}; config and weights do not belong together, tell its owner."
    )
