"""The canary of hot swaps: now and then a fresh engine answers some prompts again, and must say the same.

An engine that takes new weights while it runs takes bad ones in silence, and may keep what it remembers of the old.
"""

from collections.abc import Callable

from gembench.data.journal import Journal
from gembench.evaluate.evaluator import Evaluator
from gembench.live.answering import Questions
from gembench.live.events import Event, ModelEnded
from gembench.live.row import Candidate


class SwapCheck:
    """Of one evaluator."""

    def __init__(
        self,
        evaluator: Evaluator,
        questions: Questions,
        journal: Journal,
        every: int | None,
        on_event: Callable[[Event], None],
    ) -> None:
        self.questions = questions

    def before(self, candidate: Candidate) -> None:
        """A"""

    def after(self, candidate: Candidate, ended: ModelEnded) -> None:
        """A"""
