"""How a run of lm-evaluation-harness was made: what of its results file is kept as settings."""

import json
import math
from typing import Any

from gembench.data.sources.texts import clean_text, text_of

_SETTINGS = (
    "lm_eval_version",
    "transformers_version",
    "git_hash",
    "model_source",
    "fewshot_as_multiturn",
    "system_instruction_sha",
    "chat_template_sha",
    "total_evaluation_time_seconds",
)
_CONFIG_SETTINGS = (
    "model",
    "model_dtype",
    "batch_size",
    "limit",
    "gen_kwargs",
    "random_seed",
    "numpy_seed",
    "torch_seed",
    "fewshot_seed",
)


def mapping(value: object) -> dict[str, Any]:
    """An object of JSON; empty if it is something else."""
    return value if isinstance(value, dict) else {}


def settings_of(content: dict[str, Any]) -> dict[str, object]:
    """How a run was made, as the results file says: small and plain, to be kept with the answers."""
    config = mapping(content.get("config"))
    settings = {key: content.get(key) for key in _SETTINGS} | {key: config.get(key) for key in _CONFIG_SETTINGS}
    kept: dict[str, object] = {key: _plain(value) for key, value in settings.items() if value is not None}
    for key in ("n-shot", "versions"):
        kept[key] = {clean_text(task): _plain(value) for task, value in mapping(content.get(key)).items()}
    # The tool's hash of all documents, prompts and targets of a task: equal where two models met the same prompts.
    hashes = mapping(content.get("task_hashes"))
    kept["task_hashes"] = {clean_text(task): text_of(value)[:16] for task, value in hashes.items()}
    return kept


def _plain(value: object) -> object:
    """What an attribute can hold: short, and no NaN."""
    if isinstance(value, str):
        return clean_text(value)[:200]
    if value is None or isinstance(value, bool) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    return clean_text(json.dumps(value, ensure_ascii=False, default=str))[:200]
