"""Commands are run in this process, with JAX left as the tests have it, or as a person runs them (`test_process`)."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from click.testing import CliRunner, Result

from gembench.cli.main import cli
from gembench.runs import Runs


@pytest.fixture
def gembench(monkeypatch) -> Callable[..., Result]:
    """Runs a command in this process: `gembench("info", path)`."""
    monkeypatch.setattr("gembench.jax_setup.set_up_jax", lambda **options: None)

    def run(*args, **options):
        return CliRunner().invoke(cli, [str(arg) for arg in args], **options)

    return run


@dataclass
class FakeSimulator:
    """Stands in for the simulator where a test is about the command: draws recommendations, and notes each call."""

    calls: list

    def __call__(self, policy, race, *, num_runs, num_recommended=1, on_progress=None, with_digests=False, **settings):
        self.calls.append({"policy": policy, "race": race, "num_runs": num_runs, **settings})
        # As with the real one, the memory at hand changes nothing in the result.
        decisive = {name: value for name, value in settings.items() if name != "memory_bytes"}
        rng = np.random.default_rng(zlib.crc32(repr((policy, num_runs, decisive)).encode()))
        if on_progress is not None:
            on_progress(num_runs)
        return Runs(
            recommended=np.stack([rng.permutation(len(race.correct))[:num_recommended] for _ in range(num_runs)]),
            pulls=np.full(num_runs, settings["budget"]),
            model_loads=np.full(num_runs, len(race.correct)),
            cost_seconds=rng.gamma(20, 1, num_runs),
            best_pulls=np.full(num_runs, 2),
            best_correct=np.ones(num_runs, np.int64),
            distinct_queries=np.full(num_runs, 2.0),
            decision_digests=tuple(f"{run:064x}" for run in range(num_runs)) if with_digests else None,
        )


@pytest.fixture
def simulator(monkeypatch) -> FakeSimulator:
    """Puts a `FakeSimulator` in the simulator's place."""
    fake = FakeSimulator([])
    monkeypatch.setattr("gembench.experiment.simulate", fake)
    return fake


@pytest.fixture
def save_npz(tmp_path):
    """Writes `correct` [M, Q] (and whatever else) as an `.npz` and returns its path."""

    def save(correct, name="small.npz", **arrays):
        correct = np.asarray(correct)
        contents = {
            "correct": correct,
            "models": np.array([f"org/model-{model}" for model in range(correct.shape[0])]),
            "queries": np.array([f"query-{query}" for query in range(correct.shape[1])]),
            **arrays,
        }
        path = tmp_path / name
        np.savez_compressed(path, **contents)
        return path

    return save


@pytest.fixture
def small(save_npz):
    """A complete tensor of 8 models and 30 queries, model 7 the best."""
    rng = np.random.default_rng(0)
    return save_npz((rng.random((8, 30)) < np.linspace(0.1, 0.9, 8)[:, None]).astype(np.uint8))
