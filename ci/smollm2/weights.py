"""Changes that need no training: functions from checkpoints' weights to new weights.

Weights are a dict of float32 tensors by name, as in the safetensors file. Matrices are the tensors of two dimensions
([rows, columns]; the embeddings too), the others are the norms' scales.
"""

import re
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Weights = dict[str, Tensor]

_LAYER = re.compile(r"^model\.layers\.(\d+)\.")


def linear(parent: Weights, other: Weights, share: float) -> Weights:
    return {name: torch.lerp(weight, other[name], share) for name, weight in parent.items()}


def slerp(parent: Weights, other: Weights, share: float) -> Weights:
    """Spherical interpolation, tensor by tensor; nearly parallel tensors are interpolated linearly."""
    return {name: _slerp(weight, other[name], share) for name, weight in parent.items()}


def _slerp(start: Tensor, end: Tensor, share: float) -> Tensor:
    # In float64: the angle between siblings is small, and the arc cosine of a rounded 1 - 1e-8 is noise.
    a, b = start.double(), end.double()
    cosine = (a * b).sum() / (a.norm() * b.norm())
    angle = torch.arccos(cosine.clamp(-1, 1))
    if angle < 1e-6:
        return torch.lerp(start, end, share)
    return ((torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)).float()


def task_arithmetic(parent: Weights, others: Sequence[Weights], scale: float) -> Weights:
    """Ilharco et al., "Editing Models with Task Arithmetic", ICLR 2023."""
    return {
        name: weight + scale * sum((other[name] - weight for other in others), torch.zeros_like(weight))
        for name, weight in parent.items()
    }


def quantize(weights: Weights, bits: int, group: int) -> Weights:
    """Round to the integers of [-(2^(bits-1) - 1), 2^(bits-1) - 1] and back."""
    highest = 2 ** (bits - 1) - 1

    def rounded(matrix: Tensor) -> Tensor:
        groups = matrix.reshape(-1, group or matrix.shape[1])
        step = (groups.abs().amax(dim=1, keepdim=True) / highest).clamp_min(torch.finfo(torch.float32).tiny)
        return ((groups / step).round() * step).reshape(matrix.shape)

    return _each_matrix(weights, rounded)


def prune_smallest(weights: Weights, share: float) -> Weights:
    def pruned(matrix: Tensor) -> Tensor:
        magnitudes = matrix.abs()
        threshold = magnitudes.flatten().kthvalue(max(1, round(share * matrix.numel()))).values
        return torch.where(magnitudes > threshold, matrix, 0.0)

    return _each_matrix(weights, pruned)


def noise(weights: Weights, scale: float, seed: int) -> Weights:
    generator = torch.Generator().manual_seed(seed)
    return _each_matrix(
        weights, lambda matrix: matrix + scale * matrix.std() * torch.randn(matrix.shape, generator=generator)
    )


def drop_layers(weights: Weights, layers: Sequence[int], num_layers: int) -> Weights:
    """The other layers, numbered anew from 0."""
    kept = [layer for layer in range(num_layers) if layer not in layers]
    number = {str(old): str(new) for new, old in enumerate(kept)}
    result = {}
    for name, weight in weights.items():
        match = _LAYER.match(name)
        if match is None:
            result[name] = weight
        elif match[1] in number:
            result[f"model.layers.{number[match[1]]}.{name[match.end() :]}"] = weight
    return result


def _each_matrix(weights: Weights, change: Callable[[Tensor], Tensor]) -> Weights:
    return {name: change(weight) if weight.ndim == 2 else weight for name, weight in sorted(weights.items())}
