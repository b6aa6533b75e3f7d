"""Generated questions with short answers: sums, letters, and choices between continuations."""

import functools
import operator
import random

from gembench.evaluate.suites.arithmetic import arithmetic_questions
from smollm2.library import paragraphs

_WORDS = """apple bridge candle dragon engine forest garden hammer island jacket kettle ladder magnet needle orange
pencil quiver rocket saddle temple urchin violin window yellow zipper anchor basket cotton desert eleven finger guitar
"""
_OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul}


def arithmetic(rng: random.Random) -> tuple[str, str]:
    """A sum, difference or product of numbers as small as the suite's, but none that it asks."""
    while True:
        sign = rng.choice("+-*")
        highest = 12 if sign == "*" else 99
        left, right = rng.randint(1, highest), rng.randint(1, highest)
        if (left, sign, right) not in _asked():
            return f"What is {left} {sign} {right}?", str(_OPERATIONS[sign](left, right))


@functools.cache
def _asked() -> frozenset[tuple[int, str, int]]:
    """The suite's own questions, and those with the numbers the other way round."""
    rows = arithmetic_questions()["test"]
    asked = {(row["left"], row["sign"], row["right"]) for row in rows}
    return frozenset(asked | {(right, sign, left) for left, sign, right in asked})


def letters(rng: random.Random) -> tuple[str, str]:
    """Something done to a word's letters."""
    word = rng.choice(_WORDS.split())
    return rng.choice(
        (
            (f"What is the word '{word}' spelled backwards?", word[::-1]),
            (f"How many letters does the word '{word}' have?", str(len(word))),
            (f"What is the word '{word}' in capital letters?", word.upper()),
            (f"What are the letters of the word '{word}' in alphabetical order?", " ".join(sorted(word))),
            (f"What is the last letter of the word '{word}'?", word[-1]),
        )
    )


def choices(rng: random.Random) -> tuple[str, str]:
    """A text cut in two, and four continuations of which one is its own: the answer is a letter."""
    drawn = rng.sample(paragraphs(), 4)
    halves = [_halves(paragraph) for paragraph in drawn]
    right = rng.randrange(4)
    endings = [end for _, end in halves]
    lines = "\n".join(f"{letter}. {ending}" for letter, ending in zip("ABCD", endings, strict=True))
    return f"Which continuation fits?\n{halves[right][0]}\n{lines}", "ABCD"[right]


def _halves(paragraph: str) -> tuple[str, str]:
    """Up to 20 words, and the 10 after them."""
    words = paragraph.split()
    cut = min(20, len(words) // 2)
    return " ".join(words[:cut]), " ".join(words[cut : cut + 10])
