"""What a policy's file can do while it is read and exported: nothing but that.

A file that looks for what it should not have tells its loot in an exception. That it would find some without the
sandbox is part of each such test, so that one that looks in the wrong place fails.
"""

import gc
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from hostile import PROBLEM, export_here, export_text, failure_of, failure_outside, policy_text
from needs import needs_bwrap

from gembench import ledger, ranking
from gembench.data import embedded
from gembench.leaderboard.unpack import read_answer

pytestmark = needs_bwrap

TELL = "\nraise RuntimeError('loot: ' + (' '.join(map(str, loot)) or 'none'))\n"


def assert_only_outside(first, loot):
    """The first lines of a file put together `loot`: some where there is no sandbox, none in one."""
    text = policy_text(first=f"loot = []\n{first}{TELL}")
    assert loot in failure_outside(text).partition("loot: ")[2]
    assert failure_of(text).endswith("RuntimeError: loot: none")


def test_no_tensor_lies_anywhere_in_the_sandbox(tmp_path):
    np.savez(tmp_path / "planted-tensor.npz", correct=np.zeros((3, 4), np.int8))
    # In the sandbox all that there is; outside, where tensors do lie.
    places = [str(tmp_path), str(Path(embedded.__file__).parent)]
    look = f"""
import os
inside = os.path.isdir("/libraries")
for top in ["/"] if inside else {places}:
    for folder, folders, files in os.walk(top):
        loot += [f"{{folder}}/{{name}}" for name in folders + files
                 if name == "planted-tensor.npz" or name == "recorded" or name.endswith((".zarr.zip", "zarr.json"))]
"""
    assert_only_outside(look, "planted-tensor.npz")
    assert_only_outside(look, "recorded")


def test_neither_gembench_nor_what_is_installed_beside_it_can_be_read():
    look = """
import importlib.util
for name in ("gembench.data", "gembench.leaderboard", "xarray", "zarr"):
    try:
        loot += [name] if importlib.util.find_spec(name) else []
    except ModuleNotFoundError:
        pass
"""
    assert_only_outside(look, "gembench.data gembench.leaderboard xarray zarr")


def test_no_listener_of_the_machine_is_reached(tmp_path):
    path, name = str(tmp_path / "socket"), f"\0gembench-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as loopback,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX) as in_a_file,
    ):
        for listener, place in ((abstract, name), (in_a_file, path)):
            listener.bind(place)
            listener.listen()
        places = [loopback.getsockname(), name, path]
        look = f"""
import socket
for place in {places}:
    try:
        with socket.socket(socket.AF_INET if isinstance(place, tuple) else socket.AF_UNIX) as client:
            client.connect(place)
        loot.append(repr(place))
    except OSError:
        pass
"""
        assert_only_outside(look, " ".join(map(repr, places)))


def test_no_kind_of_socket_is_made_that_a_network_of_its_own_does_not_hold():
    look = """
import socket
for family in (socket.AF_NETLINK, socket.AF_PACKET, 38, 40):  # Of the last two, one is the kernel's ciphers, one vsock.
    for kind in (socket.SOCK_STREAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try:
            socket.socket(family, kind).close()
            loot.append(f"family-{int(family)}")
        except OSError:
            pass
"""
    assert_only_outside(look, "family-16")


def test_no_other_process_its_variables_or_its_memory_can_be_read():
    command = [sys.executable, "-c", "print('ready', flush=True); input()"]
    environment = {**os.environ, "PLANTED": "secret-of-the-parent"}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        look = f"""
import ctypes, os
libc = ctypes.CDLL(None)
for pid in sorted({{*(int(name) for name in os.listdir("/proc") if name.isdigit()), *range(1, 9), {holder.pid}}}):
    if pid == os.getpid():
        continue
    try:
        with open(f"/proc/{{pid}}/environ", "rb") as file:
            loot += ["variables"] if b"secret-of-the-parent" in file.read() else []
    except OSError:
        pass
    try:
        open(f"/proc/{{pid}}/mem", "rb").close()
        loot += ["memory"]
    except OSError:
        pass
    if pid in ({holder.pid}, 1, 2) and os.path.isdir("/libraries") and libc.ptrace(16, pid, 0, 0) == 0:
        loot += ["ptrace"]
"""
        assert_only_outside(look, "variables")
        holder.communicate(b"\n")


