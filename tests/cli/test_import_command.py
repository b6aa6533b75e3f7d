"""`gembench import`, with a made-up format: what it prints, its exit codes, and what a kill leaves."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from gembench.data.digest import verify_digest
from gembench.data.sources import catalog
from gembench.data.tensor import open_tensor

FOLDER = Path(__file__).parent.parent / "data"
SCRIPT = f"""
import sys
sys.path.insert(0, {str(FOLDER)!r})
from gembench.data import import_reading
from gembench.data.sources import catalog
import_reading.BYTES_WORTH_A_PROCESS = 1
import_reading.num_cores = lambda: 2
catalog.FORMATS = {{"fake": catalog.Format("fake_format", "made up")}}
from gembench.cli.main import main
main()
"""
ROWS = [["t/1", 1], ["t/2", 0]]


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr(catalog, "FORMATS", {"fake": catalog.Format("fake_format", "made up")})


@pytest.fixture
def write_log(tmp_path):
    def write(name, *models, **fields):
        from fake_format import write_log

        path = tmp_path / "logs" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        models = models or ({"identity": {"model": f"org/{name}"}, "rows": ROWS, **fields},)
        return write_log(path, *models)

    return write


def squeezed(text):
    return " ".join(text.split())


def test_logs_become_a_tensor_and_the_report_says_what_was_read(gembench, write_log, tmp_path):
    write_log("a", reported={"t": 0.5})
    write_log("b", {"identity": {"model": "org/b"}, "rows": [["t/1", 0.25]], "remarks": [[9, "no score", 3]]})
    result = gembench("import", "fake", tmp_path / "logs", "-o", tmp_path / "out.zarr", "--threshold", 0.2)
    assert result.exit_code == 0, result.output
    digest = verify_digest(open_tensor(tmp_path / "out.zarr"))
    said = squeezed(result.stdout)
    assert f"{tmp_path}/out.zarr: 2 models, 2 queries of 1 task, {digest}" in said
    assert "3 rows read of 2 logs" in said
    assert "cells: 1 not asked, 3 answered" in said
    assert "Scores that are neither 0 nor 1: 1." in said
    assert "that is 0.2 or more (--threshold)" in said
    assert "Reported means that are met within 0.05 points: 1 of 1; the largest difference is 0 points." in said
    assert "Remarks: 1" in said
    assert "3 no score" in said
    assert gembench("info", tmp_path / "out.zarr").exit_code == 0


def test_the_report_as_json_has_all_that_was_found(gembench, write_log, tmp_path):
    write_log("a", reported={"t": 0.9})
    done = gembench("import", "fake", tmp_path / "logs", "-o", tmp_path / "out.zarr", "--json", "-")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["content_digest"] == open_tensor(tmp_path / "out.zarr").attrs["content_digest"]
    assert report["num_cells"]["answered"] == 2
    (difference,) = report["differences"]
    assert (difference["model"], difference["found"], difference["reported"]) == ("org/a", 0.5, 0.9)
    again = gembench("import", "fake", tmp_path / "logs", "-o", tmp_path / "two.zarr")
    assert "0 of 1; the largest difference is 40 points" in squeezed(again.stdout)
    assert "-40.00" in again.stdout


def test_a_log_that_cannot_be_used_is_named_and_the_exit_code_is_3(gembench, write_log, tmp_path):
    write_log("a")
    bad = write_log("b", {"problem": "7: the line is cut short"})
    result = gembench("import", "fake", tmp_path / "logs", "-o", tmp_path / "out.zarr")
    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 1
    assert f"left out: {bad}:7: the line is cut short" in result.stderr
    assert open_tensor(tmp_path / "out.zarr").sizes["model"] == 1


def test_a_failure_is_one_line_and_leaves_nothing(gembench, write_log, tmp_path):
    write_log("a", {"problem": "7: the line is cut short"})
    result = gembench("import", "fake", tmp_path / "logs", "-o", tmp_path / "out.zarr", "--json", tmp_path / "r.json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == f"gembench: error: {tmp_path}/logs/a.json:7: the line is cut short"
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lm-evil"], "there are fake"),
        (["fake", "--columns", "model=m"], "--columns is for tables"),
        (["fake", "--model-name", "org/a"], "must be made of fields"),
        (["fake", "--threshold", "0"], "0<x<=1"),
        (["fake", "--on-conflict", "mean"], "'error', 'first', 'last'"),
        (["fake", "--append"], "no such file or folder"),
        (["fake", "--json", "no/such/folder.json"], "make it first"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(gembench, write_log, tmp_path, arguments, said):
    log = write_log("a")
    result = gembench("import", arguments[0], log, "-o", tmp_path / "out.zarr", *arguments[1:])
    assert result.exit_code == 2
    assert said in squeezed(result.stderr)
    assert not (tmp_path / "logs" / "reads.txt").exists()


def test_columns_are_pairs(gembench, write_log, tmp_path):
    result = gembench("import", "fake", write_log("a"), "-o", tmp_path / "out.zarr", "--columns", "model")
    assert result.exit_code == 2
    assert "write it like model=name,query=id" in squeezed(result.stderr)


@pytest.fixture
def start(tmp_path):
    """Starts the command in a process of its own, which reads in two more; ends whatever is left."""
    started = []

    def start(*arguments):
        command = [sys.executable, "-c", SCRIPT, "import", "fake", tmp_path / "logs", "-o", tmp_path / "out.zarr"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        started.append(subprocess.Popen([str(word) for word in (*command, *arguments)], **pipes))
        return started[-1]

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_until(condition, process):
    for _ in range(600):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("nothing came of it in half a minute.")


def run_until_it_hangs(write_log, start, tmp_path):
    """The command once it has read four logs of five, and its processes: one reads the last, one has no more to do."""
    for number in range(5):
        # The largest are begun first, so that the last is the smallest.
        fields = {"settings": {"padding": "x" * 999}} if number < 4 else {"wait": 600}
        write_log(number, **fields)
    process = start()
    reads = tmp_path / "logs" / "reads.txt"
    spool = tmp_path / "out.zarr.import"
    wait_until(lambda: len(list(spool.glob("[!.]*/parts.json"))) == 4 and len(reads.read_text().split()) == 5, process)
    readers = psutil.Process(process.pid).children(recursive=True)
    assert len(readers) >= 2
    return process, readers


def resume(write_log, start, tmp_path):
    """The same command, now that the last log is ready."""
    write_log(4)
    output, errors = start("--json", "-").communicate(timeout=60)
    report = json.loads(output or errors)
    reads = (tmp_path / "logs" / "reads.txt").read_text().split()
    assert sorted(reads) == [f"{number}.json" for number in (0, 1, 2, 3, 4, 4)]
    assert report["num_spooled"] == 4
    assert report["num_models"] == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "out.zarr"]


def test_after_kill_9_no_process_is_left_and_the_same_command_reads_no_log_twice(write_log, start, tmp_path):
    process, readers = run_until_it_hangs(write_log, start, tmp_path)
    process.kill()
    assert psutil.wait_procs(readers, timeout=20)[1] == []
    assert not (tmp_path / "out.zarr").exists()
    resume(write_log, start, tmp_path)


def test_ctrl_c_is_not_for_the_processes_that_read(write_log, start, tmp_path):
    process, readers = run_until_it_hangs(write_log, start, tmp_path)
    for reader in readers:
        reader.send_signal(signal.SIGINT)
    assert psutil.wait_procs(readers, timeout=2)[0] == []
    assert process.poll() is None


def test_ctrl_c_ends_it_at_once_with_130_and_the_same_command_reads_no_log_twice(write_log, start, tmp_path):
    process, readers = run_until_it_hangs(write_log, start, tmp_path)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    interrupted = time.monotonic()
    output, errors = process.communicate(timeout=60)
    assert time.monotonic() - interrupted < 5
    assert (process.returncode, output, errors.strip()) == (130, "", "gembench: interrupted.")
    assert psutil.wait_procs(readers, timeout=20)[1] == []
    assert not (tmp_path / "out.zarr").exists()
    resume(write_log, start, tmp_path)


def test_a_reading_process_that_is_killed_is_said_and_the_same_command_goes_on(write_log, start, tmp_path):
    process, readers = run_until_it_hangs(write_log, start, tmp_path)
    next(one for one in readers if "spawn_main" in " ".join(one.cmdline())).kill()
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")
    assert "was killed, perhaps because memory ran out; the same command goes on" in errors
    assert len(errors.splitlines()) == 1
    resume(write_log, start, tmp_path)
