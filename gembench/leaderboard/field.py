"""A field of policies, scored: those of the catalog here, those of files each in its sandbox."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from gembench.background import LoadedBackground
from gembench.leaderboard.benchmark import Benchmark
from gembench.leaderboard.policy_file import PolicyFile
from gembench.leaderboard.result_file import Result, make_result
from gembench.leaderboard.scores import score_policies
from gembench.leaderboard.scoring import score_file
from gembench.load_race import LoadedRace
from gembench.query_policy import AnyPolicy


def score_field(
    benchmark: Benchmark,
    races: Sequence[LoadedRace],
    policies: Mapping[str, AnyPolicy],
    files: Sequence[PolicyFile],
    *,
    known: Mapping[str, LoadedBackground] = MappingProxyType({}),
    seconds: float,
    memory_bytes: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> tuple[Result, ...]:
    """The results of policies and, after them, of files.

    Args:
        benchmark: what they are scored on.
        races: the benchmark's, as `open_races` gives them.
        policies: by the names that their results shall bear.
        files: of policies; their results bear the names of their classes.
        known: what is known beforehand, by the race's tensor, as `open_backgrounds` gives it.
        seconds: the longest that the replay of a file may take.
        memory_bytes: what the replays of `policies` may use together; None for the simulator's own default.
        on_progress: told, from any thread, how many runs have just finished.
    """
    results = []
    if policies:
        scores = score_policies(
            benchmark, races, policies, known=known, memory_bytes=memory_bytes, on_progress=on_progress
        )
        results += [make_result(benchmark, each) for each in scores]
    for file in files:
        results.append(score_file(benchmark, races, file, known=known, seconds=seconds, on_progress=on_progress))
    return tuple(results)
