"""What policies are scored on: tensors known by their digests, budgets, runs and a seed, all fixed by a version."""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gembench.errors import BenchmarkError
from gembench.intervals import MIN_RUNS_TO_COMPARE

if TYPE_CHECKING:
    from gembench.background import LoadedBackground
    from gembench.load_race import LoadedRace  # opens tensors, which reading a result does not need

PUBLIC_BENCHMARK = Path(__file__).with_name("benchmark.toml")
_PRIVATE = re.compile(r"(?P<public>.*)-private(-history-[0-9a-f]{8})?")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class BenchmarkTensor:
    """A tensor of a benchmark.

    Attributes:
        name: what results call it: an embedded tensor's name, or the digest of a hidden one.
        digest: its content digest.
        location: from where it is opened. Results never say it.
    """

    name: str
    digest: str
    location: str


@dataclass(frozen=True)
class Benchmark:
    """Everything that a score depends on, but the policy.

    Attributes:
        version: two results compare where it is the same.
        tensors: what is replayed.
        queries_per_model: the Ns; each with each tensor is a cell.
        runs: R, runs of each policy in each cell.
        seed: of all runs; run r meets the same query order whatever the policy.
        top_k: the ks of the recall.
        reference: the catalog's text of the policy whose mean rank is the unit of the ranking.
        histories: tensors of other models on the same queries, which policies that can use them know beforehand.
    """

    version: str
    tensors: tuple[BenchmarkTensor, ...]
    queries_per_model: tuple[float, ...]
    runs: int
    seed: int
    top_k: tuple[int, ...]
    reference: str
    histories: tuple[BenchmarkTensor, ...] = ()


def public_version_of(version: str) -> str | None:
    """The public version that a private one is of; None for a public one."""
    private = _PRIVATE.fullmatch(version)
    return None if private is None else private["public"]


