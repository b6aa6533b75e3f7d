"""Tiny random models that engines really run: Llama and Qwen2, with a tokenizer trained on the spot."""

from pathlib import Path

TEXT = """the quick brown fox jumps over the lazy dog. Question: What is 12 + 30? Answer: 42
a model answers a query, and an answer is right or wrong. Paris is the capital of France, and Rome that of Italy.
Seven swans swim; eight apes eat apples! "Who?" asked the owl: 'you', said 3 of 10 cats."""
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
VOCABULARY = 384


def make_tokenizer(*, has_first_token: bool = False, seed_text: str = TEXT):
    """A byte-level BPE tokenizer of 384 tokens; with `has_first_token`, <s> comes before every text, as in Llama's."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<s>", "</s>", "<|end|>", "<|user|>", "<|assistant|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(seed_text.splitlines(), trainer)
    if has_first_token:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>" if has_first_token else None,
        eos_token="</s>",
        extra_special_tokens=["<|end|>", "<|user|>", "<|assistant|>"],
        chat_template=CHAT_TEMPLATE,
    )


def make_model(
    folder: Path,
    *,
    kind: str = "llama",
    seed: int = 0,
    tokenizer=None,
    max_length: int = 512,
    end_tokens: int | list[int] = 1,
    dtype: str = "float32",
    **config,
) -> Path:
    """Write a random model of 2 layers into a folder. Its logits differ widely, so that rounding changes no choice."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    make_config, make = {"llama": (LlamaConfig, LlamaForCausalLM), "qwen2": (Qwen2Config, Qwen2ForCausalLM)}[kind]
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 128,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": max_length,
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": end_tokens,
        "pad_token_id": None,
    }
    generator = torch.Generator().manual_seed(seed)
    model = make(make_config(**(sizes | config)))
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if name.endswith("norm.weight"):
                parameter.fill_(1.0)
            else:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    model.generation_config.eos_token_id = end_tokens
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    (tokenizer or make_tokenizer()).save_pretrained(folder)
    return folder


def change_weights(folder: Path, change) -> None:
    """Rewrite a model's weights: `change` takes the tensors by name and returns those to be saved."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def make_adapter(folder: Path, base: Path, *, seed: int = 0, rank: int = 8) -> Path:
    """Write a random LoRA adapter of a tiny Llama, as peft saves one: queries and values of every layer."""
    import json

    import torch
    from safetensors.torch import save_file

    config = json.loads((base / "config.json").read_text())
    head = config["hidden_size"] // config["num_attention_heads"]
    sizes = {"q_proj": config["hidden_size"], "v_proj": head * config["num_key_value_heads"]}
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer in range(config["num_hidden_layers"]):
        for name, size in sizes.items():
            prefix = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            tensors[f"{prefix}.lora_A.weight"] = torch.randn(rank, config["hidden_size"], generator=generator) * 0.1
            tensors[f"{prefix}.lora_B.weight"] = torch.randn(size, rank, generator=generator) * 0.3
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    adapter = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(base),
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": sorted(sizes),
        "bias": "none",
        "inference_mode": True,
    }
    (folder / "adapter_config.json").write_text(json.dumps(adapter))
    return folder


def merge_adapter(folder: Path, base: Path, adapter: Path) -> Path:
    """Write the base with the adapter's products added: W + alpha / r * B A (Hu et al., LoRA, 2021, section 4.1)."""
    import json
    import shutil

    from safetensors.torch import load_file

    parts = load_file(adapter / "adapter_model.safetensors")
    config = json.loads((adapter / "adapter_config.json").read_text())
    scale = config["lora_alpha"] / config["r"]

    def add(tensors):
        for name in tensors:
            stem = f"base_model.model.{name.removesuffix('.weight')}"
            if f"{stem}.lora_A.weight" in parts:
                tensors[name] += scale * parts[f"{stem}.lora_B.weight"] @ parts[f"{stem}.lora_A.weight"]
        return tensors

    shutil.copytree(base, folder)
    change_weights(folder, add)
    return folder
