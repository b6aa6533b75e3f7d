"""A policy's file that wants all of the machine, or leaves in strange ways, ends with one clear line."""

import os
import time

import psutil
import pytest
from hostile import export_text, failure_of, policy_text
from needs import needs_bwrap

from gembench.leaderboard.unpack import read_answer

pytestmark = needs_bwrap

HOGS = {
    "a fork bomb": ("import os\nwhile True: os.fork()", "PermissionError"),
    "a process": ("import os, sys\nos.posix_spawn(sys.executable, ['python', '-c', ''], {})", "PermissionError"),
    "threads without end": (
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,)).start()",
        "can't start new thread",
    ),
    "memory": ("hog = []\nwhile True: hog.append(bytearray(2**26))", "MemoryError"),
    "memory of System V": (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "if libc.shmget(0, 2**24, 0o1600) < 0: raise OSError(ctypes.get_errno())",
        "OSError: 1",
    ),
    "memory in files without a name": ("import os\nos.memfd_create('hog')", "PermissionError"),
    "files": (
        "for n in range(10**6):\n with open(f'/tmp/{n}', 'wb') as file: file.write(bytes(2**23))",
        "No space left",
    ),
    "deep brackets": (f"x = {'(' * 5000}{')' * 5000}", "Error"),
    "deep operators": (f"x = {'-' * 30000}1", "Error"),
    "leaving": ("raise SystemExit(0)", "SystemExit: 0"),
    "leaving at once": ("import os\nos._exit(0)", "ended early with exit code 0"),
    "an interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "an exception of no kind": ("raise BaseException('out')", "BaseException: out"),
    "a crash": ("import ctypes\nctypes.string_at(0)", "ended early"),
    "a null byte": ("x = '\0'", "null bytes"),
    "a mark of the order of bytes": ("\ufeff\ufeffx = 1", "SyntaxError"),
    "an exception that fails to be told": (
        "class Sly(Exception):\n def __str__(self): raise ValueError\nraise Sly",
        "ValueError",
    ),
    "terminal codes": ("raise ValueError('\\x1b[2J\\x1b]0;owned\\x07\\u202egnp.\\r\\nsecond line')", "ValueError: "),
    "a message without end": ("raise ValueError('x' * 10**6)", "ValueError: xxx"),
    "a usage error with codes": (
        "from gembench.errors import ContractError\nraise ContractError('a\\x1b[31m\\nb')",
        "a [31m b",
    ),
}


@pytest.mark.parametrize("hog", HOGS)
def test_a_file_that_wants_too_much_or_leaves_early_ends_with_one_line(hog):
    first, message = HOGS[hog]
    start = time.monotonic()
    failure = failure_of(policy_text(first=first), memory_bytes=2**31, seconds=40)
    assert failure.startswith("attack.py")
    assert message in failure
    assert failure.isprintable()
    assert len(failure) < 1000
    assert time.monotonic() - start < 39


STUBBORN = {
    "a loop": "while True: pass",
    "a loop that heeds no signal": (
        "import signal\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\nwhile True: pass"
    ),
    "a loop that catches all": "while True:\n try:\n  while True: pass\n except BaseException: pass",
    "a thread that stays": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\nwhile True: pass"
    ),
    "a file that floods every pipe": (
        "import os\nfor stream in range(3, 20):\n try: os.set_blocking(stream, True)\n except OSError: continue\n"
        " try:\n  while True: os.write(stream, b'x' * 65536)\n except OSError: pass\nwhile True: pass"
    ),
}


