"""What docs/write-a-policy.md says is so: its policies are checked as printed there, scored, and find the best."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from needs import needs_bwrap

from gembench.cli.leaderboard import leaderboard
from gembench.leaderboard.benchmark import load_benchmark, open_races, private_benchmark
from gembench.leaderboard.check import check_file
from gembench.leaderboard.policy_file import read_policy_file
from gembench.leaderboard.scoring import score_file

PAGE = (Path(__file__).parents[2] / "docs" / "write-a-policy.md").read_text(encoding="utf-8")
FIRST, APPENDED, CHOOSING = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
PRINTED = re.search(r"```text\n(ok .*?)```", PAGE, re.DOTALL)[1].splitlines()

pytestmark = needs_bwrap


def without_numbers(text):
    """How often the best is found may differ between processors."""
    return re.sub(r"\d+(\.\d+)?", "#", text)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "policy.py"
    path.write_text(FIRST, encoding="utf-8")
    return path


def test_the_first_policy_is_checked_as_printed(path):
    found = list(check_file(read_policy_file(str(path))))
    lines = [f"{each.verdict:9}{each.check}: {each.message} {each.advice}".rstrip() for each in found]
    assert list(map(without_numbers, lines)) == list(map(without_numbers, PRINTED))


@pytest.mark.slow
def test_the_policy_in_batches_has_no_warnings(path):
    path.write_text(f"{FIRST}\n\n{APPENDED}", encoding="utf-8")
    found = list(check_file(read_policy_file(f"{path}:InBatches")))
    assert {each.verdict for each in found} == {"ok"}, found


def test_the_policy_that_chooses_queries_has_no_warnings(path):
    path.write_text(CHOOSING, encoding="utf-8")
    found = list(check_file(read_policy_file(str(path))))
    assert {each.verdict for each in found} == {"ok"}, found
    assert found[-1].check == "history"


def test_both_policies_are_scored_and_one_loads_less_often(path, tmp_path):
    """Model 4 is right 19 times in 20, the 11 others 6 times: 20 pulls a model tell it for nearly certain."""
    folder = tmp_path / "tensors"
    folder.mkdir()
    accuracy = np.where(np.arange(12) == 4, 0.95, 0.3)
    correct = (np.random.default_rng(0).random((12, 100)) < accuracy[:, None]).astype(np.uint8)
    models, queries = (
        np.array([f"{kind}-{number}" for number in range(size)]) for kind, size in (("m", 12), ("q", 100))
    )
    np.savez(folder / "tensor.npz", correct=correct, models=models, queries=queries)
    benchmark = private_benchmark(replace(load_benchmark(), queries_per_model=(20,), runs=40), folder)
    races = open_races(benchmark)
    path.write_text(f"{FIRST}\n\n{APPENDED}", encoding="utf-8")
    loads = []
    for name in ("EpsilonGreedy:epsilon=0.2", "InBatches:epsilon=0.2,batch=10"):
        (cell,) = score_file(benchmark, races, read_policy_file(f"{path}:{name}")).scores.cells
        # Each run finds it with well over 4 chances in 5; 20 of 40 or fewer have a chance of one in 100,000.
        assert (cell.rank == 1).sum() > 20
        assert (cell.pulls == 240).all()
        loads.append(cell.model_loads.mean())
    assert loads[1] < loads[0] / 2


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_are_there_with_these_options(line):
    program, group, name, *arguments = shlex.split(line)
    assert (program, group) == ("gembench", "leaderboard")
    command = leaderboard.commands[name]
    command.make_context(name, arguments)
