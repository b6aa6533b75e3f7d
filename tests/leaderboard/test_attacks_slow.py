"""Exports damaged at random, some hundred times."""

import ast
import subprocess
import sys

import damage
import pytest
from hostile import export_here, policy_text

pytestmark = pytest.mark.slow

NUM_MUTANTS = 400


@pytest.fixture(scope="module")
def fates(tmp_path_factory):
    """What became of every mutant: of one that crashed its process, or let it hang, that."""
    export = tmp_path_factory.mktemp("damage") / "export"
    export.write_bytes(export_here(policy_text(), (damage.PROBLEM,)))
    fates: dict[int, str] = {}
    while len(fates) < NUM_MUTANTS:
        command = [sys.executable, damage.__file__, str(export), str(len(fates)), str(NUM_MUTANTS)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            told = [line.split(" ", 1) for line in process.stdout]
        fates |= {int(number): fate.strip() for number, fate in (each for each in told if len(each) == 2)}
        if len(fates) < NUM_MUTANTS:
            fates[len(fates)] = f"crashed: {process.returncode}"
    return fates


def test_a_damaged_export_is_refused_or_keeps_the_contract(fates):
    kept = [fate.removeprefix("kept: ") for fate in fates.values() if fate.startswith("kept: ")]
    for fate in kept:
        most_pulls, best_pulls, recommended = fate.split(" ", 2)
        assert int(most_pulls) <= damage.PROBLEM.budget
        assert int(best_pulls) <= damage.PROBLEM.num_queries
        assert set(ast.literal_eval(recommended)) <= set(range(damage.PROBLEM.num_models))
    # Some digits are numbers that do not matter; most of a program cannot be damaged unseen.
    assert len(kept) > NUM_MUTANTS // 50
    assert sum(fate == "refused" for fate in fates.values()) > NUM_MUTANTS // 2


def test_no_damaged_export_takes_even_its_own_process_down(fates):
    """The reader of MLIR's binary form crashes and hangs on 2 of 100."""
    assert {fate.partition(":")[0] for fate in fates.values()} <= {"kept", "refused", "failed"}
