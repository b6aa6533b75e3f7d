"""Tiny checkpoints written byte by byte, whole or broken: what a folder or a repository may hold."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path

BYTES_PER_NUMBER = 2


def llama_config(**changes) -> dict:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": 32,
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "torch_dtype": "bfloat16",
        **changes,
    }


def llama_shapes() -> dict[str, tuple[int, ...]]:
    """A stand-in for a Llama of two layers: 32 x 8 + 2 x 8 x 8 + 8 = 392 numbers."""
    return {
        "model.embed_tokens.weight": (32, 8),
        "model.layers.0.mlp.weight": (8, 8),
        "model.layers.1.mlp.weight": (8, 8),
        "model.norm.weight": (8,),
    }


def safetensors(shapes: Mapping[str, tuple[int, ...]], *, fill: int = 0) -> bytes:
    """A safetensors file as the format's description says: length, JSON header, numbers."""
    header, start = {}, 0
    for name, shape in shapes.items():
        size = BYTES_PER_NUMBER
        for length in shape:
            size *= length
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [start, start + size]}
        start += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes([fill]) * start


def llama_files(*, fill: int = 0, **config_changes) -> dict[str, bytes]:
    """A whole checkpoint: name → content."""
    return {
        "config.json": json.dumps(llama_config(**config_changes)).encode(),
        "generation_config.json": b'{"eos_token_id": 2}',
        "model.safetensors": safetensors(llama_shapes(), fill=fill),
        "tokenizer.json": b'{"model": {"type": "BPE"}}',
        "tokenizer_config.json": b'{"chat_template": "{{ messages }}"}',
    }


def sharded_llama_files() -> dict[str, bytes]:
    files = llama_files()
    del files["model.safetensors"]
    names = list(llama_shapes())
    shards = {"model-00001-of-00002.safetensors": names[:2], "model-00002-of-00002.safetensors": names[2:]}
    for shard, members in shards.items():
        files[shard] = safetensors({name: llama_shapes()[name] for name in members})
    weight_map = {name: shard for shard, members in shards.items() for name in members}
    files["model.safetensors.index.json"] = json.dumps({"weight_map": weight_map}).encode()
    return files


def adapter_files(base: str | None, *, peft_type: str = "LORA", fill: int = 0) -> dict[str, bytes]:
    """A LoRA adapter of rank 2 on one layer: 2 x 8 + 8 x 2 = 32 numbers."""
    config = {"peft_type": peft_type, "base_model_name_or_path": base, "r": 2}
    shapes = {"layers.0.lora_A.weight": (2, 8), "layers.0.lora_B.weight": (8, 2)}
    return {
        "adapter_config.json": json.dumps(config).encode(),
        "adapter_model.safetensors": safetensors(shapes, fill=fill),
    }


def write_checkpoint(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
