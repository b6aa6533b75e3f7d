"""Short fine-tunes on a CPU: autocast to bfloat16, the loss on completions only."""

import math
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils import parametrize
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from smollm2.recipes import FineTune
from smollm2.texts import Example, examples
from smollm2.weights import Weights

_LONGEST = 144
_IGNORED = -100
_LORA_ALPHA = 16
_LORA_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def fine_tune(parent: Path, change: FineTune) -> Weights:
    """Train the checkpoint in the folder `parent`, and return its new weights.

    The same on the same machine: seeds are fixed and the operations deterministic, but another CPU or another version
    of torch rounds otherwise.
    """
    torch.manual_seed(change.seed)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    model = AutoModelForCausalLM.from_pretrained(parent, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(parent)
    trained = _choose_trained(model, change)
    optimizer = torch.optim.AdamW(trained, lr=change.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share_of_rate(step, change.steps))
    drawn = examples(change.texts, change.seed)
    model.train()
    start = time.monotonic()
    for step in range(change.steps):
        ids, targets = _batch(tokenizer, [next(drawn) for _ in range(change.batch_size)])
        with torch.autocast("cpu", torch.bfloat16):
            states = model.model(input_ids=ids).last_hidden_state[:, :-1]
            # The head is a fifth of the work: only where there is a loss.
            is_target = targets[:, 1:] != _IGNORED
            logits = model.lm_head(states[is_target])
        loss = torch.nn.functional.cross_entropy(logits.float(), targets[:, 1:][is_target])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 10 == 0 or step == change.steps - 1:
            print(f"  step {step}: loss {loss.item():.3f}, {time.monotonic() - start:.0f} s", flush=True)
    return _weights(model)


def _share_of_rate(step: int, steps: int) -> float:
    warm_up = math.ceil(steps / 10)
    return min((step + 1) / warm_up, (steps - step) / (steps - warm_up))


def _batch(tokenizer, drawn: list[Example]) -> tuple[Tensor, Tensor]:
    """Token ids and targets, [batch, longest example]; prompts and padding are no targets."""
    rows = []
    for example in drawn:
        prompt = tokenizer(example.prompt, add_special_tokens=False).input_ids
        completion = tokenizer(example.completion, add_special_tokens=False).input_ids
        rows.append(((prompt + completion)[:_LONGEST], ([_IGNORED] * len(prompt) + completion)[:_LONGEST]))
    longest = max(len(ids) for ids, _ in rows)
    # Padding is at the end and masked by causality: no attention mask is needed.
    ids = [ids + [tokenizer.pad_token_id] * (longest - len(ids)) for ids, _ in rows]
    targets = [targets + [_IGNORED] * (longest - len(targets)) for _, targets in rows]
    return torch.tensor(ids), torch.tensor(targets)


def _choose_trained(model: PreTrainedModel, change: FineTune) -> list[torch.nn.Parameter]:
    if change.trained == "lora":
        model.requires_grad_(False)
        for name, layer in model.named_modules():
            if name.rpartition(".")[2] in _LORA_LAYERS:
                parametrize.register_parametrization(layer, "weight", _LowRank(layer.weight, change.rank))
    else:
        is_trained = {
            "all": lambda name: True,
            "norms": lambda name: "norm" in name,
            "embeddings": lambda name: "embed_tokens" in name,
        }[change.trained]
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(is_trained(name))
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


class _LowRank(torch.nn.Module):
    """Weight + (alpha / rank) up down: Hu et al., "LoRA", ICLR 2022."""

    def __init__(self, weight: Tensor, rank: int):
        super().__init__()
        rows, columns = weight.shape
        self.up = torch.nn.Parameter(torch.zeros(rows, rank))
        self.down = torch.nn.Parameter(torch.randn(rank, columns) / math.sqrt(columns))
        self.scale = _LORA_ALPHA / rank

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.scale * (self.up @ self.down)


def _weights(model: PreTrainedModel) -> Weights:
    for module in model.modules():
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    # The head is the embeddings: files hold them once.
    return {name: weight.detach() for name, weight in model.state_dict().items() if name != "lm_head.weight"}
