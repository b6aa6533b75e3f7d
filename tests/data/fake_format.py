"""A format for tests of what all formats share: a log is a JSON file of models, each with rows of a query.

Every reading is noted in `reads.txt` beside the log, so that a test can count them.
"""

import json
import time
from pathlib import Path

import numpy as np

from gembench.data.outcomes import Outcome
from gembench.data.sources.source import Log, ModelLog, Remark
from gembench.errors import SourceError


def find_logs(places):
    files = [
        file for place in map(Path, places) for file in (sorted(place.glob("*.json")) if place.is_dir() else [place])
    ]
    if not files:
        raise SourceError(f"{places[0]}: no log lies there.")
    return [Log((str(file),), file.stat().st_size) for file in files]


def read_log(log, choice):
    (file,) = log.files
    said = json.loads(Path(file).read_text())
    with Path(file).with_name("reads.txt").open("a") as reads:
        reads.write(f"{Path(file).name}\n")
    for model in said["models"]:
        time.sleep(model.pop("wait", 0))
        if "problem" in model:
            raise SourceError(f"{file}:{model['problem']}")
        rows = model.pop("rows")
        optional = {
            name: None if name not in model else np.asarray(model.pop(name))
            for name in ("correct", "seconds", "repeats")
        }
        yield ModelLog(
            file=file,
            identity=model.pop("identity"),
            date=model.pop("date", ""),
            queries=[row[0] for row in rows],
            tasks=[row[0].partition("/")[0] for row in rows],
            score=np.asarray([np.nan if row[1] is None else row[1] for row in rows], np.float64),
            outcome=np.asarray([row[2] if len(row) > 2 else Outcome.ANSWERED for row in rows], np.uint8),
            num_rows=model.pop("num_rows", len(rows)),
            remarks=[Remark(file, *remark) for remark in model.pop("remarks", [])],
            **optional,
            **model,
        )


def write_log(path, *models):
    """Each model a dict of the fields of a `ModelLog`, its `rows` being [query, score, outcome]."""
    path.write_text(json.dumps({"models": models}))
    return path


def reads(folder):
    """The logs that were read, each as often as it was."""
    noted = folder / "reads.txt"
    return sorted(noted.read_text().split()) if noted.exists() else []
