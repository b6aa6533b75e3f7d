"""What an importer is: it finds the logs of one tool, and reads one log at a time into columns.

A format is one module with two functions, `find_logs` and `read_log` (see `SourceFormat`), named in `catalog.py`. It
knows its tool's files and nothing of tensors; `gembench.data.importing` makes one tensor of what all logs say.

Shapes: n rows of a log.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Log:
    """What is read at a time: the files of one run of one model, or one file with several models.

    Attributes:
        files: paths or fsspec URLs, the one that names the run first.
        num_bytes: of all of them, for the progress; 0 where that is not known.
    """

    files: tuple[str, ...]
    num_bytes: int


@dataclass(frozen=True)
class Choice:
    """What a person chose where a log has several of a thing.

    Attributes:
        metric: the metric that is the score; None for the one that the tool reports first.
        filter_name: the tool's filter (how answers were cut out of responses); None for the one that it reports first.
        columns: for tables: what holds what, such as {"model": "model_id"}; nothing where it is to be guessed.
    """

    metric: str | None = None
    filter_name: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Remark:
    """Something that a person should know about a log: what was left out of it, and why.

    Attributes:
        file: where.
        line: from 1; None where there are no lines.
        message: what, in one sentence without the file.
        num_rows: how many rows it concerns.
    """

    file: str
    line: int | None
    message: str
    num_rows: int = 1


@dataclass(frozen=True, eq=False)
class ModelLog:
    """The rows of one model in one log, as columns of n.

    Attributes:
        file: what messages call the log.
        identity: what tells this run from others: "model" (as the tool names it: org/name where it knows), and whatever
            else it knows, such as "revision", "model_args", "folder". `--model-name` may use each as {model}.
        date: when it was run, as ISO 8601, for `--on-conflict first|last`; "" where unknown.
        queries: n ids, distinct, the same for the same query in every log of the format: task, hashes and occurrence.
        tasks: n tasks.
        score: [n] float64, graded outcome in [0, 1]; NaN where `outcome` is not answered or truncated.
        outcome: [n] uint8, values of `gembench.data.outcomes.Outcome`. A failure is never a wrong answer.
        query_columns: further texts of the queries, n each: "doc_hash", "target_hash", "subject".
        reported: by task, the mean score that the tool itself reports of these rows, in [0, 1].
        model_columns: what the log says of the model, by the names of the schema: "revision", "num_parameters", ...
        settings: what the tool says of its run (version, few-shot, seeds, ...), small and plain: kept as an attribute.
        num_rows: rows read, those left out among them.
        remarks: what was left out or looked strange.
        seconds: [n] float64, what each answer took; None where the log does not say.
        repeats: [n] int, how often each query was answered; None for once each. The score is the mean.
        correct: [n] int8, 1 right and 0 wrong by the log's own word, read where `outcome` is answered; None where right
            is a score of at least the threshold. A log that states both has the scores kept, even if all are 0 or 1.
    """

    file: str
    identity: Mapping[str, str]
    date: str
    queries: Sequence[str]
    tasks: Sequence[str]
    score: NDArray[np.float64]
    outcome: NDArray[np.uint8]
    num_rows: int
    query_columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reported: Mapping[str, float] = field(default_factory=dict)
    model_columns: Mapping[str, object] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    remarks: Sequence[Remark] = ()
    seconds: NDArray[np.float64] | None = None
    repeats: NDArray[np.int64] | None = None
    correct: NDArray[np.int8] | None = None


class SourceFormat(Protocol):
    """A module of this package that reads one format. Its docstring names the tool's version and the format's traps."""

    @staticmethod
    def find_logs(places: Sequence[str]) -> list[Log]:
        """The logs in files, folders, globs and fsspec URLs, in a fixed order.

        Raises:
            SourceError: nothing of this format lies there.
        """
        ...

    @staticmethod
    def read_log(log: Log, choice: Choice) -> Iterator[ModelLog]:
        """What a log says, a model at a time.

        Raises:
            SourceError: the log cannot be used; the message names file and line and says what to do.
        """
        ...
