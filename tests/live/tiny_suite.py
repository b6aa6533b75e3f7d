"""A suite without the harness: sums, generated or chosen among three, and an evaluator whose every move is set."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import Answer, Checkpoint, EvaluatorFailure, Generate, LogLikelihood
from gembench.evaluate.suite import Grade, Query


class TinySuite:
    """Sums 0 + 1, 1 + 2, ...: the even ones generated, the odd ones chosen among three numbers."""

    name = "tiny"

    def __init__(self, num_queries: int = 10) -> None:
        self.queries = tuple(
            Query(f"sum/{number}", "sum", "", f"doc{number}", f"target{number}") for number in range(num_queries)
        )
        self.settings = {"suite": "tiny", "num_queries": num_queries}

    def requests(self, query: int, chat_template=None) -> Sequence[Generate | LogLikelihood]:
        prompt = f"{query} + {query + 1} ="
        if query % 2 == 0:
            return (Generate(prompt, stop=("\n",), max_tokens=8),)
        right = 2 * query + 1
        return tuple(LogLikelihood(prompt, f" {number}") for number in (right, right + 1, right - 1))

    def grade(self, query: int, answers: Sequence[Answer]) -> Grade | None:
        if len(answers) == 1:
            if answers[0].text == "ungradable":
                return None
            is_right = answers[0].text.strip() == str(2 * query + 1)
        else:
            is_right = max(range(3), key=lambda number: answers[number].log_likelihood) == 0
        return Grade(is_right, float(is_right))


@dataclass(eq=False)
class Puppet:
    """An evaluator that knows all sums, and fails as it is told.

    `fail_after`: model → (answers before it fails, what it raises).
    """

    fail_after: dict[str, tuple[int, Exception]] = field(default_factory=dict)
    fail_to_load: dict[str, Exception] = field(default_factory=dict)
    seconds_per_answer: float = 0.0
    loaded: list[str] = field(default_factory=list)
    asked: list[tuple[str, object]] = field(default_factory=list)
    is_closed: bool = False

    @property
    def settings(self):
        return {"engine": "puppet"}

    def load(self, checkpoint: Checkpoint) -> None:
        self.loaded.append(checkpoint.model)
        if checkpoint.model in self.fail_to_load:
            raise self.fail_to_load[checkpoint.model]

    def answer(self, requests):
        model = self.loaded[-1]
        num_left, error = self.fail_after.get(model, (None, None))
        # Backwards, since the contract promises no order.
        for position in reversed(range(len(requests))):
            if self.is_closed:
                raise EvaluatorFailure(ModelStatus.ENGINE_CRASHED, "closed")
            if num_left == 0:
                raise error
            if num_left is not None:
                num_left -= 1
            time.sleep(self.seconds_per_answer)
            self.asked.append((model, requests[position]))
            yield position, answer_to(requests[position])

    def close(self) -> None:
        self.is_closed = True


def answer_to(request) -> Answer:
    if isinstance(request, Generate):
        left, right = (int(number) for number in request.prompt.removesuffix(" =").split(" + "))
        return Answer(text=f" {left + right}", prompt_tokens=3, completion_tokens=1)
    left, right = (int(number) for number in request.context.removesuffix(" =").split(" + "))
    is_right = int(request.continuation) == left + right
    return Answer(log_likelihood=-1.0 if is_right else -2.0, is_greedy=is_right, prompt_tokens=4)
