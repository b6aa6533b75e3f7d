"""Tiny models on a fake Hub, and what of them lies on the disk."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from fake_hub import FakeHub
from tiny_checkpoints import adapter_files, llama_files

from gembench.evaluate.download_cache import Fetched
from gembench.evaluate.evaluator import Checkpoint, EvaluatorFailure
from gembench.evaluate.model_list import ModelSource
from gembench.evaluate.preflight import Preflight, preflight_all

PLENTY = 10**9
FILES = llama_files()
MODEL_BYTES = sum(map(len, FILES.values()))
ADAPTER_BYTES = sum(map(len, adapter_files("org/base").values()))


def on_hub(fake_hub: FakeHub, num_models: int = 1) -> list[Preflight]:
    """Put up the models org/m0, org/m1, ..., each of `MODEL_BYTES` beside what no engine needs."""
    for number in range(num_models):
        extra = {"pytorch_model.bin": b"pickle", "modeling.py": b"code", "README.md": b"words", "notes.pt": b"pickle"}
        fake_hub.add(f"org/m{number}", {**llama_files(fill=number), **extra})
    return look_at([f"org/m{number}" for number in range(num_models)])


def adapters_on_hub(fake_hub: FakeHub, num_adapters: int) -> list[Preflight]:
    """Put up the adapters org/a0, org/a1, ... of one base, org/base."""
    fake_hub.add("org/base", llama_files())
    for number in range(num_adapters):
        fake_hub.add(f"org/a{number}", adapter_files("org/base", fill=number))
    return look_at([f"org/a{number}" for number in range(num_adapters)])


def look_at(models: Sequence[str]) -> list[Preflight]:
    return list(preflight_all([ModelSource(model, repo_id=model) for model in models]))


def folder_of(fetched: Fetched) -> Path:
    assert isinstance(fetched.checkpoint, Checkpoint), fetched.checkpoint
    return fetched.checkpoint.folder


def failure_of(fetched: Fetched) -> EvaluatorFailure:
    assert isinstance(fetched.checkpoint, EvaluatorFailure)
    return fetched.checkpoint


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


def models_in(cache: Path) -> set[str]:
    return {path.name.partition("@")[0] for path in cache.iterdir() if path.is_dir()}


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    ticks = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        ticks.wait(0.01)
    raise AssertionError("it did not come true")


def no_download_runs() -> bool:
    return not any(thread.name == "gembench-downloads" for thread in threading.enumerate())
