"""The process that checks what came out of a sandbox: `python -m gembench.leaderboard.check_worker N`.

N is the number of its end of a socket. It takes how many bytes it may use (JSON), the sandbox's output, and either its
output where there is a history or nothing; tells each finding in JSON, and null at the end. It may be killed at any
time.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from multiprocessing.connection import Connection

from gembench.errors import ContractError
from gembench.jax_setup import set_up_jax
from gembench.leaderboard.contract_checks import PROBLEMS, Finding, check_plan, check_policy
from gembench.leaderboard.history_check import KNOWN, NUM_HISTORIES, check_history, history_fault
from gembench.leaderboard.replay_process import why_not_replayed
from gembench.leaderboard.unpack import read_answer, unpack
from gembench.memory import bound_memory


def main() -> None:
    """Serve one order."""
    connection = Connection(int(sys.argv[1]))
    memory_bytes, output, known = json.loads(connection.recv_bytes()), connection.recv_bytes(), connection.recv_bytes()
    bound_memory(memory_bytes)
    set_up_jax(cpu_only=True)
    for finding in _findings(output, known):
        connection.send_bytes(json.dumps(asdict(finding)).encode())
    connection.send_bytes(b"null")


def _findings(output: bytes, known: bytes) -> Iterator[Finding]:
    plan = check_plan(dict(zip(PROBLEMS, read_answer(output).plans, strict=True)).__getitem__)
    yield plan
    if plan.verdict == "error":
        return
    try:
        policy = unpack(output, PROBLEMS)
    except ContractError as error:
        yield Finding("programs", "error", str(error))
        return
    yield Finding("programs", "ok", "Its programs take and give what the contract says, and only compute.")
    try:
        yield from check_policy(policy)
        if known:
            yield _check_known(known)
    except Exception as error:  # Nobody knows what JAX and XLA make of any program.
        yield Finding("replay", "error", f"Its {why_not_replayed(error)}")


def _check_known(output: bytes) -> Finding:
    try:
        return check_history(unpack(output, [KNOWN], num_histories=NUM_HISTORIES))
    except ContractError as error:
        return history_fault(str(error))


if __name__ == "__main__":
    main()