def load_benchmark(path: Path | None = None) -> Benchmark:
    """The benchmark of a TOML file; by default the public one, which comes with gembench.

    Raises:
        BenchmarkError: the file cannot be read, or a setting is missing, unknown or not what it should be.
    """
    place = path or PUBLIC_BENCHMARK
    try:
        settings = tomllib.loads(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchmarkError(f"{place}: cannot be read: {error.strerror}.") from error
    except ValueError as error:  # tomllib's own, bad UTF-8, and integers of thousands of digits.
        raise BenchmarkError(f"{place}: is no TOML: {error}.") from error
    try:
        return _as_benchmark(settings)
    except BenchmarkError as error:
        raise BenchmarkError(f"{place}: {error}") from error


def open_races(benchmark: Benchmark) -> tuple[LoadedRace, ...]:
    """The races of a benchmark, in its order, under the names that results give them.

    Raises:
        TensorError: a tensor is not there, or cannot be used.
        BenchmarkError: a tensor's content is not what the benchmark says, or its models cost no time.
    """
    from gembench.load_race import load_race

    races = []
    for tensor in benchmark.tensors:
        loaded = load_race(tensor.location)
        if loaded.digest != tensor.digest:
            raise BenchmarkError(
                f"tensor {tensor.name}: its content hashes to {loaded.digest}, but benchmark {benchmark.version} is "
                f"about {tensor.digest}; scores would not compare. Install the gembench that has this benchmark."
            )
        if not (loaded.race.load_seconds + loaded.race.query_seconds > 0).all():
            raise BenchmarkError(
                f"tensor {tensor.name}: some of its models take no seconds to load and answer, so that the seconds of "
                f"policies do not compare; record it with its times, or leave them all out."
            )
        races.append(replace(loaded, tensor=tensor.name))
    return tuple(races)


def open_backgrounds(benchmark: Benchmark, races: Sequence[LoadedRace]) -> dict[str, LoadedBackground]:
    """What is known before each race of a benchmark, by the race's tensor; nothing where it has no histories.

    Raises:
        UsageError: a history knows too few of a race's queries, or one of its models.
        TensorError: a history is not there, or cannot be read.
    """
    from gembench.background import load_background

    if not benchmark.histories:
        return {}
    locations = [tensor.location for tensor in benchmark.histories]
    return {
        loaded.tensor: load_background(replace(loaded, tensor=tensor.location), locations)
        for tensor, loaded in zip(benchmark.tensors, races, strict=True)
    }


def private_benchmark(benchmark: Benchmark, folder: Path, histories: Sequence[str] = ()) -> Benchmark:
    """The same settings on the tensors in a folder, which are called by their digests alone, and come in their order.

    A tensor is an `.npz`, a `.zip`, or a folder with a `zarr.json`; whatever else lies there is none, nor is what has
    a name that starts with a dot.

    Args:
        benchmark: whose settings are taken.
        folder: where the tensors lie.
        histories: names, paths or URLs of tensors of other models; the version tells benchmarks with others apart.

    Raises:
        BenchmarkError: there is no such folder, no tensor in it, or one tensor twice.
        TensorError: one cannot be used.
    """
    from gembench.load_race import digest_of, load_race, open_any

    try:
        places = sorted(place for place in folder.iterdir() if _looks_like_a_tensor(place))
    except OSError as error:
        raise BenchmarkError(f"{folder}: cannot be read as a folder of tensors: {error.strerror}.") from error
    if not places:
        raise BenchmarkError(f"{folder}: no tensor lies there; put .npz files or Zarr stores (.zarr, .zip) into it.")
    place_of: dict[str, Path] = {}
    for place in places:
        digest = load_race(str(place)).digest
        if digest in place_of:
            raise BenchmarkError(
                f"{folder}: {place_of[digest].name} and {place.name} have the same content, which would count twice; "
                f"remove one of them."
            )
        place_of[digest] = place
    tensors = tuple(BenchmarkTensor(digest, digest, str(place_of[digest])) for digest in sorted(place_of))
    version = f"{benchmark.version}-private"
    digests = {place: digest_of(open_any(place)) for place in dict.fromkeys(histories)}
    known = tuple(BenchmarkTensor(digest, digest, place) for place, digest in digests.items())
    if known:
        names = " ".join(sorted(tensor.digest for tensor in known))
        version += f"-history-{hashlib.sha256(names.encode()).hexdigest()[:8]}"
    return replace(benchmark, version=version, tensors=tensors, histories=known)


def _looks_like_a_tensor(place: Path) -> bool:
    if place.name.startswith("."):
        return False
    return (place / "zarr.json").is_file() if place.is_dir() else place.suffix in {".npz", ".zip"}


def _as_benchmark(settings: Mapping[str, Any]) -> Benchmark:
    known = ("version", "seed", "runs", "queries_per_model", "top_k", "reference", "tensors")
    for name in known:
        if name not in settings:
            raise BenchmarkError(f"{name} is missing.")
    for name in settings:
        if name not in known:
            raise BenchmarkError(f"{name} is no setting of a benchmark; there are {', '.join(known)}.")
    for name in ("version", "reference"):
        _check(name, settings[name], isinstance(settings[name], str) and settings[name].strip(), "a text")
    seed, runs, tensors = settings["seed"], settings["runs"], settings["tensors"]
    _check("seed", seed, _is_integer(seed) and 0 <= seed < 2**63, "an integer from 0 to 2^63 - 1")
    _check("runs", runs, _is_integer(runs) and runs >= MIN_RUNS_TO_COMPARE, f"an integer from {MIN_RUNS_TO_COMPARE} up")
    _check_numbers("queries_per_model", settings["queries_per_model"], "positive numbers", _is_positive)
    _check_numbers("top_k", settings["top_k"], "positive integers", lambda k: _is_integer(k) and k > 0)
    _check("tensors", tensors, isinstance(tensors, dict) and tensors, "a table of names and digests")
    for name, digest in tensors.items():
        is_digest = isinstance(digest, str) and DIGEST.fullmatch(digest)
        _check(f"tensors.{name}", digest, is_digest, "a content digest, sha256: and 64 hex digits")
    for digest, times in Counter(tensors.values()).items():
        _check("tensors", digest, times == 1, "different tensors; this one is there twice")
    return Benchmark(
        version=settings["version"],
        tensors=tuple(BenchmarkTensor(name, digest, location=name) for name, digest in tensors.items()),
        queries_per_model=tuple(settings["queries_per_model"]),
        runs=runs,
        seed=seed,
        top_k=tuple(settings["top_k"]),
        reference=settings["reference"],
    )


def _check(name: str, value: object, is_right: object, wanted: str) -> None:
    if not is_right:
        raise BenchmarkError(f"{name} should be {wanted}, got {value!r}.")


def _check_numbers(name: str, values: Any, wanted: str, is_right: Any) -> None:
    is_list = isinstance(values, list) and len(values) > 0
    _check(name, values, is_list and all(map(is_right, values)), f"a list of {wanted}")
    _check(name, values, len(set(values)) == len(values), f"a list of different {wanted}")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive(value: Any) -> bool:
    return (_is_integer(value) or isinstance(value, float)) and 0 < value < math.inf
