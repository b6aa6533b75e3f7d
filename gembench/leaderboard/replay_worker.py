"""The process that replays what came out of a sandbox: `python -m gembench.leaderboard.replay_worker N`.

N is the number of its end of a socket. It takes an order (JSON) and the sandbox's output, and tells in JSON how many
runs have just finished, and in the end the result or what went wrong. It may be killed at any time.
"""

import json
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

from gembench.errors import ContractError, GembenchError
from gembench.jax_setup import set_up_jax
from gembench.leaderboard.benchmark import Benchmark, BenchmarkTensor, open_races
from gembench.leaderboard.replay_process import why_not_replayed
from gembench.leaderboard.result_file import make_result, to_json
from gembench.leaderboard.scores import score_policies
from gembench.leaderboard.scoring import renumbered
from gembench.leaderboard.unpack import unpack
from gembench.memory import bound_memory, memory_for_runs
from gembench.policy import Problem


def main() -> None:
    """Serve one order."""
    connection = Connection(int(sys.argv[1]))
    order, output = json.loads(connection.recv_bytes()), connection.recv_bytes()
    sending = threading.Lock()

    def tell(**said: object) -> None:
        with sending:
            connection.send_bytes(json.dumps(said).encode())

    try:
        tell(result=_replay(order, output, tell))
    except ContractError as error:
        tell(error=str(error))
    except GembenchError as error:
        tell(error=f"its replay failed: {error}")
    except MemoryError:
        tell(error=f"its replay takes more than {order['memory_bytes']:,} bytes of memory.")
    except Exception as error:  # Nobody knows what JAX and XLA make of any program.
        tell(error=f"its {why_not_replayed(error)}")


def _replay(order: dict[str, Any], output: bytes, tell: Any) -> str:
    limit = order["memory_bytes"]
    bound_memory(limit)
    set_up_jax(cpu_only=True)
    benchmark = _read_benchmark(order["benchmark"])
    policy = unpack(output, [Problem(*sizes) for sizes in order["problems"]])
    races = [renumbered(loaded, order["file_sha256"]) for loaded in open_races(benchmark)]
    (scores,) = score_policies(
        benchmark,
        races,
        {order["name"]: policy},
        memory_bytes=min(memory_for_runs(None), limit // 4),
        on_progress=lambda num_runs: tell(runs=num_runs),
    )
    return to_json(make_result(benchmark, scores, order["file_sha256"]))


def _read_benchmark(stated: dict[str, Any]) -> Benchmark:
    return Benchmark(
        version=stated["version"],
        tensors=tuple(BenchmarkTensor(**tensor) for tensor in stated["tensors"]),
        queries_per_model=tuple(stated["queries_per_model"]),
        runs=stated["runs"],
        seed=stated["seed"],
        top_k=tuple(stated["top_k"]),
        reference=stated["reference"],
    )


if __name__ == "__main__":
    main()
