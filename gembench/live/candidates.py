"""From models that passed the pre-flight to candidates on this machine's disk."""

import contextlib
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path

from gembench.data.journal import ModelRow
from gembench.data.status import ModelStatus
from gembench.evaluate.download_cache import DownloadCache, Fetched
from gembench.evaluate.downloads import fetch_ahead
from gembench.evaluate.evaluator import Checkpoint, EvaluatorFailure
from gembench.evaluate.fingerprint import fingerprint
from gembench.evaluate.preflight import Preflight
from gembench.evaluate.suite import ChatTemplate
from gembench.live.row import Candidate

MakeTemplate = Callable[[Checkpoint], ChatTemplate]


def served_candidates(rows: Sequence[ModelRow]) -> Generator[Candidate, None, None]:
    """Models whose files are not ours to bring: a server holds them, or there are none."""
    for row in rows:
        yield Candidate(row.id, Checkpoint(row.id, Path(row.id)))


def fetched_candidates(
    rows: Sequence[ModelRow],
    preflights: Mapping[str, Preflight],
    *,
    cache: DownloadCache,
    make_template: MakeTemplate | None,
) -> Generator[Candidate, None, None]:
    """Models brought here while those before them answer, in such an order that engines are seldom started.

    What the cache has kept comes first, before it gives way to what must be downloaded.

    Args:
        rows: the models.
        preflights: by model id.
        cache: holds what is downloaded.
        make_template: reads the chat template of a checkpoint; None to ask with plain prompts.
    """
    ordered = engine_order([preflights[row.id] for row in rows])
    ordered.sort(key=lambda one: not cache.has(one))
    with contextlib.closing(fetch_ahead(ordered, cache=cache)) as arriving:
        for fetched in arriving:
            yield _candidate(fetched, make_template)


def engine_order(preflights: Iterable[Preflight]) -> list[Preflight]:
    """Largest first, so that workers end together; models of one architecture in a row, so that engines live on."""
    preflights = list(preflights)
    largest: dict[str, int] = {}
    for one in preflights:
        largest[one.architecture_key] = max(largest.get(one.architecture_key, 0), one.disk_bytes)
    return sorted(
        preflights,
        key=lambda one: (-largest[one.architecture_key], one.architecture_key, -one.disk_bytes, one.source.model),
    )


def _candidate(fetched: Fetched, make_template: MakeTemplate | None) -> Candidate:
    checkpoint: Checkpoint | EvaluatorFailure = fetched.checkpoint
    template: ChatTemplate | None = None
    digests: Mapping[str, str] = {}
    try:
        if isinstance(checkpoint, Checkpoint):
            template = make_template(checkpoint) if make_template else None
            digests = fingerprint(
                checkpoint.folder,
                base_folder=checkpoint.base_folder,
                known_sha256=fetched.preflight.sha256,
            )
    except EvaluatorFailure as failure:
        checkpoint = failure
    except OSError as error:
        message = f"{fetched.preflight.source.model}: its files cannot be read: {error}."
        checkpoint = EvaluatorFailure(ModelStatus.DOWNLOAD_FAILED, message)
    return Candidate(
        fetched.preflight.source.model,
        checkpoint,
        architecture=fetched.preflight.architecture_key,
        fingerprint=digests,
        chat_template=template,
        release=fetched.release,
    )
