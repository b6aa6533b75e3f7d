"""`gembench record` with the scripted engine: what lands in the tensor, what people see, and what nothing can break."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest
from needs import needs_harness, needs_torch

from gembench.data.recording import Recording
from gembench.data.tensor import open_tensor

pytestmark = needs_harness
COMMAND = [sys.executable, "-c", "from gembench.cli.main import main; main()"]


@pytest.fixture
def store(tmp_path):
    return tmp_path / "out.zarr"


@pytest.fixture
def record(gembench, store):
    """`gembench record` of models with the scripted engine."""

    def run(models, *arguments, engine="scripted", suite="smoke", output=store):
        return gembench("record", "-m", models, "-s", suite, "-e", engine, "-o", output, *arguments)

    return run


def test_a_recording_becomes_a_tensor_that_can_be_simulated(record, gembench, store):
    result = record("org/a,org/b,org/c")
    assert result.exit_code == 0, result.stderr
    assert "3 of 3 models recorded, sha256:" in result.stdout
    assert f"Next: gembench simulate {store}" in result.stdout
    tensor = open_tensor(store)
    assert tensor["model"].values.tolist() == ["org/a", "org/b", "org/c"]
    assert (tensor["correct"].values >= 0).all()
    assert tensor.attrs["suite"]["suite"] == "smoke"
    assert tensor.attrs["engine"]["engine"] == "scripted"
    simulated = gembench("simulate", store, "-p", "uniform", "-n", 5, "--runs", 3)
    assert simulated.exit_code == 0, simulated.stderr


def test_the_grades_are_those_of_the_stored_responses(record, gembench, store):
    record("org/a,org/b")
    rescored = gembench("rescore", store, "--suite", "smoke", "-o", store.with_name("again.zarr"))
    assert rescored.exit_code == 0, rescored.stderr
    np.testing.assert_array_equal(open_tensor(store.with_name("again.zarr"))["correct"], open_tensor(store)["correct"])


def test_a_failed_model_is_reported_and_the_rest_is_recorded(record, store):
    engine = "scripted:failures=org/b=gated,crashes=org/c"
    result = record("org/a,org/b,org/c,org/d", engine=engine)
    assert result.exit_code == 3
    assert "Could not be measured: 1 gated, 1 engine_crashed" in result.stdout
    assert "SIGSEGV" in result.stdout
    tensor = open_tensor(store)
    assert tensor["model_status"].values.tolist() == ["ok", "gated", "engine_crashed", "ok"]
    assert (tensor["correct"].values >= 0).all(axis=1).tolist() == [True, False, False, True]


def test_failed_models_are_tried_again_on_request_only(record, store):
    record("org/a,org/b", engine="scripted:failures=org/b=gated")
    again = record("org/a,org/b")
    assert again.exit_code == 3
    assert open_tensor(store)["model_status"].values.tolist() == ["ok", "gated"]
    retried = record("org/a,org/b", "--retry-failed")
    assert retried.exit_code == 0, retried.output
    assert open_tensor(store)["model_status"].values.tolist() == ["ok", "ok"]
    assert (open_tensor(store)["correct"].values >= 0).all()


def test_a_hanging_engine_ends_as_a_timeout(record, store):
    result = record("org/a,org/b", "--answer-timeout", 1, engine="scripted:hangs=org/a")
    assert result.exit_code == 3
    assert open_tensor(store)["model_status"].values.tolist() == ["timeout", "ok"]


def test_json_is_a_line_for_each_event_and_at_last_the_report(record, store):
    result = record("org/a,org/b", "--json", "-", "--commit-every", 100, engine="scripted:failures=org/b=gated")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["kind"] for event in events] == [
        "model_started",
        "cells_committed",
        "cells_committed",
        "model_ended",
        "model_started",
        "model_ended",
        "report",
    ]
    *_, failed, report = events
    assert failed["status"] == "gated"
    assert report["content_digest"] == open_tensor(store).attrs["content_digest"]
    assert [model["status"] for model in report["models"]] == ["ok", "gated"]
    assert report["num_cells"] == 200


def test_more_models_may_join_a_recording(record, store):
    record("org/a")
    record("org/b")
    assert open_tensor(store)["model"].values.tolist() == ["org/a", "org/b"]
    assert (open_tensor(store)["correct"].values >= 0).all()


def test_other_settings_are_refused_and_named(record, store):
    record("org/a")
    digest = open_tensor(store).attrs["content_digest"]
    other_suite = record("org/b", "--queries-per-task", 5)
    other_engine = record("org/b", engine="scripted:max_characters=9999")
    for result in (other_suite, other_engine):
        assert result.exit_code == 2
        assert "record into another store" in result.stderr
    assert open_tensor(store).attrs["content_digest"] == digest


def test_four_workers_record_what_one_does(record, store):
    models = ",".join(f"org/m{number}" for number in range(12))
    record(models)
    others = store.with_name("others.zarr")
    result = record(models, "--num-workers", 4, output=others)
    assert result.exit_code == 0, result.output
    assert open_tensor(others).attrs["content_digest"] == open_tensor(store).attrs["content_digest"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "org/a", "-s", "smoke", "-e", "scripted"], "say by --output"),
        (["-m", "org/a", "-s", "smok", "-e", "scripted", "-o", "x.zarr"], "smok"),
        (["-m", "org/a", "-s", "smoke", "-e", "scriptd", "-o", "x.zarr"], "did you mean scripted"),
        (["-m", "org/a", "-s", "smoke", "-e", "scripted:speed=3", "-o", "x.zarr"], "speed"),
        (
            ["-m", "org/a", "-s", "smoke", "-e", "scripted:seconds_per_load", "-o", "x.zarr"],
            "scripted:seconds_per_load",
        ),
        (["-s", "smoke", "-e", "scripted", "-o", "x.zarr"], "either by --models or by --tree"),
        (["-m", "no such folder", "-s", "smoke", "-e", "scripted", "-o", "x.zarr"], "neither a folder here nor an id"),
        (["-m", "org/a", "--limit", "3", "-s", "smoke", "-e", "scripted", "-o", "x.zarr"], "--limit filters a --tree"),
        (["-m", "org/a", "-s", "smoke", "-e", "scripted", "-o", "no/such/x.zarr"], "there is no folder"),
        (["-m", "org/a", "-s", "smoke", "-e", "scripted", "-o", "s3://bucket/x.zarr"], "local folder"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(gembench, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    from gembench.cli.main import cli

    result = gembench("record", *arguments)
    assert cli.run(["record", *arguments], "gembench") == 2
    assert result.exception is not None
    assert message in f"{result.exception} {result.stderr}"
    assert not list(tmp_path.iterdir())


def test_a_tensor_that_was_not_recorded_here_is_left_alone(record, store):
    store.mkdir()
    (store / "zarr.json").write_text("{}")
    result = record("org/a")
    assert result.exit_code == 1
    assert "choose another place" in result.stderr
    assert (store / "zarr.json").read_text() == "{}"


def test_a_dry_run_says_what_would_run_and_writes_nothing(gembench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"x")
    before = sorted(tmp_path.rglob("*"))
    result = gembench("record", "-m", "pickled", "-s", "smoke", "--dry-run", "--json", "-")
    assert result.exit_code == 3
    (model,) = json.loads(result.stdout)["models"]
    assert model["status"] == "unsafe_format"
    assert sorted(tmp_path.rglob("*")) == before


def start(store, models, *, engine="scripted", commit_every=20):
    """The command as a person runs it, over so many made-up models or those named."""
    if isinstance(models, int):
        models = ",".join(f"org/m{number}" for number in range(models))
    arguments = ["record", "-m", models, "-s", "smoke", "-e", engine, "-o", store, "--commit-every", commit_every]
    return subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(running):
    _, said = running.communicate(timeout=120)
    assert running.returncode == 0, said


def cells_in(store):
    """The cells in the journal, as model → queries. Every model's commits were whole batches of 20."""
    with Recording(store) as recording:
        rows = recording.journal.models()
        return {row.id: set(recording.journal.columns(row.position)["query"]) for row in rows}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_recording_is_published_and_goes_on(store, number):
    running = start(store, 4, engine="scripted:seconds_per_request=0.005")
    while not store.with_name("out.zarr.journal").exists():
        time.sleep(0.05)
    time.sleep(2)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "interrupted" in said
    tensor = open_tensor(store)
    assert set(tensor["model_status"].values) <= {"ok", "pending"}
    num_cells = int((tensor["correct"].values >= 0).sum())
    finished = start(store, 4)
    out, said = finished.communicate(timeout=60)
    assert finished.returncode == 0, said
    assert f"{800 - num_cells:,} cells in" in out


