"""The suite contract: which queries there are, how they are put to a model, and when an answer is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gembench.evaluate.evaluator import Answer, Request, Settings


@dataclass(frozen=True)
class Query:
    """One question of a task.

    Attributes:
        id: task, document hash and target hash, and the occurrence where a task holds the same document twice.
        task: the task's name.
        subject: a finer topic, "" if the task has none.
        doc_hash: sha256 of the document, as the harness logs it.
        target_hash: sha256 of the expected answer, as the harness logs it.
    """

    id: str
    task: str
    subject: str
    doc_hash: str
    target_hash: str


@dataclass(frozen=True)
class Grade:
    """An answer graded: right or wrong, and the `score` in [0, 1] behind it."""

    is_correct: bool
    score: float


class ChatTemplate(Protocol):
    """How a model wants a conversation written down."""

    @property
    def digest(self) -> str:
        """sha256 of the template's text."""
        ...

    def render(self, messages: Sequence[dict[str, str]], *, add_generation_prompt: bool) -> str:
        """The prompt of a conversation: `messages` are dicts of `role` and `content`."""
        ...


class Suite(Protocol):
    """A set of tasks, its queries numbered 0 to Q - 1."""

    @property
    def name(self) -> str:
        """By which commands know it."""
        ...

    @property
    def settings(self) -> Settings:
        """What its prompts and grades depend on: name, digest of the queries, versions of tasks and harness."""
        ...

    @property
    def queries(self) -> Sequence[Query]:
        """The Q queries, in the order of the tensor's columns."""
        ...

    def requests(self, query: int, chat_template: ChatTemplate | None = None) -> Sequence[Request]:
        """What to ask a model for a query: one request, or one for each choice."""
        ...

    def grade(self, query: int, answers: Sequence[Answer]) -> Grade | None:
        """Grade the answers to a query's requests, in their order; None if the grader cannot tell."""
        ...
