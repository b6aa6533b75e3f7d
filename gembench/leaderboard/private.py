"""The benchmark of results on hidden tensors, as far as they tell it: the tensors are digests without a location."""

from dataclasses import replace

from gembench.errors import BenchmarkError
from gembench.leaderboard.benchmark import Benchmark, BenchmarkTensor, public_version_of
from gembench.leaderboard.result_file import Result


def is_private(result: Result) -> bool:
    """Whether a result is on hidden tensors."""
    return public_version_of(result.benchmark) is not None


def hidden_benchmark(benchmark: Benchmark, result: Result) -> Benchmark:
    """The private benchmark that a result was made on, with the public one's reference.

    Raises:
        BenchmarkError: the result is of another version, or names a tensor by more than its digest.
    """
    name = result.scores.name
    if public_version_of(result.benchmark) != benchmark.version:
        raise BenchmarkError(
            f"{name}: its benchmark is {result.benchmark!r}, which is no private one with the settings of "
            f"{benchmark.version!r}; score it on the hidden tensors again."
        )
    cells = [score.cell for score in result.scores.cells]
    for cell in cells:
        if cell.tensor != cell.tensor_digest:
            raise BenchmarkError(f"{name}: a hidden tensor is called {cell.tensor}, not by its digest.")
    return replace(
        benchmark,
        version=result.benchmark,
        tensors=tuple(BenchmarkTensor(digest, digest, "") for digest in dict.fromkeys(cell.tensor for cell in cells)),
        queries_per_model=tuple(dict.fromkeys(cell.queries_per_model for cell in cells)),
        runs=result.runs,
        seed=result.seed,
        top_k=tuple(result.scores.cells[0].recall) if cells else (),
    )
