"""Every Eval Ever 0.3.0: for each model a `<uuid>.json` and its `<uuid>_samples.jsonl`, as its datastore has them.

Folders are `data/<collection>/<developer>/<model>/`, the collection being the suite, the only task, or the tensor's
name. The uuid follows from collection and model, so that exporting again gives the same files but for the time.

- prompts, references and how answers were cut out are not in a tensor: `input.raw` is empty.
- a cell without an answer is a row with an `error` and `metadata.outcome`. The format wants a score there too, which is
  0 and counts nowhere: an aggregate is the mean over answers.
- a query that nobody was asked, and a model that was asked nothing, are left out.
- who made or ran a model is not known here: `source_organization_name`, deployment and availability are "unknown".
"""

import hashlib
import re
import time
import uuid
from pathlib import Path, PurePosixPath

import numpy as np
import orjson
import xarray as xr

from gembench.data.cells import place_of, read_values
from gembench.data.coordinates import coordinates_of
from gembench.data.export_cells import ModelCells, each_model, variables_beside
from gembench.data.export_eee_records import Run, Task, aggregate_record, sample_records
from gembench.data.outcomes import Outcome
from gembench.data.schema import COORDINATES

HELD = (
    *("model", "query", "correct", "outcome", "score", "response", "seconds", "prompt_tokens", "completion_tokens"),
    *("repeats", *COORDINATES),
)
_NO_FILE_NAME = re.compile(r'[<>:"\\|?*/\x00-\x1f\x7f]')
_RESERVED = {
    "data",
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(1, 10)),
}


def write(dataset: xr.Dataset, path: Path) -> set[str]:
    """Write a tensor into a new folder, a model at a time; returns what is left out."""
    left_out = variables_beside(dataset, HELD)
    queries = read_values(dataset, "query").tolist()
    about_queries = coordinates_of(dataset, "query", queries)
    about_models = coordinates_of(dataset, "model", read_values(dataset, "model").tolist())
    collection, tasks = _tasks(dataset, len(queries))
    if "task" in dataset.variables and not read_values(dataset, "task").all():
        left_out.add("task")  # A query without a task beside others with one is of the collection.
    was_asked = np.zeros(len(queries), bool)
    seconds_since_1970 = str(int(time.time()))
    (path / "data").mkdir(parents=True)
    for cells in each_model(dataset, HELD):
        is_asked = cells.values["outcome"] != Outcome.NOT_ASKED
        was_asked |= is_asked
        if not is_asked.any():
            left_out.add("model")
            continue
        run = _run(collection, cells.model, seconds_since_1970, about_models[cells.position])
        _write_model(path, run, dataset, tasks, cells, queries, about_queries)
    return left_out if was_asked.all() else left_out | {"query"}


def _tasks(dataset: xr.Dataset, num_queries: int) -> tuple[str, list[Task]]:
    """What the evaluation as a whole is called, and its tasks, of which there is one where the tensor names none."""
    names = read_values(dataset, "task").tolist() if "task" in dataset.variables else [""] * num_queries
    different = list(dict.fromkeys(names))
    suite = dataset.attrs.get("suite")
    place = place_of(dataset).rstrip("/").rsplit("/", 1)[-1].split(".", 1)[0]
    collection = suite if isinstance(suite, str) and suite else different[0] if len(different) == 1 else ""
    collection = collection or place or "gembench"
    array = np.asarray(names, object)
    return collection, [Task(name or collection, np.flatnonzero(array == name)) for name in different]


def _run(collection: str, model: str, seconds_since_1970: str, about: dict[str, object]) -> Run:
    repository = model.rpartition("@")[0] or model
    developer, _, name = repository.partition("/") if "/" in repository else ("unknown", "", repository)
    # A uuid of version 4, as the format wants, but the same each time.
    digest = hashlib.sha256(f"{collection}\0{model}".encode()).digest()
    return Run(
        model=model,
        repository=repository,
        about=about,
        evaluation_id=f"{collection}/{model}/{seconds_since_1970}",
        seconds_since_1970=seconds_since_1970,
        folder=PurePosixPath("data", *map(_file_name, (collection, developer, name))),
        uuid=str(uuid.UUID(bytes=digest[:16], version=4)),
    )


def _file_name(text: str) -> str:
    """A text as the name of a file on any system."""
    name = _NO_FILE_NAME.sub("_", text).strip(". ")
    return name[:120] if name and name.split(".", 1)[0].lower() not in _RESERVED else f"_{name}"


def _write_model(
    path: Path,
    run: Run,
    dataset: xr.Dataset,
    tasks: list[Task],
    cells: ModelCells,
    queries: list[str],
    about_queries: list[dict[str, object]],
) -> None:
    (path / run.folder).mkdir(parents=True, exist_ok=True)
    checksum, num_rows = hashlib.sha256(), 0
    with (path / run.samples_path).open("xb") as file:
        for record in sample_records(run, tasks, cells, queries, about_queries):
            line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
            checksum.update(line)
            file.write(line)
            num_rows += 1
    aggregate = aggregate_record(run, dataset, tasks, cells, num_rows, checksum.hexdigest())
    (path / run.folder / f"{run.uuid}.json").write_bytes(orjson.dumps(aggregate, option=orjson.OPT_INDENT_2))
