"""One long table in every kind of file, and how to write others."""

import gzip
import io
import json

import numpy as np
import pyarrow as pa
from pyarrow import parquet

LONG = "model,task,query,score\nm1,arc,0,1\nm2,arc,0,0.25\nm1,gsm,0,0\nm1,arc,1,\n"
OBJECTS = [
    {"model": "m1", "task": "arc", "query": 0, "score": True},
    {"model": "m2", "task": "arc", "query": "0", "score": 0.25},
    {"model": "m1", "task": "gsm", "query": 0, "score": "false"},
    {"model": "m1", "task": "arc", "query": 1, "score": None},
]
COLUMNS = {name: [one[name] for one in OBJECTS] for name in ("model", "task")}


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def as_parquet(columns, metadata=None):
    stored = io.BytesIO()
    parquet.write_table(pa.table(columns).replace_schema_metadata(metadata), stored)
    return stored.getvalue()


def packed_zst(text):
    return pa.Codec("zstd").compress(text.encode(), asbytes=True)


def as_lines(objects):
    return "".join(json.dumps(one) + "\n" for one in objects)


LONG_FILES = {
    "long.csv": LONG,
    "marked.csv": "\ufeff" + LONG,
    "windows.csv": LONG.replace("\n", "\r\n"),
    "quoted.csv": LONG.replace("arc", '"arc"'),
    "long.tsv": LONG.replace(",", "\t"),
    "long.csv.gz": gzip.compress(LONG.encode()),
    "two.csv.gz": gzip.compress(LONG[:30].encode()) + gzip.compress(LONG[30:].encode()),
    "long.tsv.zst": packed_zst(LONG.replace(",", "\t")),
    "long.jsonl": as_lines(OBJECTS),
    "gaps.jsonl": as_lines(OBJECTS).replace("\n", "\n\n").replace("null", "NaN"),
    "marked.jsonl": "\ufeff" + as_lines(OBJECTS),
    "long.ndjson.zst": packed_zst(as_lines(OBJECTS)),
    "long.parquet": as_parquet({**COLUMNS, "query": [0, 0, 0, 1], "score": [1.0, 0.25, 0.0, None]}),
    "dictionary.parquet": as_parquet(
        {
            **{name: pa.array(column).dictionary_encode() for name, column in COLUMNS.items()},
            "query": pa.array(["0", "0", "0", "1"], pa.large_string()),
            "score": pa.array([1, 0.25, 0, np.nan], pa.float32()),
        }
    ),
}
