"""What a LoRA adapter asks of an engine that serves it: room for its rank, and the layers that it touches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gembench.evaluate.evaluator import Checkpoint
from gembench.evaluate.model_files import ADAPTER_CONFIG, LocalFiles, read_json
from gembench.evaluate.weights import read_adapter_weights

_RANKS = (64, 128, 256, 320, 512)
"""Ranks that vLLM makes room for, from what most adapters need."""
_COMMON_LAYERS = frozenset({"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"})


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter's rank, and the names of the layers that it touches, such as `q_proj`."""

    rank: int
    layers: frozenset[str]

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Adapter":
        """Read it from config and header. Raises EvaluatorFailure if they cannot be read."""
        files = LocalFiles(checkpoint.folder)
        config = read_json(files, ADAPTER_CONFIG)
        names = read_adapter_weights(files).tensors
        layers = frozenset(name.partition(".lora_")[0].rpartition(".")[2] for name in names if ".lora_" in name)
        return cls(max([int(config.get("r", 0)), *config.get("rank_pattern", {}).values()]), layers)

    def engine_arguments(self) -> Mapping[str, Any]:
        """vLLM's, for an engine that takes this adapter and most others of its base.

        The layers are named because vLLM else wraps the last one as well, and then cannot weigh prompts on a CPU.
        """
        return {
            "enable_lora": True,
            "max_lora_rank": next((rank for rank in _RANKS if rank >= self.rank), self.rank),
            "lora_target_modules": sorted(_COMMON_LAYERS | self.layers),
        }

    def fits(self, lora_config: Any) -> bool:
        """Whether a live engine has room for it, by vLLM's `LoRAConfig`."""
        has_layers = lora_config.target_modules is None or self.layers <= set(lora_config.target_modules)
        return self.rank <= lora_config.max_lora_rank and has_layers
