"""`gembench search --workers ray`: a worker that is killed leaves its model to another, and no decision changes."""

import json
import subprocess
import sys
import time

import psutil
import pytest
from needs import needs_harness, needs_ray

pytestmark = [pytest.mark.slow, needs_harness, needs_ray]
MODELS = ",".join(f"org/m{number}" for number in range(12))
SEARCH = [sys.executable, "-c", "from gembench.cli.main import main; main()", "search", "-m", MODELS, "-s", "smoke"]


def actors() -> list[psutil.Process]:
    """The processes in which Ray runs our actors."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "ray::EngineHost" in " ".join(process.info["cmdline"] or ())
    ]


def start(store, *options):
    command = [*SEARCH, "-n", "20", "-o", store, "--json", "-", *options]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_search_on_ray_decides_as_one_here_though_an_actor_is_killed(tmp_path):
    here, said = start(tmp_path / "here.zarr", "-e", "scripted").communicate(timeout=120)
    expected = json.loads(here)
    slow = ("-e", "scripted:seconds_per_request=0.05", "--workers", "ray", "--num-workers", "2")
    running = start(tmp_path / "ray.zarr", *slow)
    deadline = time.monotonic() + 90
    while not actors():
        assert time.monotonic() < deadline, "no actor came up"
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.2)
    time.sleep(2)
    actors()[0].kill()
    out, said = running.communicate(timeout=120)
    assert running.returncode == 0, said
    assert "its worker was lost" in said
    found = json.loads(out)  # what Ray has to say of the actor is not in it
    for key in ("decision_digest", "recommended", "pulls", "stages"):
        assert found[key] == expected[key]
    assert found["new_cells"] == found["pulls"]
    assert not actors(), "an actor outlived the search"
