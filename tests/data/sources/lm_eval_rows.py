"""Logs of lm-eval written by hand: what a test says, and nothing else."""

import hashlib
import json
from pathlib import Path
from typing import Any

from spoiled import read_all

from gembench.data.sources import lm_eval
from gembench.data.sources.source import Choice, ModelLog

DATE = "2001-02-03T04-05-06.000007"
"""As the tool writes it into names."""


def hashed(text: object) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()


def row(document: str, value: object = 1.0, *, metric: str = "acc", filter_name: str = "none", **others) -> dict:
    return {
        "doc_id": 0,
        "doc": {"question": document},
        "target": "yes",
        "resps": [[["-1.5", "False"]]],
        "filter": filter_name,
        "metrics": [metric],
        "doc_hash": hashed(document),
        "prompt_hash": hashed("prompt"),
        "target_hash": hashed("yes"),
        metric: value,
        **others,
    }


def results(figures: dict[str, dict[str, Any]], model: str = "org/model", **others) -> dict:
    return {
        "results": {task: {"alias": task, **of_task} for task, of_task in figures.items()},
        "model_name": model,
        "config": {"model_args": f"pretrained={model}"},
        "date": 1000000000.5,
        **others,
    }


def configs(task: str, **aggregations: str) -> dict:
    metrics = [{"metric": metric, "aggregation": name} for metric, name in aggregations.items()]
    return {"configs": {task: {"metric_list": metrics}}}


def as_lines(rows: list[dict]) -> bytes:
    return b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in rows)


def write_log(
    folder: Path, tasks: dict[str, list[dict]], content: dict | None, *, date: str = DATE, name: str = "org__model"
) -> Path:
    """A run as the tool writes it now; returns the folder of the model."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    for task, rows in tasks.items():
        (place / f"samples_{task}_{date}.jsonl").write_bytes(as_lines(rows))
    if content is not None:
        (place / f"results_{date}.json").write_text(json.dumps(content))
    return place


def read_one(folder, choice: Choice | None = None) -> ModelLog:
    (log,) = read_all(lm_eval, folder, choice=choice)
    return log


def remarks(log: ModelLog) -> str:
    return " ".join(remark.message for remark in log.remarks)
