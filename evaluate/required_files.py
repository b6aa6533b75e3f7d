"""Which files of a checkpoint an engine needs, and whether they are there."""

from collections.abc import Mapping, Sequence

from gembench.data.status import ModelStatus
from gembench.evaluate.architecture import check_no_remote_code
from gembench.evaluate.evaluator import EvaluatorFailure
from gembench.evaluate.model_files import (
    ADAPTER_CONFIG,
    CONFIG,
    GENERATION_CONFIG,
    SINGLE_WEIGHTS,
    TEMPLATE_FILES,
    TOKENIZER_CONFIG,
    TOKENIZER_FILES,
    TOKENIZERS,
    WEIGHTS_INDEX,
    ModelFiles,
    read_json,
)

_SMALL_FILES = (
    CONFIG,
    ADAPTER_CONFIG,
    GENERATION_CONFIG,
    WEIGHTS_INDEX,
    *TOKENIZER_FILES,
    *TEMPLATE_FILES,
    "preprocessor_config.json",
    "processor_config.json",
)


def is_adapter(files: ModelFiles) -> bool:
    """Whether an adapter is all there is: some repositories hold a merged model beside the adapter."""
    has_full_weights = SINGLE_WEIGHTS in files.sizes or WEIGHTS_INDEX in files.sizes
    return ADAPTER_CONFIG in files.sizes and not (CONFIG in files.sizes and has_full_weights)


def check_tokenizer(files: ModelFiles) -> None:
    """Make sure that there is a tokenizer, and that it needs no Python of its own.

    Raises:
        EvaluatorFailure: `NO_TOKENIZER` or `REMOTE_CODE`.
    """
    if not any(all(files.sizes.get(name, 0) > 0 for name in names) for names in TOKENIZERS):
        raise EvaluatorFailure(
            ModelStatus.NO_TOKENIZER,
            f"{files.place}: no tokenizer (tokenizer.json, tokenizer.model or vocab.json with merges.txt); put its "
            f"base model's beside the weights.",
        )
    if TOKENIZER_CONFIG in files.sizes:
        check_no_remote_code(read_json(files, TOKENIZER_CONFIG), files.place, TOKENIZER_CONFIG)


def needed_files(files: ModelFiles, weights: Sequence[str]) -> Mapping[str, int]:
    """Name → bytes of what an engine needs beside the code: configs, tokenizer, template and these weights."""
    return {name: files.sizes[name] for name in (*_SMALL_FILES, *weights) if name in files.sizes}
