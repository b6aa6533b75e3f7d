"""The output layer of a model that shares its weights with the embedding, after a swap.

vLLM prepares anew only those layers whose weights a checkpoint names. A shared output layer is not named, and on a CPU
keeps a packed copy of the old embedding: it would answer with the last model's vocabulary.
"""

from typing import Any


def can_share_anew(worker: Any) -> bool:
    """Whether the model that a vLLM worker holds has one embedding and at most one output layer beside it."""
    heads, embeddings = _layers(worker)
    return len(heads) <= 1 and len(embeddings) <= 1


def share_anew(worker: Any) -> None:
    """Make the output layer of a vLLM worker's model share, and prepare, the weights that its embedding has now."""
    heads, embeddings = _layers(worker)
    for head, embedding in zip(heads, embeddings, strict=False):
        head.tie_weights(embedding)
        head.quant_method.process_weights_after_loading(head)


def _layers(worker: Any) -> tuple[list[Any], list[Any]]:
    """(output layers, embeddings)."""
    from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead, VocabParallelEmbedding

    layers = [layer for layer in worker.get_model().modules() if isinstance(layer, VocabParallelEmbedding)]
    heads = [layer for layer in layers if isinstance(layer, ParallelLMHead)]
    return heads, [layer for layer in layers if not isinstance(layer, ParallelLMHead)]
