"""The canary of hot swaps: now and then a fresh engine answers some prompts again, and must say the same.

An engine that takes new weights while it runs takes bad ones in silence, and may keep what it remembers of the old.
The fresh engine takes the place of the swapped one, so that there are never two on one GPU.
"""

from collections.abc import Callable, Sequence
from typing import cast

from gembench.data.journal import Journal
from gembench.data.status import ModelStatus
from gembench.evaluate.canary import Canary, agree
from gembench.evaluate.evaluator import Answer, Checkpoint, Evaluator, EvaluatorFailure, Request, SwappingEvaluator
from gembench.live.answering import Questions
from gembench.live.events import CanaryAsked, Event, ModelEnded
from gembench.live.row import Candidate

NUM_CANARIES = 8
"""How many of the suite's queries are asked again, spread over it, so that its tasks have a say."""
TOLERANCE = 0.01
"""How far two engines' log-likelihoods may be apart for each token: bfloat16 rounds at about the third digit."""


class SwapCheck:
    """Of one evaluator: asks it again when `Canary` says so, and takes back the rows that cannot be trusted.

    Args:
        evaluator: answers. With checks, a `SwappingEvaluator`.
        questions: of which some are asked again.
        journal: holds the rows.
        every: swaps of one architecture between two checks; None for no checks.
        on_event: told of each check.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        questions: Questions,
        journal: Journal,
        every: int | None,
        on_event: Callable[[Event], None],
    ) -> None:
        self.questions = questions
        self._evaluator = cast(SwappingEvaluator, evaluator)
        self._journal = journal
        self._canary = Canary(every) if every is not None else None
        self._on_event = on_event

    def before(self, candidate: Candidate) -> None:
        """Make sure that a model whose architecture is not to be swapped gets a fresh engine."""
        if self._canary and not self._canary.may_swap(candidate.architecture):
            self._evaluator.restart()

    def after(self, candidate: Candidate, ended: ModelEnded) -> bool:
        """Check the swap that a model came in by, if there was one and it is due; returns whether it is still held."""
        if not self._canary or not isinstance(candidate.checkpoint, Checkpoint):
            return True
        if ended.num_cells == 0 or ended.status == ModelStatus.PENDING or self._evaluator.is_fresh:
            return True
        if self._canary.swapped(candidate.architecture, candidate.model):
            return self._check(self._canary, candidate, candidate.checkpoint)
        return True

    def _check(self, canary: Canary, candidate: Candidate, checkpoint: Checkpoint) -> bool:
        evaluator, is_held = self._evaluator, True
        requests = self._requests(candidate)
        try:
            of_swapped = _answers(evaluator, requests)
            evaluator.restart()
            evaluator.load(checkpoint)
            agrees = agree(of_swapped, _answers(evaluator, requests), TOLERANCE)
        except EvaluatorFailure:
            # What a fresh engine cannot do after a swapped one could is no agreement either.
            agrees = is_held = False
        if agrees:
            canary.agreed(candidate.architecture)
            self._on_event(CanaryAsked(candidate.model, agrees=True))
            return is_held
        again = canary.disagreed(candidate.architecture)
        num_cells = sum(self._journal.forget(model) for model in again)
        self._on_event(CanaryAsked(candidate.model, agrees=False, again=again, num_cells=num_cells))
        return is_held

    def _requests(self, candidate: Candidate) -> Sequence[Request]:
        num_queries = len(self.questions.suite.queries)
        num_canaries = min(NUM_CANARIES, num_queries)
        queries = [number * num_queries // num_canaries for number in range(num_canaries)]
        return [request for query in queries for request in self.questions.requests(query, candidate.chat_template)]


def _answers(evaluator: Evaluator, requests: Sequence[Request]) -> list[Answer]:
    answers = dict(evaluator.answer(requests))
    return [answers[position] for position in range(len(requests))]
