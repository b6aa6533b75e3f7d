"""What an export to Every Eval Ever says: the aggregate record of a model, and a record a cell."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gembench.data.export_cells import ModelCells
from gembench.data.outcomes import Outcome
from gembench.data.sources.every_eval_ever_results import OWN_GRADED, OWN_LIBRARY

SCHEMA_VERSION = "0.3.0"
ACCURACY = "accuracy"


@dataclass(frozen=True, eq=False)
class Task:
    """A task: its name, and the positions of its queries."""

    name: str
    positions: NDArray[np.intp]


@dataclass(frozen=True)
class Run:
    """How the files of a model call it, and each other.

    Attributes:
        model: its id in the tensor.
        repository: its id without the revision.
        about: what the tensor says of it.
        evaluation_id: what both files have in common.
        seconds_since_1970: when the files were made.
        folder: of both, below the export's.
        uuid: the name of both.
    """

    model: str
    repository: str
    about: Mapping[str, object]
    evaluation_id: str
    seconds_since_1970: str
    folder: PurePosixPath
    uuid: str

    @property
    def samples_path(self) -> PurePosixPath:
        """The file of the cells."""
        return self.folder / f"{self.uuid}_samples.jsonl"


def aggregate_record(
    run: Run, dataset: xr.Dataset, tasks: Sequence[Task], cells: ModelCells, num_rows: int, checksum: str
) -> dict[str, Any]:
    """The record of a model: who it is, and its mean in each task that it answered anything of."""
    has_tasks = "named" if "task" in dataset.variables else "none"
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": run.evaluation_id,
        "retrieved_timestamp": run.seconds_since_1970,
        "source_metadata": {
            "source_name": OWN_LIBRARY,
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "other",
        },
        "eval_library": {
            "name": OWN_LIBRARY,
            "version": version("gembench"),
            "additional_details": {"tasks": has_tasks, **_plain_attributes(dataset)},
        },
        "model_info": {
            "name": run.model,
            "id": run.repository,
            "additional_details": {
                "deployment_type": "unknown",
                "model_availability": "unknown",
                **{name: str(value) for name, value in run.about.items()},
            },
        },
        "evaluation_results": [_result(task, cells) for task in tasks if _answered(task, cells).any()],
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": str(run.samples_path),
            "hash_algorithm": "sha256",
            "checksum": checksum,
            "total_rows": num_rows,
        },
    }


def _plain_attributes(dataset: xr.Dataset) -> dict[str, str]:
    """What the tensor says of its making in a word: the suite, the engine, the digest."""
    return {
        f"tensor_{name}": str(value)
        for name, value in dataset.attrs.items()
        if isinstance(value, str | int | float) and len(str(value)) < 200
    }


def _answered(task: Task, cells: ModelCells) -> NDArray[np.bool_]:
    return np.asarray(cells.values["outcome"][task.positions] == Outcome.ANSWERED)


def _metric(cells: ModelCells) -> str:
    return OWN_GRADED if "score" in cells.values else ACCURACY


def _result(task: Task, cells: ModelCells) -> dict[str, Any]:
    """The mean of a task over what was answered, with its standard error."""
    metric = _metric(cells)
    values = cells.values.get("score", cells.values["correct"])[task.positions][_answered(task, cells)]
    values = values.astype(np.float64)
    uncertainty: dict[str, Any] = {"num_samples": len(values)}
    if len(values) > 1:
        error = float(values.std(ddof=1)) / math.sqrt(len(values))
        uncertainty["standard_error"] = {"value": error, "method": "analytic"}
    num_without_answer = int((cells.values["outcome"][task.positions] > Outcome.ANSWERED).sum())
    return {
        "evaluation_result_id": f"{task.name}:{metric}",
        "evaluation_name": task.name,
        "source_data": {"dataset_name": task.name, "source_type": "other"},
        "metric_config": {
            "evaluation_description": "share of right answers" if metric == ACCURACY else "mean score of the answers",
            "metric_id": metric,
            "metric_name": metric,
            "metric_unit": "proportion",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": {
            "score": float(values.mean()),
            "details": {"num_without_answer": str(num_without_answer)},
            "uncertainty": uncertainty,
        },
    }


def sample_records(
    run: Run,
    tasks: Sequence[Task],
    cells: ModelCells,
    queries: Sequence[str],
    about_queries: Sequence[Mapping[str, object]],
) -> Iterator[dict[str, Any]]:
    """A record for each cell of which the model was asked."""
    metric = _metric(cells)
    values = {name: column.tolist() for name, column in cells.values.items()}
    for task in tasks:
        has_result = bool(_answered(task, cells).any())
        for position in task.positions.tolist():
            cell = {name: column[position] for name, column in values.items()}
            if cell["outcome"] == Outcome.NOT_ASKED:
                continue
            record = _sample(run, task.name, queries[position], cell, about_queries[position])
            if has_result:
                record["evaluation_result_id"] = f"{task.name}:{metric}"
            yield record


def _sample(run: Run, task: str, query: str, cell: Mapping[str, Any], about: Mapping[str, object]) -> dict[str, Any]:
    outcome = Outcome(cell["outcome"])
    is_answered = outcome == Outcome.ANSWERED
    metadata = {name: str(value) for name, value in about.items() if name != "task"}
    if "repeats" in cell:
        metadata["repeats"] = str(cell["repeats"])
    record: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": run.evaluation_id,
        "model_id": run.repository,
        "evaluation_name": task,
        "sample_id": query,
        "interaction_type": "single_turn",
        "input": {"raw": "", "reference": []},
        "output": {"raw": [cell["response"]] if cell.get("response") else []},
        "answer_attribution": [],
        "evaluation": {
            "score": float(cell.get("score", cell["correct"])) if is_answered else 0.0,
            "is_correct": cell["correct"] == 1,
        },
        "error": None if is_answered else f"no graded answer: {outcome.name.lower()}",
        "metadata": metadata if is_answered else {**metadata, "outcome": outcome.name.lower()},
    }
    if math.isfinite(cell.get("seconds", math.nan)):
        record["performance"] = {"latency_ms": max(0.0, 1000 * cell["seconds"])}
    if "prompt_tokens" in cell and "completion_tokens" in cell:
        given, made = max(0, cell["prompt_tokens"]), max(0, cell["completion_tokens"])
        record["token_usage"] = {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}
    return record
