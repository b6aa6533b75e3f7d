"""Runs Inspect itself on a model that answers by rote, in a process of its own: `inspect_runs.py FOLDER [crash]`.

It leaves in the folder a log a run, and prints as JSON what Inspect reports of each, by file name.
"""

import json
import os
import sys
from pathlib import Path

from inspect_ai import Epochs, Task, task
from inspect_ai import eval as run_eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import read_eval_log, write_eval_log
from inspect_ai.model import (
    ChatMessageUser,
    ContentImage,
    ContentText,
    GenerateConfig,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.scorer import Score, accuracy, mean, scorer
from inspect_ai.solver import generate, solver

KINDS = ("C", "I", "P", "N", "CI", "CPI", "x", "Cx", "fail", "C")
"""A sample each: the values of its scores, epoch by epoch, over and over; x is not scored."""
PIXEL = f"data:image/png;base64,{'A' * 400}"


def question(number: int) -> str | list[ChatMessageUser]:
    """A short one; one of 15,000 characters; one of several messages, with a picture."""
    if number == 2:
        return "a long \n question " * 1000
    if number == 3:
        parts = [ContentText(text="what is this? " * 600), ContentImage(image=PIXEL), ContentText(text="well?")]
        return [ChatMessageUser(content="look"), ChatMessageUser(content=parts)]
    return f"question {number}"


SAMPLES = [
    Sample(id=number, input=question(number), target=["yes", "indeed"], metadata={"kind": kind})
    for number, kind in enumerate(KINDS, start=1)
]


@scorer(metrics=[accuracy()])
def letters():
    async def score(state, target):
        kinds = state.metadata["kind"]
        kind = kinds[(state.epoch - 1) % len(kinds)]
        return Score(value=float("nan") if kind == "x" else kind)

    return score


@scorer(metrics={"format": [accuracy()], "style": [mean()]})
def keyed():
    async def score(state, target):
        return Score(value={"format": state.sample_id % 2 == 0, "style": 0.25 * (state.epoch % 3)})

    return score


@solver
def unreliable(crash_at: int):
    async def solve(state, generate):
        if state.metadata["kind"] == "fail":
            raise RuntimeError("the sandbox broke")
        if state.sample_id == crash_at:
            os._exit(9)
        return state

    return solve


@task
def rote(shots: int = 0, crash_at: int = 0):
    return Task(dataset=MemoryDataset(SAMPLES), solver=[unreliable(crash_at), generate()], scorer=[letters(), keyed()])


def run(folder: Path, task: Task, name: str, **options: object) -> dict[str, object]:
    output = ModelOutput.from_content("mockllm/model", "yes")
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    config = GenerateConfig(**options.pop("config", {}))
    model = get_model("mockllm/model", config=config, custom_outputs=lambda *_: output, memoize=False)
    settings = {"display": "none", "fail_on_error": False, "max_samples": 1, "log_buffer": 1, **options}
    (log,) = run_eval(task, model=model, log_dir=str(folder / name), **settings)
    reported = {f"{score.scorer}/{score.name}/{score.reducer}": score.metrics for score in log.results.scores}
    return {key: {name: metric.value for name, metric in metrics.items()} for key, metrics in reported.items()}


def main(folder: Path, crash: bool) -> None:
    """Makes all logs, or one that ends in the middle."""
    if crash:
        run(folder, rote(crash_at=4), "crashed")
    reported = {
        "plain": run(folder, rote(), "plain"),
        "as_json": run(folder, rote(), "as_json", log_format="json"),
        "epochs": run(folder, rote(), "epochs", epochs=6),
        "at_least": run(folder, rote(), "at_least", epochs=Epochs(6, ["at_least_2", "mean"])),
        "other_arguments": run(folder, rote(shots=2), "other_arguments"),
        "limited": run(folder, rote(), "limited", message_limit=1),
        "warmer": run(folder, rote(), "warmer", config={"temperature": 0.5}),
    }
    (folder / "converted").mkdir()
    for name in ("plain", "epochs"):
        (file,) = (folder / name).glob("*.eval")
        write_eval_log(read_eval_log(str(file)), str(folder / "converted" / f"{name}.json"), format="json")
    print(json.dumps(reported))


if __name__ == "__main__":
    main(Path(sys.argv[1]), crash="crash" in sys.argv[2:])
