"""Recording one model: load it, ask what it has not answered yet, grade, commit."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gembench.data.journal import Journal
from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import Checkpoint, Evaluator, EvaluatorFailure
from gembench.evaluate.suite import ChatTemplate
from gembench.live.answering import Questions, answered_batches
from gembench.live.events import CellsCommitted, Event, ModelEnded, ModelStarted


@dataclass(frozen=True)
class Candidate:
    """A model to be recorded, on this machine's disk, or the reason why it cannot be.

    Attributes:
        model: its id in the tensor.
        checkpoint: its files, or the failure that kept them from coming here.
        architecture: models of one architecture may go into one live engine, one after the other.
        fingerprint: digests of what its answers depend on: weights, tokenizer, template.
        chat_template: how it wants to be spoken to; None for plain prompts.
        release: called when its files are no longer needed.
    """

    model: str
    checkpoint: Checkpoint | EvaluatorFailure
    architecture: str = ""
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    chat_template: ChatTemplate | None = None
    release: Callable[[], None] = lambda: None


def record_model(
    candidate: Candidate,
    evaluator: Evaluator,
    questions: Questions,
    journal: Journal,
    *,
    queries: Sequence[int] | None = None,
    is_loaded: bool = False,
    commit_every: int,
    is_stopping: Callable[[], bool],
    on_event: Callable[[Event], None],
) -> ModelEnded:
    """Fill a model's row as far as the model lets; its failure is written into the row, and is no error here.

    Args:
        candidate: the model.
        evaluator: what answers.
        questions: the suite.
        journal: where cells go.
        queries: what it is to answer, of which it is asked what it has not answered; None for all.
        is_loaded: whether the evaluator holds it already.
        commit_every: cells committed together.
        is_stopping: whether the evaluator is being taken away, so that a failure says nothing about the model.
        on_event: told what happens.

    Raises:
        TensorError: the journal does not take the cells.
        UsageError: the row was begun with another model of that name.
    """
    started = time.perf_counter()
    load_seconds: float | None = None
    status, message, num_cells = ModelStatus.OK, "", 0
    try:
        if isinstance(candidate.checkpoint, EvaluatorFailure):
            raise candidate.checkpoint
        answered = journal.begin(candidate.model, candidate.fingerprint)
        wanted = range(len(questions.suite.queries)) if queries is None else queries
        left = [query for query in wanted if query not in answered]
        on_event(ModelStarted(candidate.model, len(left)))
        if left and not is_loaded:
            evaluator.load(candidate.checkpoint)
            load_seconds = time.perf_counter() - started
        for cells in answered_batches(
            evaluator, questions, left, chat_template=candidate.chat_template, batch_size=commit_every
        ):
            journal.commit(candidate.model, cells)
            num_cells += len(cells)
            num_tokens = sum(cell.prompt_tokens + cell.completion_tokens for cell in cells)
            on_event(CellsCommitted(candidate.model, len(cells), num_tokens))
    except EvaluatorFailure as failure:
        # Whoever stops the recording takes the engine away, which is no fault of the model's.
        status, message = (
            (ModelStatus.PENDING, "") if is_stopping() else (failure.status, _sentence(failure, candidate))
        )
    journal.end(candidate.model, status, message, load_seconds)
    return ModelEnded(candidate.model, status, message, num_cells, load_seconds, time.perf_counter() - started)


def _sentence(failure: EvaluatorFailure, candidate: Candidate) -> str:
    """What it says of the model, whose name stands beside it wherever it is shown."""
    return str(failure).removeprefix(f"{candidate.model}: ")