def test_bubblewrap_itself_is_told_no_variables(monkeypatch):
    """Within the sandbox they would stand in /proc/1/environ."""
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    thread = threading.Thread(target=failure_of, args=("while True: pass",), kwargs={"seconds": 2})
    thread.start()
    told = {}
    while thread.is_alive():
        for process in psutil.Process().children(recursive=True):
            try:
                if "bwrap" in process.name():
                    told[process.pid] = process.environ()
            except psutil.Error:
                pass
        time.sleep(0.1)
    assert told
    assert not [pid for pid, variables in told.items() if "hf_planted" in variables.values()]


WALK = """
import gc, sys
def sees(thing):
    return type(thing).__name__ in ("ndarray", "ArrayImpl") and (thing.shape, thing.dtype) == ((7, 20), "uint8")
frame, seen = sys._getframe(), list(gc.get_objects())
while frame:
    seen += [*frame.f_locals.values(), *frame.f_globals.values()]
    frame = frame.f_back
for thing in list(seen):
    seen += [value for value in gc.get_referents(thing)] if isinstance(thing, (dict, list, tuple)) else []
loot = ["tensor" for thing in seen if sees(thing)][:1]
"""


@pytest.mark.parametrize("place", ["at_import", "plan", "ask", "recommend"])
def test_no_tensor_is_in_the_memory_of_the_process_that_runs_the_file(place):
    text = policy_text(**{place: WALK + TELL})
    tensor = np.zeros((PROBLEM.num_models, PROBLEM.num_queries), np.uint8)
    gc.collect()
    # The same file in a process that holds one finds it.
    assert "loot: tensor" in read_answer(export_here(text)).error.message
    assert tensor.shape == (7, 20)
    assert failure_of(text).endswith("RuntimeError: loot: none")


def test_nothing_is_written_on_the_machine(tmp_path):
    marks = [str(folder / "planted-mark") for folder in (tmp_path, Path.home(), Path("/tmp"), Path("/var/tmp"))]
    folders = (Path(embedded.__file__).parent, Path("/usr/lib"), Path("/dev/shm"))
    in_package = [str(folder / "planted-mark") for folder in folders]
    write = f"""
import os
for place in {[*marks, *in_package]}:
    try:
        with open(place, "w") as file:
            file.write("mark")
    except OSError:
        pass
    else:
        loot += [] if os.path.isdir("/libraries") and place.startswith("/tmp/") else [place]
"""
    try:
        assert failure_of(policy_text(first=f"loot = []\n{write}{TELL}")).endswith("loot: none")
        assert not [place for place in (*marks, *in_package) if Path(place).exists()]
        assert_only_outside(write.replace(repr([*marks, *in_package]), repr(marks[:1])), "planted-mark")
    finally:
        for place in (*marks, *in_package):
            Path(place).unlink(missing_ok=True)


def test_a_pickle_in_the_file_runs_in_the_sandbox_alone(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.system, (f"echo planted > {tmp_path}/mark",)

    text = policy_text(first=f"import pickle\npickle.loads({pickle.dumps(Bomb())!r})\nraise RuntimeError('went on')")
    assert failure_of(text).endswith("went on")
    assert not (tmp_path / "mark").exists()
    assert failure_outside(text).endswith("went on")
    assert (tmp_path / "mark").exists()


def test_a_file_that_patches_the_scorer_has_patched_its_own_copy():
    patch = """
import gembench.ledger, gembench.ranking, gembench.turn
gembench.ledger.settle = gembench.ledger.raise_on_faults = gembench.turn.settle = lambda ledger, *_: ledger
gembench.ranking.best_first = gembench.turn.best_first = None
"""
    before = ledger.settle, ledger.raise_on_faults, ranking.best_first
    assert export_text(policy_text() + patch) == export_text(policy_text())
    assert (ledger.settle, ledger.raise_on_faults, ranking.best_first) == before
