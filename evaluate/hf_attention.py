"""Attention for CPUs: query heads that share keys are multiplied with them together.

PyTorch's fused kernel copies the shared keys and values for each query head, and on CPUs it is slow in bfloat16 and for
single queries: 20 times slower here in the steps of a generation.
"""

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask

NAME = "gembench_grouped"
_MOST_SCORES = 2**26
"""Beyond so many scores (256 MB) the fused kernel, which never holds them all, is used."""


def use_grouped_attention(model: Any) -> None:
    """Let a transformers model on a CPU use it, if the fused kernel would have been used."""
    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(NAME, grouped_attention)
        AttentionMaskInterface.register(NAME, eager_mask)
        model.set_attn_implementation(NAME)


def grouped_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    position_bias: torch.Tensor | None = None,
    **settings: Any,
) -> tuple[torch.Tensor, None]:
    """Attention [B, Q, H, Dv] of queries [B, H, Q, D] to keys [B, G, K, D] and values [B, G, K, Dv], G dividing H.

    Args:
        module: the layer that asks.
        query: its queries.
        key: its keys.
        value: its values.
        attention_mask: what is added to the scores, [B or 1, 1, Q, K].
        scaling: of the scores, 1 / sqrt(D) by default.
        position_bias: what some models add; left to the fused kernel, as are very many scores.
        settings: meant for the fused kernel alone.
    """
    batch, heads, queries, width = query.shape
    groups, keys = key.shape[1:3]
    if attention_mask is None or position_bias is not None or batch * heads * queries * keys > _MOST_SCORES:
        attended: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, position_bias=position_bias, **settings
        )
        return attended
    together = query.reshape(batch, groups, -1, width)
    scores = (together @ key.transpose(2, 3)).view(batch, groups, -1, queries, keys) * (scaling or width**-0.5)
    shares = torch.softmax(scores + attention_mask[:, :, None], -1, dtype=torch.float32).to(value.dtype)
    output = shares.view(batch, groups, -1, keys) @ value
    return output.view(batch, heads, queries, -1).transpose(1, 2), None
