"""HELM: a folder a run, with `run_spec.json`, `per_instance_stats.json` and `stats.json`.

Written by crfm-helm 0.1 to 0.5; folders are `benchmark_output/runs/<suite>/<run>/`.

Traps:
- an instance has an entry in `per_instance_stats.json` for each metric class, not one: entries of one instance and
  trial are put together.
- `train_trial_index` counts trials with other examples in the prompt: they are repeated answers, whose mean is the
  score, as it is in HELM's own figures.
- instances with a `perturbation` (misspelled, in dialect, ...) are rows too. They are left out and counted: the plain
  ones alone are what HELM's accuracy is of.
- splits and sub-splits have figures of their own, so each is a task of its own.
- NaN is taken out by HELM before it writes, so that a metric can be missing from some instances: they are ungraded.
- a run's name holds the model's, and what HELM adds for that model (stop sequences, prefixes, augmentation): none of
  them tells queries apart.
- `eval_cache` and runs that did not finish are folders beside; the latter are named, with no rows.
- the score is the metric that HELM's leaderboards show of the run's group, else the first that the run itself names.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gembench.data.sources.files import find_files, parse_json, plain_settings, read_bytes
from gembench.data.sources.helm_metrics import Cell, Spec, Stats, metric_of, reported_means, splits_of
from gembench.data.sources.scores import is_score, outcomes_of
from gembench.data.sources.source import Choice, Log, ModelLog, Remark
from gembench.data.sources.texts import clean_text
from gembench.errors import SourceError

RUN_SPEC, INSTANCES, STATS = "run_spec.json", "per_instance_stats.json", "stats.json"
OF_THE_MODEL = frozenset(
    (
        *("model", "model_deployment", "tokenizer", "data_augmentation", "stop", "add_to_stop", "global_prefix"),
        *("increase_max_tokens", "increase_temperature", "chatml", "anthropic", "claude_3", "amazon-nova"),
        *("idefics_instruct", "llava", "open_flamingo"),
    )
)
"""Parts of a run's name that say which model answered and how it is spoken to, and not what was asked."""
SECONDS = "inference_runtime"
ADAPTER_SETTINGS = (
    "method",
    "max_train_instances",
    "num_train_trials",
    "temperature",
    "max_tokens",
    "model_deployment",
)


def find_logs(places: Sequence[str]) -> list[Log]:
    """A log a run's folder."""
    files = dict(find_files(places, lambda path: _name(path) in (RUN_SPEC, INSTANCES, STATS), RUN_SPEC))
    logs = []
    for path in files:
        if _name(path) != RUN_SPEC:
            continue
        folder = path.removesuffix(RUN_SPEC)
        beside = [folder + name for name in (INSTANCES, STATS) if folder + name in files]
        logs.append(Log((path, *beside), sum(files[file] for file in (path, *beside))))
    if not logs:
        raise SourceError(f"{', '.join(places)}: no {RUN_SPEC} lies there; name the folder that has it.")
    return logs


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def read_log(log: Log, choice: Choice) -> Iterator[ModelLog]:
    """What a run says of its model.

    Raises:
        SourceError: a file is not what HELM writes, or the run has not the metric.
    """
    paths = {_name(path): path for path in log.files}
    spec_file = log.files[0]
    if choice.filter_name is not None:
        raise SourceError(f"{spec_file}: HELM has no filters; leave out the filter {choice.filter_name!r}.")
    spec = parse_json(read_bytes(spec_file), spec_file)
    adapter = spec.get("adapter_spec") if isinstance(spec, dict) else None
    if not isinstance(adapter, dict):
        raise SourceError(f"{spec_file}: holds no object with an 'adapter_spec'; is this HELM's {RUN_SPEC}?")
    task, model = _names(spec, adapter, spec_file)
    settings = plain_settings(adapter, ADAPTER_SETTINGS)
    run = _Run(spec_file, paths.get(INSTANCES, spec_file), task, model, settings)
    if INSTANCES not in paths:
        yield run.model_log({}, "", {}, [Remark(spec_file, None, f"no {INSTANCES} beside: the run did not finish", 0)])
        return
    file = paths[INSTANCES]
    entries = parse_json(read_bytes(file), file)
    if not isinstance(entries, list):
        raise SourceError(f"{file}: holds no list of instances; is this HELM's {INSTANCES}?")
    plain, num_perturbed = _plain_cells(entries, file)
    metric = metric_of(spec, plain, choice, file)
    remarks = []
    if num_perturbed:
        remarks.append(Remark(file, None, "perturbed instances are not the plain ones and are left out", num_perturbed))
    means = reported_means(paths[STATS], metric) if STATS in paths else {}
    yield run.model_log(plain, metric, means, remarks)


