"""A model's own chat template, rendered by transformers; no weights are read."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import Checkpoint, EvaluatorFailure
from gembench.extras import require_extra


class TokenizerTemplate:
    """The chat template of a checkpoint's tokenizer; an adapter without one of its own speaks as its base does.

    Raises:
        EvaluatorFailure: the checkpoint has no chat template, or no tokenizer that can be read.
        MissingExtraError: transformers is not installed.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        require_extra("hf", "transformers")
        folders = [checkpoint.folder] if checkpoint.base_folder is None else [checkpoint.folder, checkpoint.base_folder]
        self._tokenizer: Any = next(filter(None, map(_tokenizer_with_template, folders)), None)
        if self._tokenizer is None:
            raise EvaluatorFailure(
                ModelStatus.NO_TOKENIZER,
                f"{checkpoint.model}: its tokenizer has no chat template; record it without --apply-chat-template.",
            )

    @property
    def digest(self) -> str:
        """Sha256 of the template's text."""
        template: str = self._tokenizer.get_chat_template()
        return hashlib.sha256(template.encode()).hexdigest()

    def render(self, messages: Sequence[dict[str, str]], *, add_generation_prompt: bool) -> str:
        """The prompt of a conversation: `messages` are dicts of `role` and `content`.

        Raises:
            EvaluatorFailure: the template refuses the conversation, such as one with a system message.
        """
        from jinja2 import TemplateError

        try:
            prompt: str = self._tokenizer.apply_chat_template(
                list(messages),
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
            )
        except (TemplateError, ValueError) as error:
            raise EvaluatorFailure(
                ModelStatus.UNSUPPORTED, f"its chat template refuses the suite's conversation: {error}."
            ) from error
        return prompt


def _tokenizer_with_template(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError):  # An adapter's folder may have no tokenizer; the caller says so if none has.
        return None
    return tokenizer if tokenizer.chat_template else None
