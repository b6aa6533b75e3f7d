"""Logs as Inspect writes them, made by hand."""

import json

from gembench.data.sources.inspect_archive import zipfile


def sample(number, value="C", epoch=1, **others):
    scores = {"match": {"value": value}} if value is not None else {}
    return {
        "id": number,
        "epoch": epoch,
        "input": f"question {number}",
        "target": "x",
        "scores": scores,
        "total_time": 2.0,
        "working_time": 0.5,
        "completed": True,
        **others,
    }


def header(reported=None, status="success", **spec):
    results = {"scores": [{"name": "match", "scorer": "match", "metrics": {"accuracy": {"value": reported}}}]}
    return {
        "version": 2,
        "status": status,
        "eval": {
            "eval_id": "e1",
            "run_id": "r1",
            "created": "2001-02-03T04:05:06+00:00",
            "task": "suite/task",
            "model": "mockllm/org/model",
            "dataset": {"samples": 3},
            **spec,
        },
        "results": results,
    }


def write_eval(folder, head, samples, name="log.eval", compression=zipfile.ZIP_ZSTANDARD):
    return write_members(folder, {"header.json": head, "summaries.json": samples}, name, compression)


def write_members(folder, members, name="log.eval", compression=zipfile.ZIP_ZSTANDARD):
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w", compression) as archive:
        for member, content in members.items():
            archive.writestr(member, content if isinstance(content, str | bytes) else json.dumps(content))
    return folder


def write_json(folder, head, samples, name="log.json"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps({**head, "samples": samples}))
    return folder