@pytest.fixture(scope="module")
def tiny_checkpoints(tmp_path_factory):
    """Three random Llamas for the transformers engine."""
    from tiny_models import make_model

    folder = tmp_path_factory.mktemp("models")
    for seed in range(3):
        make_model(folder / f"m{seed}", seed=seed)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "num_kills", "latest"), [("scripted", 50, 5.0), pytest.param("hf", 10, 15.0, marks=needs_torch)]
)
def test_kills_at_any_instant_lose_at_most_the_batch_in_flight_and_change_nothing(
    tmp_path, request, engine, num_kills, latest
):
    if engine == "hf":
        models = str(request.getfixturevalue("tiny_checkpoints"))

        def start_it(store):
            return start(store, models, engine="hf:dtype=float32,max_batch_tokens=256")
    else:

        def start_it(store):
            return start(store, 16, engine="scripted:seconds_per_request=0.002")

    calm, wild = tmp_path / "calm.zarr", tmp_path / "out.zarr"
    finish(start_it(calm))
    rng = random.Random(0)
    kills = 0
    while kills < num_kills:
        before = cells_in(wild) if wild.with_name("out.zarr.journal").exists() else {}
        running = start_it(wild)
        killed_at = time.monotonic() + rng.uniform(0.5, latest)
        while time.monotonic() < killed_at and running.poll() is None:
            time.sleep(0.01)
        if running.poll() is not None:
            finish(running)
            assert open_tensor(wild).attrs["content_digest"] == open_tensor(calm).attrs["content_digest"]
            shutil.rmtree(wild)
            wild.with_name("out.zarr.journal").unlink()
            continue
        running.kill()
        running.communicate()
        kills += 1
        wait_until_nobody_holds(wild)
        after = cells_in(wild)
        for model, queries in after.items():
            assert before.get(model, set()) <= queries, "a committed cell is gone"
            assert len(queries) % 20 == 0, "half a batch"
        if wild.exists():
            open_tensor(wild)
    finish(start_it(wild))
    assert open_tensor(wild).attrs["content_digest"] == open_tensor(calm).attrs["content_digest"]


