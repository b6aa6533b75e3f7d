"""Speed and memory of `gembench import lm-eval` beside orjson alone over the same files: a line of JSON.

    python ci/bench_import.py [--models 200] [--rows 12000] [--row-bytes 1000] [--folder TMP]

The logs are made up: a samples file with one filter for each of three tasks, and a results file whose accuracies the
import must meet. Both readings use as many processes as there are cores, and files that were just written.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
import numpy as np
import orjson
import psutil

from gembench.jax_setup import num_cores

COMMAND = [sys.executable, "-c", "from gembench.cli.main import main; main()"]
TASKS = ("task_a", "task_b", "task_c")
DATE = "2001-02-03T04-05-06.000007"
REASONING = 'Let us think step by step.\nThe first of them has "12", so that 3 + 4 = 7 are left.\n\n'
SECONDS_BETWEEN_LOOKS = 0.05


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def documents(task: str, num_rows: int, row_bytes: int) -> list[tuple[bytes, bytes]]:
    """Each row of a samples file, as what comes before and after the answer and its score."""
    rows = []
    for number in range(num_rows):
        question = f"{task} {number}: " + "how many " * 20
        row = {
            "doc_id": number,
            "doc": {"question": question, "answer": str(number)},
            "target": str(number),
            "arguments": {"gen_args_0": {"arg_0": question, "arg_1": {"until": ["\n"], "do_sample": False}}},
            "resps": [[""]],
            "filtered_resps": [str(number)],
            "filter": "none",
            "metrics": ["exact_match"],
            "doc_hash": sha256(question),
            "prompt_hash": sha256(question + "?"),
            "target_hash": sha256(str(number)),
            "exact_match": "SCORE",
        }
        row["resps"] = [[(REASONING * (row_bytes // len(REASONING) + 1))[: max(0, row_bytes - len(json.dumps(row)))]]]
        before, after = json.dumps(row).split('"SCORE"')
        rows.append((before.encode(), after.encode()))
    return rows


def write_logs(folder: Path, num_models: int, num_rows: int, row_bytes: int) -> int:
    """Writes all logs; returns their bytes."""
    num_bytes = 0
    rng = np.random.default_rng(0)
    of_task = {task: documents(task, num_rows // len(TASKS), row_bytes) for task in TASKS}
    for model in range(num_models):
        place = folder / f"org__model-{model}"
        place.mkdir(parents=True)
        results = {}
        for task, rows in of_task.items():
            scores = (rng.random(len(rows)) < 0.3 + 0.4 * model / num_models).tolist()
            lines = [
                b"%b%b%b\n" % (before, b"1.0" if score else b"0.0", after)
                for (before, after), score in zip(rows, scores, strict=True)
            ]
            num_bytes += (place / f"samples_{task}_{DATE}.jsonl").write_bytes(b"".join(lines))
            results[task] = {"alias": task, "exact_match,none": sum(scores) / len(scores)}
        content = {
            "results": results,
            "model_name": f"org/model-{model}",
            "config": {"model_args": f"pretrained=org/model-{model}"},
            "date": 1000000000.5,
        }
        num_bytes += (place / f"results_{DATE}.json").write_bytes(json.dumps(content).encode())
    return num_bytes


def import_all(folder: Path, store: Path) -> tuple[float, float, dict]:
    """Seconds of the command, the most MB that it and its processes held at a time, and its report."""
    started = time.perf_counter()
    command = [*COMMAND, "import", "lm-eval", str(folder), "-o", str(store), "--json", str(store) + ".json"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    most_bytes = 0
    while process.poll() is None:
        most_bytes = max(most_bytes, held_bytes(process.pid))
        time.sleep(SECONDS_BETWEEN_LOOKS)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(process.returncode)
    return seconds, most_bytes / 1e6, json.loads(Path(str(store) + ".json").read_text())


def held_bytes(pid: int) -> int:
    """Of a process and all below it; what they share is counted in each."""
    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0


def parse(path: str) -> int:
    """Only what any reader must do: each line becomes objects."""
    num_rows = 0
    with Path(path).open("rb") as file:
        for line in file:
            orjson.loads(line)
            num_rows += 1
    return num_rows


def parse_all(folder: Path) -> float:
    """Seconds in which as many processes parse all lines, without the start of the processes."""
    paths = [str(path) for path in folder.glob("*/samples_*.jsonl")]
    with ProcessPoolExecutor(num_cores()) as pool:
        list(pool.map(parse, paths[: num_cores()]))
        started = time.perf_counter()
        list(pool.map(parse, paths))
        return time.perf_counter() - started


@click.command()
@click.option("--models", type=click.IntRange(1), default=200, show_default=True)
@click.option("--rows", type=click.IntRange(3), default=12_000, show_default=True, help="Of each model.")
@click.option("--row-bytes", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--folder", type=click.Path(exists=True, path_type=Path), help="Where the logs are put for a while.")
def main(models: int, rows: int, row_bytes: int, folder: Path | None) -> None:
    """Print one line of JSON."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        logs = Path(place, "logs")
        num_megabytes = write_logs(logs, models, rows, row_bytes) / 1e6
        alone = parse_all(logs)
        seconds, most_megabytes, report = import_all(logs, Path(place, "out.zarr"))
    click.echo(
        json.dumps(
            {
                "benchmark": "import_lm_eval",
                "models": report["num_models"],
                "rows": report["num_rows"],
                "megabytes": round(num_megabytes),
                "seconds": round(seconds, 1),
                "megabytes_per_second": round(num_megabytes / seconds),
                "orjson_alone_megabytes_per_second": round(num_megabytes / alone),
                "times_orjson_alone": round(seconds / alone, 2),
                "peak_megabytes": round(most_megabytes),
                "means_compared": sum(mean["reported"] is not None for mean in report["means"]),
                "differences": len(report["differences"]),
                "largest_difference": max(abs(mean["found"] - mean["reported"]) for mean in report["means"]),
                "processes": num_cores(),
            }
        )
    )


if __name__ == "__main__":
    main()
