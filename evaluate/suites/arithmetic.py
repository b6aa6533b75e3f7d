"""The questions of `smoke`: sums, differences and products of small numbers, the same ones always."""

import operator
import random
from itertools import cycle
from typing import Any

NUM_QUESTIONS = 200
_SEED = 0
_OPERATIONS = (
    ("addition", "+", operator.add, 99),
    ("subtraction", "-", operator.sub, 99),
    ("multiplication", "*", operator.mul, 12),
)
"""Name, sign, function, and the largest number that takes part."""


def arithmetic_questions(**_metadata: Any) -> dict[str, Any]:
    """The split `test`: 200 different questions, operations in turn; `answer` is a whole number written out."""
    from datasets import Dataset

    draw = random.Random(_SEED)
    questions: dict[tuple[int, str, int], dict[str, Any]] = {}
    for operation, sign, function, largest in cycle(_OPERATIONS):
        left, right = draw.randint(1, largest), draw.randint(1, largest)
        answer = str(function(left, right))
        question = {"left": left, "sign": sign, "right": right, "operation": operation, "answer": answer}
        questions[left, sign, right] = question
        if len(questions) == NUM_QUESTIONS:
            break
    return {"test": Dataset.from_list(list(questions.values()))}