@pytest.mark.parametrize("kind", STUBBORN)
def test_a_file_without_an_end_is_ended_and_leaves_no_process(kind):
    before = set(psutil.pids())
    start = time.monotonic()
    failure = failure_of(policy_text(first=STUBBORN[kind]), seconds=2)
    assert time.monotonic() - start < 12
    assert failure.endswith(("it took longer than 2 s.", "it wrote more than 67,108,864 bytes."))
    started = [psutil.Process(pid) for pid in set(psutil.pids()) - before if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs([process for process in started if is_sandbox(process)], timeout=5)
    assert not [process for process in alive if is_sandbox(process)]


def is_sandbox(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.name() == "bwrap"
    except psutil.NoSuchProcess:
        return False


REACH_OUTPUT = """
import json, os, sys
frame = sys._getframe()
while "verdicts" not in frame.f_locals:
    frame = frame.f_back
order, verdicts = frame.f_locals["order"], frame.f_locals["verdicts"]
write_output = frame.f_locals["write_output"]
def leave(output):
    write_output(output)
    os.write(verdicts, order["finished"].encode())
    os._exit(0)
"""
FORGED = {
    "nothing": b"",
    "a result": b'{"result": {"rank": 1}, "format": 1, "cells": []}\n',
    "a list": b"[]\n",
    "an error that is none": b'{"error": ["x"], "place": "", "is_usage": true}\n',
    "a head without end": b'{"a": "' + b"x" * (5 * 2**20) + b'"}\n',
    "lists without end": b"[" * 200_000,
    "a number without end": b'{"error": ' + b"9" * 10_000 + b"}\n",
    "a class that is no name": (
        b'{"policy_class": "../../x\\u001b[31m", "description": "", "sampling": "shared", "hyper_parameters": {},'
        b' "problems": [], "sizes": []}\n'
    ),
    "a hyper-parameter that is no number": (
        b'{"policy_class": "A", "description": "", "sampling": "shared", "hyper_parameters": {"a": NaN},'
        b' "problems": [], "sizes": []}\n'
    ),
    "hyper-parameters without end": (
        b'{"policy_class": "A", "description": "", "sampling": "shared", "hyper_parameters": {'
        + b", ".join(b'"a%d": 1' % number for number in range(1000))
        + b'}, "problems": [], "sizes": []}\n'
    ),
    "sizes that do not add up": (
        b'{"policy_class": "A", "description": "", "sampling": "shared", "hyper_parameters": {}, "problems": [],'
        b' "sizes": [3]}\nxx'
    ),
}


@pytest.mark.parametrize("kind", FORGED)
def test_an_answer_that_the_file_writes_itself_is_refused_in_one_line(kind):
    failure = failure_of(f"{REACH_OUTPUT}\nleave({FORGED[kind]!r})" if len(FORGED[kind]) < 2**15 else grown(kind))
    assert "what came out of the sandbox" in failure or "hyper-parameter" in failure or "no name of a class" in failure
    assert ("its head has 5,242,889 bytes" in failure) == (kind == "a head without end")
    assert failure.startswith("attack.py: ")
    assert failure.isprintable()


def grown(kind):
    """The same, made in the sandbox, for a file has a largest size."""
    made = {
        "a head without end": """b'{"a": "' + b"x" * (5 * 2**20) + b'"}\\n'""",
        "lists without end": "b'[' * 200_000",
    }
    return f"{REACH_OUTPUT}\nleave({made[kind]})"


def test_what_a_file_says_of_itself_is_harmless_to_print():
    text = policy_text() + "\nAttack.__doc__ = 'Searches\\x1b[2J\\x07 <b>all</b>\\u202e\\nand more.'\n"
    # Whether and how markup is shown is up to each reader.
    assert read_answer(export_text(text, ())).description == "Searches [2J  <b>all</b>  and more."


LIARS = {
    "a class of another name": "Attack.__name__ = 'x\\x1b[31m\\ny'",
    "fields that are none": "import dataclasses\ndataclasses.fields = lambda _: [type('F', (), {'name': '\\n'})]",
    "no class at all": "del Attack",
    "a sampling of its own": "Attack.sampling = 'x' * 10**6",
    "a sampling that changes its mind": (
        "class Sly(str):\n __eq__ = lambda *_: True\n __hash__ = lambda _: 0\nAttack.sampling = Sly('\\x1b[31m')"
    ),
}


@pytest.mark.parametrize("lie", LIARS)
def test_a_class_that_lies_is_refused_in_one_line(lie):
    failure = failure_of(f"{policy_text()}\n{LIARS[lie]}\n")
    assert failure.isprintable()
    assert len(failure) < 1000


def test_equality_and_hashes_that_lie_change_nothing():
    honest = export_text(policy_text())
    lies = "\nAttack.__eq__ = lambda *_: True\nAttack.__hash__ = lambda _: 0\n"
    assert export_text(policy_text() + lies) == honest


def test_the_environment_of_the_process_is_not_that_of_the_scorer(monkeypatch):
    monkeypatch.setenv("PLANTED", "planted")
    assert failure_of("import os\nraise RuntimeError(str(os.environ.get('PLANTED')))").endswith("None")
    assert os.environ["PLANTED"] == "planted"
