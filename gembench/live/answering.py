"""Putting queries to a live model: requests out, answers in, graded cells in batches."""

import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from gembench.data.journal import Cell
from gembench.data.outcomes import Outcome
from gembench.evaluate.evaluator import Answer, Evaluator, EvaluatorFailure, Request
from gembench.evaluate.responses import encode_response
from gembench.evaluate.suite import ChatTemplate, Grade, Suite

_MOST_GRADES_KEPT = 1 << 17


class Questions:
    """A suite as many models are asked it: rendered once for each chat template, and the same text graded once."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self._template: str | None = None
        self._requests: dict[int, Sequence[Request]] = {}
        # Models that are right say the same, and so do many that are wrong. Log-likelihoods never come again.
        self._grade_text = lru_cache(_MOST_GRADES_KEPT)(lambda query, text: suite.grade(query, (Answer(text=text),)))

    def requests(self, query: int, chat_template: ChatTemplate | None) -> Sequence[Request]:
        """What to ask for a query."""
        template = None if chat_template is None else chat_template.digest
        if template != self._template:
            self._template, self._requests = template, {}
        if query not in self._requests:
            self._requests[query] = self.suite.requests(query, chat_template)
        return self._requests[query]

    def grade(self, query: int, answers: Sequence[Answer]) -> Grade | None:
        """Grade the answers to a query's requests."""
        if len(answers) == 1 and answers[0].log_likelihood is None:
            return self._grade_text(query, answers[0].text)
        return self.suite.grade(query, answers)


def answered_batches(
    evaluator: Evaluator,
    questions: Questions,
    queries: Sequence[int],
    *,
    chat_template: ChatTemplate | None = None,
    batch_size: int,
) -> Iterator[list[Cell]]:
    """Ask the loaded model some queries; yields their cells, `batch_size` at a time, as the answers come.

    The engine gets all requests at once, so that it never runs dry between two batches. The time between two batches
    is divided among the cells of the later one by their tokens.

    Raises:
        EvaluatorFailure: the model failed. The cells that were complete before have been yielded.
    """
    requests: list[Request] = []
    rows: list[int] = []
    starts = [0]
    for row, query in enumerate(queries):
        requests += questions.requests(query, chat_template)
        rows += [row] * (len(requests) - starts[row])
        starts.append(len(requests))
    num_missing = [end - start for start, end in pairwise(starts)]
    answers = [Answer()] * len(requests)

    complete: list[tuple[int, list[Answer]]] = []
    since = time.perf_counter()
    try:
        for position, answer in evaluator.answer(requests):
            answers[position] = answer
            row = rows[position]
            num_missing[row] -= 1
            if num_missing[row] > 0:
                continue
            complete.append((queries[row], answers[starts[row] : starts[row + 1]]))
            if len(complete) == batch_size:
                now = time.perf_counter()
                yield _cells(questions, complete, now - since)
                complete, since = [], now
    except EvaluatorFailure:
        if complete:
            yield _cells(questions, complete, time.perf_counter() - since)
        raise
    if complete:
        yield _cells(questions, complete, time.perf_counter() - since)


def _cells(questions: Questions, complete: Sequence[tuple[int, list[Answer]]], seconds: float) -> list[Cell]:
    tokens = [
        (sum([answer.prompt_tokens for answer in answers]), sum([answer.completion_tokens for answer in answers]))
        for _, answers in complete
    ]
    # One more for each cell, so that a cell of no known tokens costs something, and nothing is divided by zero.
    seconds_each = seconds / (sum(map(sum, tokens)) + len(complete))
    return [
        Cell(
            query,
            *_graded(questions, query, answers),
            encode_response(answers),
            seconds_each * (prompt_tokens + completion_tokens + 1),
            prompt_tokens,
            completion_tokens,
        )
        for (query, answers), (prompt_tokens, completion_tokens) in zip(complete, tokens, strict=True)
    ]


def _graded(questions: Questions, query: int, answers: Sequence[Answer]) -> tuple[Outcome, int, float | None]:
    """`Cell.outcome`, `Cell.correct` and `Cell.score`."""
    for answer in answers:
        if answer.is_too_long:
            return Outcome.TRUNCATED, -1, None
    grade = questions.grade(query, answers)
    if grade is None:
        return Outcome.UNGRADED, -1, None
    return Outcome.ANSWERED, int(grade.is_correct), grade.score
