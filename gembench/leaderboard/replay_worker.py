"""The process that replays what came out of a sandbox: `python -m gembench.leaderboard.replay_worker N`.

N is the number of its end of a socket. It takes an order (JSON) and what came out of the sandbox for each size of
history, and tells in JSON how many runs have just finished, and in the end the result or what went wrong. It may be
killed at any time.
"""

import json
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

from gembench.errors import ContractError, GembenchError
from gembench.experiment import Contest, plan_contests
from gembench.jax_setup import set_up_jax
from gembench.leaderboard.benchmark import Benchmark, BenchmarkTensor, open_backgrounds, open_races
from gembench.leaderboard.renumbering import with_models_renumbered, with_queries_renumbered
from gembench.leaderboard.replay_process import why_not_replayed
from gembench.leaderboard.result_file import make_result, to_json
from gembench.leaderboard.scores import score_contests
from gembench.leaderboard.scoring import num_histories_of
from gembench.leaderboard.unpack import unpack
from gembench.memory import bound_memory, memory_for_runs
from gembench.policy import Problem
from gembench.query_policy import chooses_queries


def main() -> None:
    """Serve one order."""
    connection = Connection(int(sys.argv[1]))
    order = json.loads(connection.recv_bytes())
    outputs = [connection.recv_bytes() for _ in order["problems"]]
    sending = threading.Lock()

    def tell(**said: object) -> None:
        with sending:
            connection.send_bytes(json.dumps(said).encode())

    try:
        tell(result=_replay(order, outputs, tell))
    except ContractError as error:
        tell(error=str(error))
    except GembenchError as error:
        tell(error=f"its replay failed: {error}")
    except MemoryError:
        tell(error=f"its replay takes more than {order['memory_bytes']:,} bytes of memory.")
    except Exception as error:  # Nobody knows what JAX and XLA make of any program.
        tell(error=f"its {why_not_replayed(error)}")


def _replay(order: dict[str, Any], outputs: list[bytes], tell: Any) -> str:
    limit, name, file_sha256 = order["memory_bytes"], order["name"], order["file_sha256"]
    bound_memory(limit)
    set_up_jax(cpu_only=True)
    benchmark = _read_benchmark(order["benchmark"])
    policies = {
        int(size): unpack(output, [Problem(*sizes) for sizes in problems], num_histories=int(size))
        for (size, problems), output in zip(order["problems"].items(), outputs, strict=True)
    }
    races = open_races(benchmark)
    known = open_backgrounds(benchmark, races)
    contests: list[Contest] = []
    for loaded in races:
        policy = policies[num_histories_of(loaded, known)]
        race, background = with_models_renumbered(loaded, file_sha256), known.get(loaded.tensor)
        if chooses_queries(policy):
            race, background = with_queries_renumbered(race, background, file_sha256)
        beforehand = {} if background is None else {loaded.tensor: background}
        contests += plan_contests([race], {name: policy}, benchmark.queries_per_model, known=beforehand)
    (scores,) = score_contests(
        benchmark,
        contests,
        memory_bytes=min(memory_for_runs(None), limit // 4),
        on_progress=lambda num_runs: tell(runs=num_runs),
    )
    return to_json(make_result(benchmark, scores, file_sha256))


def _read_benchmark(stated: dict[str, Any]) -> Benchmark:
    return Benchmark(
        version=stated["version"],
        tensors=tuple(BenchmarkTensor(**tensor) for tensor in stated["tensors"]),
        queries_per_model=tuple(stated["queries_per_model"]),
        runs=stated["runs"],
        seed=stated["seed"],
        top_k=tuple(stated["top_k"]),
        reference=stated["reference"],
        histories=tuple(BenchmarkTensor(**tensor) for tensor in stated["histories"]),
    )


if __name__ == "__main__":
    main()
