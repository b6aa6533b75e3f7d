"""What a recording will cost, before it starts: download, disk and GPU-hours.

The hours come from a rough model, for a plan and not for a bill: a model of P parameters handles
`tokens_per_second * 1e9 / P` tokens a second, in and out together, since most of the work is one multiplication and one
addition a parameter and token; its weights are read at `BYTES_PER_SECOND`; and each architecture starts an engine once,
which takes `START_SECONDS`. Models whose size is unknown count as the mean of the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from gembench.evaluate.preflight import Preflight

TOKENS_PER_SECOND = 50_000.0
"""Of a model of 1e9 parameters on one data-centre GPU under a full batch; the order of magnitude, to be replaced by
what your own engine shows."""
TOKENS_PER_QUERY = 500.0
"""Prompt and answer of a few-shot question, in the middle."""
BYTES_PER_SECOND = 1e9
START_SECONDS = 60.0


@dataclass(frozen=True)
class RecordingCost:
    """The sums over the models that can run.

    Attributes:
        num_models: how many can run.
        num_architectures: how many engines must be started for them.
        download_bytes: what is to be fetched in all; a base that several adapters share counts once.
        largest_bytes: the largest model with its base: downloads must be allowed at least that much disk.
        gpu_hours: by the model above.
    """

    num_models: int
    num_architectures: int
    download_bytes: int
    largest_bytes: int
    gpu_hours: float


def recording_cost(
    preflights: Sequence[Preflight],
    num_queries: int,
    *,
    tokens_per_second: float = TOKENS_PER_SECOND,
    tokens_per_query: float = TOKENS_PER_QUERY,
) -> RecordingCost:
    """Estimate what recording these models over so many queries costs. Models that cannot run cost nothing."""
    runnable = [one for one in preflights if one.can_run]
    sizes = [one.num_parameters for one in runnable if one.num_parameters]
    mean_size = fmean(sizes) if sizes else 0.0
    num_architectures = len({one.architecture_key for one in runnable})
    answer_seconds = sum(
        num_queries * tokens_per_query * (one.num_parameters or mean_size) / (tokens_per_second * 1e9)
        for one in runnable
    )
    load_seconds = sum(one.disk_bytes for one in runnable) / BYTES_PER_SECOND + START_SECONDS * num_architectures
    parts = {
        (part.source.repo_id, part.source.revision, part.folder): part
        for one in runnable
        for part in (one, one.base)
        if part
    }
    return RecordingCost(
        num_models=len(runnable),
        num_architectures=num_architectures,
        download_bytes=sum(sum(part.files.values()) for part in parts.values() if part.folder is None),
        largest_bytes=max((one.download_bytes for one in runnable), default=0),
        gpu_hours=(answer_seconds + load_seconds) / 3600,
    )
