"""A process that replays damaged exports, which may crash it: `python damage.py EXPORT FIRST LAST`, mutants by number.

For each it prints its number, and then what became of it.
"""

import signal
import sys
import warnings
from pathlib import Path

import numpy as np

from gembench.errors import ContractError
from gembench.jax_setup import set_up_jax
from gembench.leaderboard.unpack import unpack
from gembench.policy import Problem
from gembench.race import Race
from gembench.simulate import simulate

PROBLEM = Problem(7, 20, 28)
NUM_RUNS = 4
SECONDS_PER_MUTANT = 20


def damaged(content: bytes, number: int) -> bytes:
    """The mutant of a number: a piece left out, doubled or from elsewhere, or a few digits or bits changed."""
    rng = np.random.default_rng(number)
    first, last = sorted(rng.integers(0, len(content), 2).tolist())
    last = min(last, first + 40)
    kind = number % 5
    if kind == 0:
        return content[:first] + content[last:]
    if kind == 1:
        return content[:last] + content[first:]
    if kind == 2:
        place = int(rng.integers(0, len(content)))
        return content[:first] + content[place : place + last - first] + content[last:]
    mutant = bytearray(content)
    digits = [place for place, letter in enumerate(content) if chr(letter).isdigit()]
    for _ in range(int(rng.integers(1, 5))):
        if kind == 3:
            mutant[rng.choice(digits)] = ord("0") + rng.integers(0, 10)
        else:
            mutant[rng.integers(0, len(content))] ^= 1 << rng.integers(0, 8)
    return bytes(mutant)


def become(content: bytes, race: Race) -> str:
    """What becomes of an export: refused, or the pulls of its runs."""
    try:
        policy = unpack(content, (PROBLEM,))
        runs = simulate(policy, race, budget=PROBLEM.budget, num_runs=NUM_RUNS)
    except ContractError:
        return "refused"
    except Exception as error:
        return f"failed: {type(error).__name__}"
    return f"kept: {runs.pulls.max()} {runs.best_pulls.max()} {sorted(set(runs.recommended.ravel().tolist()))}"


def main() -> None:
    """Replay the mutants."""
    warnings.simplefilter("ignore")
    set_up_jax(cpu_only=True)
    content, (first, last) = Path(sys.argv[1]).read_bytes(), map(int, sys.argv[2:])
    race = Race(np.tri(7, 20, dtype=np.uint8), np.ones(7), np.ones(7))
    for number in range(first, last):
        signal.alarm(SECONDS_PER_MUTANT)  # Nothing catches it: the process ends.
        print(number, end=" ", flush=True)
        print(become(damaged(content, number), race), flush=True)


if __name__ == "__main__":
    main()
