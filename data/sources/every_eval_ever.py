"""Every Eval Ever (schema 0.2 and 0.3): `<uuid>.json` with `<uuid>_samples.jsonl` beside it, one run of one model.

Traps:
- most aggregate records have no samples: leaderboards. They hold no answers, and are passed over.
- a sample has a record for each result (metric and filter) that it counts in. One a task is the score: by `--metric`
  and `--filter`, else the first that the aggregate reports and whose higher scores are better.
- `is_correct` is what each converter likes it to be (true above 0 for one, never true for graded metrics for another):
  right is a score from the threshold on. In files of `gembench export` it is what the tensor said.
- a record with an `error` is a failure, though the format makes it have a score.
- `sample_id` is the number of a row for some converters, and epochs (in `metadata`) repeat it. Where the harness's
  hashes of document and target are there, they say which query it is.
- an aggregate score may be in percent while its samples are in [0, 1].
- one model may have a file a task: they are one run.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from gembench.data.sources.every_eval_ever_choice import Candidate, candidates_of, choose, scores_of
from gembench.data.sources.every_eval_ever_queries import Answers, answers_of
from gembench.data.sources.every_eval_ever_results import OWN_GRADED, Aggregate, read_aggregate
from gembench.data.sources.every_eval_ever_rows import TEXTS, read_samples
from gembench.data.sources.files import find_files, parse_json, read_bytes
from gembench.data.sources.source import Choice, Log, ModelLog, Remark
from gembench.data.sources.streams import CODECS, without_codec
from gembench.errors import SourceError

SAMPLES = "_samples.jsonl"


def find_logs(places: Sequence[str]) -> list[Log]:
    """A log a samples file, with the aggregate record beside it.

    Raises:
        SourceError: there is no samples file.
    """
    files = dict(find_files(places, _is_wanted, f"*{SAMPLES} of Every Eval Ever"))
    logs = []
    for path, size in files.items():
        if not without_codec(path).endswith(SAMPLES):
            continue
        aggregate = without_codec(path).removesuffix(SAMPLES) + ".json"
        if aggregate in files:
            logs.append(Log((path, aggregate), size + files[aggregate]))
        else:
            logs.append(Log((path,), size))
    if not logs:
        raise SourceError(
            f"{', '.join(places)}: {len(files):,} aggregate records and no *{SAMPLES}; scores of single queries are "
            f"needed, which these do not have."
        )
    return logs


def _is_wanted(path: str) -> bool:
    name = without_codec(path)
    return name.endswith(SAMPLES) or (path.endswith(".json") and not path.endswith(tuple(CODECS)))


def read_log(log: Log, choice: Choice) -> Iterator[ModelLog]:
    """What a samples file says of its model.

    Raises:
        SourceError: it is none, or has not the metric or filter.
    """
    file = log.files[0]
    if choice.columns:
        raise SourceError(f"{file}: Every Eval Ever has no columns to choose; leave out --columns.")
    aggregate = Aggregate()
    if len(log.files) > 1:
        aggregate = read_aggregate(parse_json(read_bytes(log.files[1]), log.files[1]), log.files[1])
    model, by_result = read_samples(file, aggregate.model, is_own=aggregate.is_own)
    candidates = candidates_of(by_result, aggregate.results)
    chosen, remarks = choose(candidates, choice, file)
    num_rows = sum(len(samples.ids) for samples in by_result.values())
    yield _model_log(file, model, aggregate, chosen, remarks, num_rows)


def _model_log(
    file: str, model: str, aggregate: Aggregate, chosen: Sequence[Candidate], remarks: list[Remark], num_rows: int
) -> ModelLog:
    parts = [_answers(file, one, aggregate, remarks) for one in chosen]
    _refuse_same_ids(file, [query for part in parts for query in part.queries])
    tasks = [_task(one, aggregate) for one in chosen]
    is_graded = aggregate.is_own and any(OWN_GRADED in result.metrics for result in aggregate.results)
    shares = {task: one.result.share for task, one in zip(tasks, chosen, strict=True) if one.result is not None}
    seconds = np.concatenate([part.seconds for part in parts])
    repeats = np.concatenate([part.repeats for part in parts])
    return ModelLog(
        file=file,
        identity=_identity(file, model, aggregate),
        date=aggregate.date,
        queries=[query for part in parts for query in part.queries],
        tasks=[task for task, part in zip(tasks, parts, strict=True) for _ in part.queries],
        score=np.concatenate([part.score for part in parts]),
        outcome=np.concatenate([part.outcome for part in parts]),
        num_rows=num_rows,
        query_columns=_texts(parts),
        reported={task: share for task, share in shares.items() if share is not None},
        model_columns=aggregate.model_columns(),
        settings=_settings(aggregate),
        remarks=remarks,
        seconds=None if np.isnan(seconds).all() else seconds,
        repeats=None if (repeats == 1).all() else repeats,
        correct=np.concatenate([part.correct for part in parts]) if is_graded else None,
    )


def _answers(file: str, candidate: Candidate, aggregate: Aggregate, remarks: list[Remark]) -> Answers:
    answers = answers_of(candidate.samples, scores_of(candidate), candidate.task, file, is_own=aggregate.is_own)
    num_repeated = len(candidate.samples.ids) - len(answers.queries)
    if num_repeated:
        remarks.append(Remark(file, None, "a query has several records: the mean is its score", num_repeated))
    return answers


def _refuse_same_ids(file: str, queries: Sequence[str]) -> None:
    """Tasks share no query, but `a/b` and its `c` would be called as `a` and its `b/c` are."""
    if len(set(queries)) < len(queries):
        query = next(query for query, count in Counter(queries).items() if count > 1)
        raise SourceError(f"{file}: the query {query!r} is of two evaluations; rename one of them.")


def _task(candidate: Candidate, aggregate: Aggregate) -> str:
    return candidate.task if aggregate.has_tasks else ""


def _texts(parts: Sequence[Answers]) -> dict[str, list[str]]:
    texts = {name: [text for part in parts for text in part.texts[name]] for name in TEXTS}
    return {name: column for name, column in texts.items() if any(column)}


def _identity(file: str, model: str, aggregate: Aggregate) -> dict[str, str]:
    """Which run it is. What gembench exported is called as in its tensor, the revision being in the name already."""
    folder = file.rsplit("/", 2)[-2] if "/" in file else ""
    if aggregate.is_own and aggregate.name:
        return {"model": aggregate.name, "folder": folder}
    known = {
        "revision": aggregate.details.get("revision") or aggregate.details.get("sha", ""),
        "model_args": aggregate.details.get("model_args", ""),
        "folder": folder,
    }
    return {"model": model, **{name: text for name, text in known.items() if text}}


def _settings(aggregate: Aggregate) -> dict[str, object]:
    library = {name: aggregate.library.get(name) for name in ("name", "version")}
    settings = {f"library_{name}": text[:200] for name, text in library.items() if isinstance(text, str)}
    return {**settings, **({"schema_version": aggregate.schema_version} if aggregate.schema_version else {})}
