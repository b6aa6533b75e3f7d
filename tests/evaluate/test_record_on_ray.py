"""`gembench record --workers ray`: a worker that is killed leaves its model to another."""

import subprocess
import sys
import time

import psutil
import pytest
from needs import needs_harness, needs_ray

from gembench.data.tensor import open_tensor

pytestmark = [pytest.mark.slow, needs_harness, needs_ray]
NUM_MODELS = 8


def actors() -> list[psutil.Process]:
    """The processes in which Ray runs our actors."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "ray::EngineHost" in " ".join(process.info["cmdline"] or ())
    ]


def test_a_killed_actor_loses_nothing(tmp_path):
    store = tmp_path / "out.zarr"
    models = ",".join(f"org/m{number}" for number in range(NUM_MODELS))
    command = [
        sys.executable,
        "-c",
        "from gembench.cli.main import main; main()",
        "record",
        "-m",
        models,
        "-s",
        "smoke",
    ]
    options = ["-e", "scripted:seconds_per_request=0.005", "--workers", "ray", "--num-workers", "2", "-o", str(store)]
    running = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while not (store.with_name("out.zarr.journal").exists() and actors()):
        assert time.monotonic() < deadline, "no actor came up"
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.2)
    time.sleep(2)
    actors()[0].kill()
    _, said = running.communicate(timeout=120)
    assert running.returncode == 0, said
    assert "its worker was lost" in said
    tensor = open_tensor(store)
    assert set(tensor["model_status"].values) == {"ok"}
    assert (tensor["correct"].values >= 0).all()
    assert not actors(), "an actor outlived the recording"