def test_a_folder_that_cannot_be_written_any_more_costs_nothing_that_was_paid_for(store):
    running = start(store, 4, engine="scripted:seconds_per_request=0.004")
    while not store.with_name("out.zarr.journal-wal").exists():
        time.sleep(0.02)
    time.sleep(1)
    if subprocess.run(["chattr", "+i", store.parent], capture_output=True).returncode:
        finish(running)
        pytest.skip("no folder can be made immutable here")
    try:
        _, said = running.communicate(timeout=60)
        assert running.returncode == 1
        assert f"{store}: cannot be written" in said
        assert "Traceback" not in said
    finally:
        subprocess.run(["chattr", "-i", store.parent], check=True)
    again = start(store, 4)
    out, said = again.communicate(timeout=60)
    assert again.returncode == 0, said
    assert "0 cells in" in out
    assert (open_tensor(store)["correct"].values >= 0).all()


def test_a_full_disk_ends_the_recording_in_one_line_and_keeps_what_fitted(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", disk]).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        store = disk / "out.zarr"
        running = start(store, 60)
        _, said = running.communicate(timeout=60)
        assert running.returncode == 1
        assert "Traceback" not in said
        assert said.splitlines()[-1].startswith("gembench: error: ")
        num_cells = sum(map(len, cells_in(store).values()))
        assert num_cells > 0
        subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)
        again = start(store, 60)
        out, said = again.communicate(timeout=60)
        assert again.returncode == 0, said
        assert f"{60 * 200 - num_cells:,} cells in" in out
    finally:
        subprocess.run(["umount", disk], check=True)


def wait_until_nobody_holds(store):
    """The kernel lets go of a killed process's lock in its own time."""
    path = store.with_name("out.zarr.journal")
    for _ in range(100):
        if not path.exists():
            return
        try:
            connection = sqlite3.connect(path, timeout=0)
            connection.execute("BEGIN EXCLUSIVE")
            connection.rollback()
            connection.close()
        except sqlite3.OperationalError:
            time.sleep(0.05)
        else:
            return
