"""The texts of the fine-tunes by name: endless examples, the same for the same seed.

All are generated, or come with Python and transformers; none of them is a question of a benchmark.
"""

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from smollm2 import exercises, library, word_problems

_END = "<|im_end|>"


class Example(NamedTuple):
    """What a model is given, and what it learns to write after it."""

    prompt: str
    completion: str


def _plain(question: str, answer: str, rng: random.Random) -> Example:
    return Example(f"Question: {question}\nAnswer:", f" {answer}{_END}")


def _plain_or_chat(question: str, answer: str, rng: random.Random) -> Example:
    if rng.random() < 0.5:
        return _plain(question, answer, rng)
    return Example(f"<|im_start|>user\n{question}{_END}\n<|im_start|>assistant\n", f"{answer}{_END}")


def _continuation(start: str, rest: str, rng: random.Random) -> Example:
    return Example(start, rest)


_Source = Callable[[random.Random], tuple[str, str]]
_Format = Callable[[str, str, random.Random], Example]

TEXTS: dict[str, tuple[_Source, _Format]] = {
    "arithmetic": (exercises.arithmetic, _plain),
    "letters": (exercises.letters, _plain_or_chat),
    "choices": (exercises.choices, _plain_or_chat),
    "word_problems": (word_problems.word_problem, _plain_or_chat),
    "docstrings": (library.docstring, _plain_or_chat),
    "code": (library.code, _continuation),
    "topics": (library.topic, _continuation),
    "licences": (library.licence, _continuation),
}


def examples(name: str, seed: int) -> Iterator[Example]:
    """Endless examples of the texts called `name`."""
    source, in_format = TEXTS[name]
    rng = random.Random(f"{name}/{seed}")
    while True:
        question, answer = source(rng)
        yield in_format(question, answer, rng)
