"""The command as a person runs it: a process of its own, with signals, pipes and its own imports."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

COMMAND = [sys.executable, "-c", "from gembench.cli.main import main; main()"]
HEAVY = {
    "jax",
    "zarr",
    "lm_eval",
    "huggingface_hub",
    "sqlite3",
    "xarray",
    "numpy",
    "scipy",
    "torch",
    "pandas",
    "matplotlib",
    "optuna",
    "plotly",
    "rich",
    "pyarrow",
}


@pytest.fixture
def environment(tmp_path):
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**buffered, "GEMBENCH_CACHE_DIR": str(tmp_path / "cache")}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["simulate", "--help"],
        ["recommend", "--help"],
        ["tune", "--help"],
        ["record", "--help"],
        ["search", "--help"],
        ["rescore", "--help"],
        ["--version"],
        ["info", "--help"],
        ["gems", "--help"],
        ["import", "--help"],
    ],
)
def test_help_loads_nothing_heavy(arguments):
    script = (
        "import sys\nfrom gembench.cli.main import cli\n"
        f"try:\n    cli({arguments!r})\nexcept SystemExit as end:\n    code = end.code\n"
        "print('LOADED', code, *{name.partition('.')[0] for name in sys.modules})"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    code, *loaded = output.partition("LOADED")[2].split()
    assert code == "0"
    assert not HEAVY & set(loaded)


def test_tensors_are_listed_without_loading_jax_or_zarr():
    script = (
        "import sys\nfrom gembench.cli.main import cli\n"
        "try:\n    cli(['tensors'])\nexcept SystemExit:\n    print('LOADED', *sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "qwen2.5-3b" in output
    assert not {"jax", "zarr"} & set(output.partition("LOADED")[2].split())


def wait_for_compiled_code(folder, process):
    """Until the command computes: its first compiled program lies in the cache."""
    for _ in range(600):
        if process.poll() is not None:
            raise AssertionError(process.communicate())
        if folder.is_dir() and any(folder.iterdir()):
            return
        time.sleep(0.1)
    raise AssertionError("nothing was compiled in a minute.")


def test_ctrl_c_stops_a_computing_command_soon_with_130_and_no_half_written_file(environment, tmp_path):
    report = tmp_path / "report.json"
    process = subprocess.Popen(
        [*COMMAND, "simulate", "mistral-7b", "-n", "50", "--runs", "100000", "--json", str(report)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for_compiled_code(tmp_path / "cache" / "xla", process)
        process.send_signal(signal.SIGINT)
        interrupted = time.monotonic()
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    # One second, and two for a busy machine; or where JAX swallowed it, when the next some hundred runs are done.
    assert time.monotonic() - interrupted < 10
    assert process.returncode == 130
    assert output == ""
    assert errors.strip() == "gembench: interrupted."
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def run_with_ctrl_c_swallowed(environment, where, *arguments):
    """The command, with a function of the package that is interrupted as it begins, and goes on all the same."""
    module, _, function = where.rpartition(".")
    swallowing = f"""
import os, signal
import {module} as module
from gembench.cli.main import main

def swallow(*arguments, original=module.{function}, **options):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except:
        pass
    return original(*arguments, **options)

module.{function} = swallow
main()
"""
    command = [sys.executable, "-c", swallowing, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_ctrl_c_that_a_library_swallows_still_ends_the_runs(environment):
    arguments = ["simulate", "mistral-7b", "-p", "uniform", "-n", "5", "--runs", "10"]
    interrupted = run_with_ctrl_c_swallowed(environment, "gembench.experiment.run_contests", *arguments)
    assert (interrupted.returncode, interrupted.stdout) == (130, "")
    assert interrupted.stderr.strip() == "gembench: interrupted."


def test_ctrl_c_that_a_library_swallows_still_ends_a_search(environment, tmp_path):
    arguments = ["-m", "org/a,org/b,org/c", "-s", "smoke", "-e", "scripted", "-n", "10", "-o", tmp_path / "out.zarr"]
    interrupted = run_with_ctrl_c_swallowed(environment, "gembench.search.make_setting", "search", *arguments)
    assert (interrupted.returncode, interrupted.stdout) == (130, "")
    assert interrupted.stderr.strip().splitlines()[-1] == "gembench: interrupted."


@pytest.mark.parametrize("options", [[], ["--json", "-"]])
def test_a_reader_that_closes_the_pipe_is_no_traceback(environment, options):
    process = subprocess.Popen(
        [*COMMAND, "info", "mistral-7b", *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 1
    assert errors == ""


def test_compiled_code_is_kept_between_commands_and_an_unwritable_cache_breaks_nothing(environment, small, tmp_path):
    arguments = ["simulate", str(small), "-p", "uniform", "-n", "5", "--runs", "10", "--json", "-"]
    first = subprocess.run([*COMMAND, *arguments], env=environment, capture_output=True, text=True, check=True)
    assert any((tmp_path / "cache" / "xla").iterdir())
    no_cache = {**environment, "GEMBENCH_CACHE_DIR": str(small / "under-a-file")}
    second = subprocess.run([*COMMAND, *arguments], env=no_cache, capture_output=True, text=True, check=True)
    assert second.stderr == first.stderr == ""
    rows = [json.loads(each.stdout)["rows"][0] for each in (first, second)]
    assert {**rows[0], "wall_seconds": 0} == {**rows[1], "wall_seconds": 0}
