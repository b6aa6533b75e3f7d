"""The process that checks what came out of a sandbox: `python -m gembench.leaderboard.check_worker N`.

N is the number of its end of a socket. It takes how many bytes it may use (JSON) and the sandbox's output, tells each
finding in JSON, and null at the end. It may be killed at any time.
"""

import json
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict
from multiprocessing.connection import Connection

from gembench.errors import ContractError
from gembench.jax_setup import set_up_jax
from gembench.leaderboard.contract_checks import PROBLEMS, Finding, check_policy
from gembench.leaderboard.unpack import unpack


def main() -> None:
    """Serve one order."""
    connection = Connection(int(sys.argv[1]))
    memory_bytes, output = json.loads(connection.recv_bytes()), connection.recv_bytes()
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    set_up_jax(cpu_only=True)
    for finding in _findings(output):
        connection.send_bytes(json.dumps(asdict(finding)).encode())
    connection.send_bytes(b"null")


def _findings(output: bytes) -> Iterator[Finding]:
    try:
        policy = unpack(output, PROBLEMS)
    except ContractError as error:
        yield Finding("programs", "error", str(error))
        return
    yield Finding("programs", "ok", "Its programs take and give what the contract says, and only compute.")
    yield from check_policy(policy)


if __name__ == "__main__":
    main()
