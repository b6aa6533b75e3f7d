"""A suite without the harness: sums, generated or chosen among three, and an evaluator whose every move is set."""

import time
from collections.abc import Mapping, Sequence
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
    `rows`: model → what it makes of each query: 1 right, 0 wrong, -1 nothing that can be graded.
    """

    fail_after: dict[str, tuple[int, Exception]] = field(default_factory=dict)
    fail_to_load: dict[str, Exception] = field(default_factory=dict)
    seconds_per_answer: float = 0.0
    loaded: list[str] = field(default_factory=list)
    asked: list[tuple[str, object]] = field(default_factory=list)
    is_closed: bool = False
    rows: Mapping[str, Sequence[int]] | None = None

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
            yield position, answer_to(requests[position], self.rows and self.rows[model])

    def close(self) -> None:
        self.is_closed = True


class Swapping(Puppet):
    """Keeps its engine between models. From `stale_from` on, swapped models answer generations with the first's word.

    `starts` lists, for each engine started, the models that it held.
    """

    def __init__(self, stale_from=None, rows=None):
        super().__init__(rows=rows)
        self.stale_from = stale_from
        self.starts = []
        self.is_stopped = True

    @property
    def is_fresh(self):
        return len(self.starts[-1]) <= 1

    def restart(self):
        self.is_stopped = True

    def load(self, checkpoint):
        if self.is_stopped:
            self.starts.append([])
            self.is_stopped = False
        self.starts[-1].append(checkpoint.model)
        super().load(checkpoint)

    def answer(self, requests):
        if self.is_stopped:
            raise EvaluatorFailure(ModelStatus.ENGINE_CRASHED, "no engine runs")
        is_stale = self.stale_from in self.starts[-1] and not self.is_fresh
        for position, answer in super().answer(requests):
            yield position, Answer(text=" 0") if is_stale and answer.log_likelihood is None else answer


def query_of(request) -> int:
    """Which of the suite's queries a request is about."""
    prompt = request.prompt if isinstance(request, Generate) else request.context
    return int(prompt.split()[0])


def answer_to(request, row=None) -> Answer:
    query = query_of(request)
    right, mark = 2 * query + 1, 1 if row is None else row[query]
    if isinstance(request, Generate):
        text = {1: f" {right}", 0: " 0", -1: "ungradable"}[mark]
        return Answer(text=text, prompt_tokens=3, completion_tokens=1)
    if mark == -1:
        return Answer(is_too_long=True)
    is_liked = (int(request.continuation) == right) == (mark == 1)
    return Answer(log_likelihood=-1.0 if is_liked else -2.0, is_greedy=is_liked, prompt_tokens=4)
