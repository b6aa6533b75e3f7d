"""A child's folder: its new weights, and what it takes from its parent's folder unchanged."""

import json
import math
import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from smollm2 import weights
from smollm2.recipes import (
    DropLayers,
    FineTune,
    Linear,
    Noise,
    PruneSmallest,
    Quantize,
    Recipe,
    Slerp,
    TaskArithmetic,
)
from smollm2.training import fine_tune
from smollm2.weights import Weights

_WEIGHTS = "model.safetensors"


def write_child(folder: Path, recipe: Recipe, tree: Path) -> None:
    """Write the checkpoint of `recipe` into `folder`; the checkpoints that it needs lie in `tree`.

    Raises:
        ValueError: if a weight is not finite, by the name of the tensor.
    """
    parent = tree / recipe.parent
    for file in parent.iterdir():
        if file.name != _WEIGHTS:
            shutil.copy2(file, folder)
    made = _change(recipe, tree)
    for name, weight in made.items():
        if not weight.isfinite().all():
            raise ValueError(f"{recipe.name}: {name} is not finite.")
    if isinstance(recipe.change, DropLayers):
        config = json.loads((parent / "config.json").read_text())
        config["num_hidden_layers"] -= len(recipe.change.layers)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    rounded = {name: weight.to(torch.bfloat16).contiguous() for name, weight in made.items()}
    save_file(rounded, folder / _WEIGHTS, metadata={"format": "pt"})


def _change(recipe: Recipe, tree: Path) -> Weights:
    parent = tree / recipe.parent
    match recipe.change:
        case FineTune() as change:
            return fine_tune(parent, change)
        case Linear(other, share):
            return weights.linear(_load(parent), _load(tree / other), share)
        case Slerp(other, share):
            return weights.slerp(_load(parent), _load(tree / other), share)
        case TaskArithmetic(others, scale):
            return weights.task_arithmetic(_load(parent), [_load(tree / other) for other in others], scale)
        case Quantize(bits, group):
            return weights.quantize(_load(parent), bits, group)
        case DropLayers(layers):
            num_layers = json.loads((parent / "config.json").read_text())["num_hidden_layers"]
            return weights.drop_layers(_load(parent), layers, num_layers)
        case PruneSmallest(share):
            return weights.prune_smallest(_load(parent), share)
        case Noise(scale, seed):
            return weights.noise(_load(parent), scale, seed)


def _load(folder: Path) -> Weights:
    return {name: weight.float() for name, weight in load_file(folder / _WEIGHTS).items()}


def count_parameters(file: Path) -> int:
    """Numbers in a safetensors file, read from its header."""
    with safe_open(file, "pt") as opened:
        return sum(math.prod(opened.get_slice(name).get_shape()) for name in opened.keys())  # noqa: SIM118