def _names(spec: Spec, adapter: Spec, file: str) -> tuple[str, str]:
    """What was asked, and of which model: a run is called `scenario:arg=value,...,model=org_name,...`."""
    name = spec.get("name")
    if not isinstance(name, str) or not name:
        raise SourceError(f"{file}: the run has no 'name'; is this HELM's {RUN_SPEC}?")
    scenario, *parts = re.split("[:,]", clean_text(name), maxsplit=1)
    kept, model = [], ""
    for part in parts[0].split(",") if parts else ():
        key, _, value = part.partition("=")
        if key == "model":
            model = value
        if key not in OF_THE_MODEL:
            kept.append(part)
    stated = adapter.get("model")
    model = clean_text(stated) if isinstance(stated, str) and stated else model
    if not model:
        raise SourceError(f"{file}: neither 'adapter_spec' nor the run's name says which model answered.")
    return f"{scenario}:{','.join(kept)}" if kept else scenario, model


def _plain_cells(entries: list[Any], file: str) -> tuple[dict[Cell, dict[str, Spec]], int]:
    """The stats of the cells without a perturbation, by metric, and how many with one are left out."""
    plain: dict[Cell, dict[str, Spec]] = {}
    perturbed = set()
    for number, entry in enumerate(entries, start=1):
        try:
            cell = (entry["instance_id"], entry.get("train_trial_index", 0))
            stats = {stat["name"]["name"]: stat for stat in entry["stats"]}
            perturbation = entry.get("perturbation")
        except (KeyError, TypeError, AttributeError) as error:
            raise SourceError(f"{file}: entry {number} is no instance with stats; is this HELM's?") from error
        if not isinstance(cell[0], str) or not cell[0] or not isinstance(cell[1], int):
            raise SourceError(f"{file}: entry {number} needs an 'instance_id' and a 'train_trial_index'.")
        if perturbation:
            perturbed.add((cell, str(perturbation)))
            continue
        # Several metric classes state the same efficiency figures: the first is as good as the others.
        plain[cell] = stats | plain.get(cell, {})
    return plain, len(perturbed)


@dataclass
class _Instance:
    """One query: the scores of its trials, and the seconds they took."""

    task: str
    scores: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class _Run:
    """A run, by its `run_spec.json`."""

    file: str
    instances_file: str
    task: str
    model: str
    settings: Mapping[str, Any]

    def model_log(
        self, plain: Stats, metric: str, means: Mapping[tuple[str, str], float], remarks: Sequence[Remark]
    ) -> ModelLog:
        instances: dict[str, _Instance] = {}
        for (instance_id, _), stats in plain.items():
            task = _task(self.task, _splits_in(stats, metric))
            instance = instances.setdefault(f"{task}/{clean_text(instance_id)}", _Instance(task))
            instance.scores += self._values(stats, metric, instance_id)
            runtime = stats[SECONDS].get("mean") if SECONDS in stats else None
            if isinstance(runtime, int | float) and 0 <= runtime < 1e12:
                instance.seconds.append(float(runtime))
        score = np.array([_mean(instance.scores) for instance in instances.values()], dtype=np.float64)
        tasks = [instance.task for instance in instances.values()]
        reported = {_task(self.task, splits): mean for splits, mean in means.items()}
        return ModelLog(
            file=self.file,
            identity={
                "model": self.model,
                "folder": self.file.split("/")[-3] if self.file.count("/") > 1 else "",
            },
            date="",
            queries=list(instances),
            tasks=tasks,
            score=score,
            outcome=outcomes_of(score),
            num_rows=len(plain) + sum(remark.num_rows for remark in remarks),
            reported={task: mean for task, mean in reported.items() if task in set(tasks)},
            settings={"metric": metric, **self.settings},
            remarks=remarks,
            seconds=np.array([_mean(instance.seconds) for instance in instances.values()], dtype=np.float64),
            repeats=np.array([max(1, len(instance.scores)) for instance in instances.values()], dtype=np.int64),
        )

    def _values(self, stats: Mapping[str, Spec], metric: str, instance_id: str) -> list[float]:
        """The score of a trial, or none if HELM has none."""
        value = stats[metric].get("mean") if metric in stats else None
        if value is None or value != value:
            return []
        if not is_score(value):
            raise SourceError(
                f"{self.instances_file}: {metric} of {clean_text(instance_id)!r} is {str(value)[:40]!r}, no score "
                f"in [0, 1]; choose another metric by --metric."
            )
        return [min(1.0, max(0.0, float(value)))]


def _splits_in(stats: Mapping[str, Spec], metric: str) -> tuple[str, str]:
    stat = stats[metric] if metric in stats else next(iter(stats.values()), None)
    return splits_of(stat["name"]) if stat is not None else ("", "")


def _task(name: str, splits: tuple[str, str]) -> str:
    return clean_text("/".join([name, *(split for split in splits if split)]))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
