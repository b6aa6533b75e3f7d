"""Which files of lm-evaluation-harness belong together: a results file and the samples of its run."""

import glob
import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gembench.data.sources.files import find_files
from gembench.data.sources.source import Log
from gembench.data.sources.streams import without_codec
from gembench.data.sources.texts import date_of_name
from gembench.data.stores import is_url
from gembench.errors import SourceError

_WHAT = "results_*.json or samples_*.jsonl of lm-eval"
_DATE = r"\d{4}-\d{2}-\d{2}T\d{2}[-:]\d{2}[-:]\d{2}(?:\.\d+)?"
_SAMPLES = re.compile(rf"samples_(?P<task>.+)_(?P<date>{_DATE})\.jsonl?")
_RESULTS = re.compile(rf"(?:.+_)?(?P<date>{_DATE})\.json")


@dataclass(frozen=True)
class LogName:
    """What the name of a file says of it.

    Attributes:
        folder: the last part of the folder's path.
        name: the file's, without the ending of a compression.
        is_samples: whether it holds rows; results else.
        task: of the rows, where the name says it.
        date: when the run ended, as ISO 8601 without a zone; "" where the name does not say.
    """

    folder: str
    name: str
    is_samples: bool
    task: str
    date: str

    def task_among(self, tasks: Collection[str]) -> str:
        """The task of the rows: before 0.4.3 a name was `<model_args>_<task>.jsonl`; the longest that fits."""
        if self.task:
            return self.task
        stem = self.name.rpartition(".")[0]
        fitting = [task for task in tasks if stem == task or stem.endswith(f"_{task}")]
        return max(fitting, key=len, default=stem.removeprefix("samples_"))


def log_name(path: str) -> LogName:
    """What the name of a file says of it."""
    folder, name = _folder_and_name(path)
    last = folder.rstrip("/").rpartition("/")[2]
    if samples := _SAMPLES.fullmatch(name):
        return LogName(last, name, is_samples=True, task=samples["task"], date=date_of_name(samples["date"]))
    if results := _RESULTS.fullmatch(name):
        return LogName(last, name, is_samples=False, task="", date=date_of_name(results["date"]))
    return LogName(last, name, is_samples=name.endswith(".jsonl"), task="", date="")


def _folder_and_name(path: str) -> tuple[str, str]:
    whole = path if is_url(path) else str(Path(path).absolute())
    folder, _, name = whole.rpartition("/")
    return folder, without_codec(name)


@dataclass
class _Run:
    """The files of one run."""

    results: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)

    def add(self, path: str) -> None:
        (self.samples if log_name(path).is_samples else self.results).append(path)


def find_logs(places: Sequence[str]) -> list[Log]:
    """A log a results file with its samples; samples without results are one by folder and date.

    Raises:
        SourceError: there is none.
    """
    sizes = dict(find_files(places, _is_json, _WHAT))
    dated: dict[tuple[str, str], _Run] = defaultdict(_Run)
    undated: dict[str, _Run] = defaultdict(_Run)
    for path in sizes:
        folder, _ = _folder_and_name(path)
        date = log_name(path).date
        (dated[folder, date] if date else undated[folder]).add(path)
    for (folder, date), run in dated.items():
        if not run.results or not run.samples:
            sizes.update(_beside(folder, date, run))
    _join_folders(dated)
    runs = [*dated.values(), *_undated_runs(undated, frozenset(places))]
    logs = [_log(run, sizes) for run in runs if run.results or run.samples]
    if not logs:
        raise SourceError(f"{', '.join(places)}: no {_WHAT} lies there; name the folder that has it.")
    return sorted(logs, key=lambda log: log.files)


def _is_json(path: str) -> bool:
    return _folder_and_name(path)[1].endswith((".json", ".jsonl"))


def _beside(folder: str, date: str, run: _Run) -> dict[str, int]:
    """The half of a run that no place names, by size: one may name the results alone, or the samples of a task."""
    stamp = date.replace(":", "?")
    companions = find_files([f"{glob.escape(folder)}/*_{stamp}.json*"], _is_json, _WHAT)
    lacks_results, lacks_samples = not run.results, not run.samples
    found = {}
    for path, size in companions:
        if lacks_samples if log_name(path).is_samples else lacks_results:
            run.add(path)
            found[path] = size
    return found


def _join_folders(dated: dict[tuple[str, str], _Run]) -> None:
    """On the Hub, results and samples are data sets of their own; the date, to the microsecond, joins them."""
    lonely: dict[str, list[_Run]] = defaultdict(list)
    for (_, date), run in dated.items():
        if not run.samples:
            lonely[date].append(run)
    for (_, date), run in dated.items():
        if not run.results and len(lonely[date]) == 1:
            run.results, lonely[date][0].results = lonely[date][0].results, []


def _undated_runs(undated: dict[str, _Run], named: frozenset[str]) -> list[_Run]:
    """Up to 0.4.2 a folder held one run, `results.json` unless one chose a name; or a person renamed the files."""
    runs = []
    for run in undated.values():
        usual = [path for path in run.results if log_name(path).name == "results.json"]
        results = usual or (run.results if len(run.results) == 1 else [])
        if results and (run.samples or usual or results[0] in named):
            runs.append(_Run(results, run.samples))
        else:
            runs += [_Run([], [path]) for path in run.samples if path in named]
    return runs


def _log(run: _Run, sizes: dict[str, int]) -> Log:
    """Of the same results, packed and plain, the first is read."""
    files = (*sorted(run.results)[:1], *sorted(run.samples))
    return Log(files, sum(sizes[path] for path in files))
