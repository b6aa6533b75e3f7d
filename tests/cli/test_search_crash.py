"""A search that is interrupted or killed: what it has is safe, and the same command makes the same decisions."""

import json
import random
import signal
import subprocess
import sys
import time

import pytest
from needs import needs_harness

from gembench.data.recording import Recording
from gembench.data.tensor import open_tensor

COMMAND = [sys.executable, "-c", "from gembench.cli.main import main; main()"]
MODELS = ",".join(f"org/m{number}" for number in range(8))
NUM_KILLS = 20


def start(*arguments):
    """The command as a person runs it."""
    return subprocess.Popen(
        [*COMMAND, "search", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(line, running):
    """Until the command says on stderr what begins so, or ends."""
    while said := running.stderr.readline():
        if said.startswith(f"gembench: {line}"):
            return


def finish(running, path):
    """The report that the command wrote."""
    _, said = running.communicate(timeout=120)
    assert running.returncode == 0, said
    return json.loads(path.read_text())


def live(store, seconds_per_request, seconds_per_load=0, queries_per_model=12, policy=("sequential_halving",)):
    engine = f"scripted:seconds_per_request={seconds_per_request},seconds_per_load={seconds_per_load}"
    report = store.with_suffix(".json")
    return start(
        *("-m", MODELS, "-s", "smoke", "-e", engine, "-n", queries_per_model, "-p", *policy),
        *("-o", store, "--commit-every", 2, "--json", report),
    )


def cells_in(store):
    """The cells in the journal: {(model, query)}."""
    with Recording(store) as recording:
        return {
            (row.id, query)
            for row in recording.journal.models()
            for query in recording.journal.columns(row.position)["query"]
        }


@needs_harness
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_search_ends_with_a_ranking_and_goes_on_to_the_undisturbed_result(tmp_path, number):
    calm, store = tmp_path / "calm.zarr", tmp_path / "out.zarr"
    undisturbed = finish(live(calm, 0), tmp_path / "calm.json")
    running = live(store, 0.05)
    wait_for("stage 2 of 3", running)
    time.sleep(0.5)
    running.send_signal(number)
    said, complained = running.communicate(timeout=60)
    assert running.returncode == 130, complained
    assert complained.splitlines()[-1] == "gembench: interrupted."
    assert "Traceback" not in complained
    assert "Best of 8 models on smoke (interrupted; the same command goes on from here)" in said
    so_far = json.loads((tmp_path / "out.json").read_text())
    assert so_far["ended"] == "interrupted"
    assert len(so_far["recommended"]) == 8
    paid = cells_in(store)
    assert 8 * 4 <= so_far["pulls"] <= len(paid) < undisturbed["pulls"]
    assert int((open_tensor(store)["correct"].values >= 0).sum()) == len(paid)
    report = finish(live(store, 0), tmp_path / "out.json")
    assert report["new_cells"] == report["pulls"] - len(paid)
    for key in ("decision_digest", "recommended", "pulls", "ended"):
        assert report[key] == undisturbed[key]
    assert cells_in(store) == cells_in(calm) >= paid


@needs_harness
def test_kills_of_a_search_that_knows_a_history_change_no_decision(gembench, tmp_path):
    others, calm, store = tmp_path / "others.zarr", tmp_path / "calm.zarr", tmp_path / "out.zarr"
    names = ",".join(f"other/m{number}" for number in range(9))
    recorded = gembench("record", "-m", names, "-s", "smoke", "-e", "scripted", "-o", others)
    assert recorded.exit_code == 0, recorded.stderr
    policy = ("gem", "--history", others)
    undisturbed = finish(live(calm, 0, policy=policy), tmp_path / "calm.json")
    paid = set()
    for line in ("stage 2 of", "stage 4 of"):
        running = live(store, 0.05, policy=policy)
        wait_for(line, running)
        time.sleep(0.3)
        assert running.poll() is None, "it was quicker than the kill"
        running.kill()
        running.communicate()
        cells = cells_in(store)
        assert cells > paid
        paid = cells
    report = finish(live(store, 0, policy=policy), tmp_path / "out.json")
    assert report["new_cells"] == report["pulls"] - len(paid)
    for key in ("decision_digest", "recommended", "pulls", "ended"):
        assert report[key] == undisturbed[key]
    assert report["card"]["history"] == undisturbed["card"]["history"] != []


@needs_harness
def test_an_interruption_before_the_first_answer_is_one_line(tmp_path):
    running = live(tmp_path / "out.zarr", 0, seconds_per_load=60)
    wait_for("stage 1 of 3", running)
    running.send_signal(signal.SIGINT)
    said, complained = running.communicate(timeout=60)
    assert running.returncode == 130
    assert (said, complained.strip()) == ("", "gembench: interrupted.")


def replay(store, policy):
    return start(
        *("-e", "replay", "--tensor", "smollm2-135m", "-p", policy, "-n", 50, "-o", store),
        *("--json", store.with_suffix(".json")),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    # A kill comes after the first line about one of the stages, and so many seconds at the most.
    ("policy", "num_stages", "latest"),
    [("ucb_e", 1, 1.5), ("accelerated_sequential_halving", 6, 0.06)],
)
def test_kills_at_any_instant_change_neither_decisions_nor_result_and_nothing_is_paid_for_twice(
    tmp_path, policy, num_stages, latest
):
    began = time.monotonic()
    calm, wild = tmp_path / "calm.zarr", tmp_path / "wild.zarr"
    undisturbed = finish(replay(calm, policy), tmp_path / "calm.json")
    rng = random.Random(0)
    paid, survived = set(), []
    while len(survived) < NUM_KILLS or paid:
        running = replay(wild, policy)
        if len(survived) < NUM_KILLS and len(paid) < undisturbed["pulls"]:
            wait_for(f"stage {rng.randint(1, num_stages)} of", running)
            time.sleep(rng.uniform(0, latest))
        else:
            running.wait(timeout=120)
        if running.poll() is None:
            running.kill()
            running.communicate()
            cells = cells_in(wild)
            assert cells >= paid, "a committed cell is gone"
            survived.append(len(cells))
            paid = cells
            continue
        # All that can be killed was, or it was quicker than the kill: the next search begins in another place.
        check(finish(running, wild.with_suffix(".json")), undisturbed, wild, calm, paid)
        wild, paid = wild.with_name(f"again-{wild.name}"), set()
    print(f"{policy}: {NUM_KILLS} kills in {time.monotonic() - began:.0f} s, after {survived} cells")


def check(report, undisturbed, store, calm, paid):
    """Same decisions, same result, same tensor; and this process paid for no cell that had been paid for."""
    for key in ("decision_digest", "recommended", "pulls", "model_loads", "seconds"):
        assert report[key] == undisturbed[key]
    assert report["new_cells"] == report["pulls"] - len(paid)
    assert len(cells_in(store)) == report["pulls"]
    assert open_tensor(store).attrs["content_digest"] == open_tensor(calm).attrs["content_digest"]
