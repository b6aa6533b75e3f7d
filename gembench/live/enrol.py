"""Before a recording starts: what it asks, what answers, and which models are still to be asked."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from gembench.data.journal import Journal
from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import Settings
from gembench.evaluate.model_list import ModelSource
from gembench.evaluate.suite import Suite


def agree_on_settings(journal: Journal, suite: Suite, engine: Settings, *, with_chat_template: bool) -> None:
    """Write down what all rows depend on, or make sure that it is what was written down.

    Raises:
        UsageError: the journal holds rows made under other settings, or answers to other queries.
    """
    journal.agree_on(
        {"suite": dict(suite.settings), "engine": dict(engine), "apply_chat_template": int(with_chat_template)}
    )
    journal.add_queries(
        (
            query.id,
            {
                "task": query.task,
                "subject": query.subject,
                "doc_hash": query.doc_hash,
                "target_hash": query.target_hash,
            },
        )
        for query in suite.queries
    )


def still_to_record(journal: Journal, sources: Sequence[ModelSource], *, retry_failed: bool) -> Sequence[ModelSource]:
    """The models of a list that have no finished row; with `retry_failed` those whose row ended as a failure, too.

    A row that is whole as far as a search asked it is not finished.
    """
    rows = {row.id: row for row in journal.models()}
    num_queries = len(journal.queries())
    left = []
    for source in sources:
        row = rows.get(source.model)
        if row is not None and row.status != ModelStatus.PENDING:
            is_part = row.status == ModelStatus.OK and journal.num_cells(row.position) < num_queries
            if not is_part and not (retry_failed and row.status.is_failure):
                continue
            journal.end(row.id, ModelStatus.PENDING)
        left.append(source)
    return left


def enrol(journal: Journal, sources: Iterable[ModelSource]) -> None:
    """Give each model a row, with what is known of it."""
    journal.add_models((source.model, coordinates(source)) for source in sources)


def num_cells_left(journal: Journal, models: Collection[str]) -> int:
    """How many queries these models have not answered yet, all together."""
    num_queries = len(journal.queries())
    return sum(num_queries - journal.num_cells(row.position) for row in journal.models() if row.id in models)


def coordinates(source: ModelSource) -> Mapping[str, Any]:
    """What is known of a model, by the names of a tensor's coordinates."""
    return {
        "revision": source.revision or "",
        "parent": source.parent,
        "base": source.base,
        "downloads": source.downloads,
        "likes": source.likes,
        "license": source.license,
        "num_parameters": source.num_parameters,
        "created": source.created,
    }
