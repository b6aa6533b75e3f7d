"""What vLLM raises when it cannot load a model, as typed failures."""

import traceback

from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import EvaluatorFailure
from gembench.evaluate.tokens import first_line
from gembench.evaluate.vllm_options import vllm_version

_SIGNS_OF_LITTLE_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "no available memory for the cache blocks",
    "available kv cache memory",
    "less than desired gpu memory utilization",
)
_FUNCTION_THAT_READS_WEIGHTS = "load_weights"
"""Every model of vLLM has a method of this name. It raises whatever the first wrong tensor makes it stumble over."""


def failure_of_load(model: str, error: Exception) -> EvaluatorFailure:
    """The typed failure that an error in a load amounts to."""
    message = str(error).lower()
    if isinstance(error, MemoryError) or any(sign in message for sign in _SIGNS_OF_LITTLE_MEMORY):
        return EvaluatorFailure(
            ModelStatus.OUT_OF_MEMORY,
            f"{model}: its weights and one request do not fit into memory ({first_line(error)}); "
            f"lower max_model_len or use a larger device.",
        )
    if any(frame.name == _FUNCTION_THAT_READS_WEIGHTS for frame in traceback.extract_tb(error.__traceback__)):
        return EvaluatorFailure(
            ModelStatus.WEIGHT_MISMATCH,
            f"{model}: its weights are not those that its config asks for ({first_line(error)}); tell its owner.",
        )
    return EvaluatorFailure(
        ModelStatus.UNSUPPORTED,
        f"{model}: vLLM {vllm_version()} cannot run it with these engine arguments ({first_line(error)}); "
        f"try the hf engine.",
    )
