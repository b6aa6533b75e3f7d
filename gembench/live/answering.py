"""Putting queries to a live model: requests out, answers in, graded cells in batches."""

import time
from collections.abc import Iterator, Sequence
from functools import lru_cache

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
    places: list[tuple[int, int]] = []
    answers: dict[int, list[Answer | None]] = {}
    num_missing: dict[int, int] = {}
    for query in queries:
        of_query = questions.requests(query, chat_template)
        places += [(query, number) for number in range(len(of_query))]
        requests += of_query
        answers[query] = [None] * len(of_query)
        num_missing[query] = len(of_query)

    complete: list[tuple[int, list[Answer]]] = []
    since = time.perf_counter()
    try:
        for position, answer in evaluator.answer(requests):
            query, number = places[position]
            answers[query][number] = answer
            num_missing[query] -= 1
            if num_missing[query]:
                continue
            complete.append((query, [one for one in answers.pop(query) if one is not None]))
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
    num_tokens = [sum(answer.prompt_tokens + answer.completion_tokens for answer in answers) for _, answers in complete]
    # One more for each cell, so that a cell of no known tokens costs something, and nothing is divided by zero.
    total = sum(num_tokens) + len(complete)
    return [
        _cell(questions, query, answers, seconds * (tokens + 1) / total)
        for (query, answers), tokens in zip(complete, num_tokens, strict=True)
    ]


def _cell(questions: Questions, query: int, answers: Sequence[Answer], seconds: float) -> Cell:
    if any(answer.is_too_long for answer in answers):
        outcome, grade = Outcome.TRUNCATED, None
    else:
        grade = questions.grade(query, answers)
        outcome = Outcome.UNGRADED if grade is None else Outcome.ANSWERED
    return Cell(
        query=query,
        outcome=outcome,
        correct=-1 if grade is None else int(grade.is_correct),
        score=None if grade is None else grade.score,
        response=encode_response(answers),
        seconds=seconds,
        prompt_tokens=sum(answer.prompt_tokens for answer in answers),
        completion_tokens=sum(answer.completion_tokens for answer in answers),
    )
