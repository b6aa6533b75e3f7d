from pathlib import Path

import pytest

from gembench.data.status import ModelStatus
from gembench.evaluate.model_list import ModelSource
from gembench.evaluate.preflight import Preflight
from gembench.evaluate.recording_cost import recording_cost


def model(name: str, *, num_bytes: int, num_parameters: int | None, key: str = "llama", **about) -> Preflight:
    source = ModelSource(name, repo_id=name, revision="c" * 40)
    return Preflight(
        source,
        files={"model.safetensors": num_bytes},
        num_parameters=num_parameters,
        architecture_key=key,
        **about,
    )


def test_hours_follow_size_queries_and_stated_speed():
    # 2e9 parameters at 1000 tokens a second for 1e9: 500 a second. 100 queries of 50 tokens: 10 s. 4 GB at 1 GB/s: 4 s.
    # One engine: 60 s. The model without a size counts as the other, and has no bytes.
    models = [
        model("org/a", num_bytes=4 * 10**9, num_parameters=2 * 10**9),
        model("org/b", num_bytes=0, num_parameters=None),
    ]
    cost = recording_cost(models, num_queries=100, tokens_per_second=1000, tokens_per_query=50)
    assert cost.gpu_hours == pytest.approx((10 + 4 + 10 + 60) / 3600)
    assert (cost.num_models, cost.num_architectures) == (2, 1)


def test_models_that_cannot_run_cost_nothing_and_those_here_are_not_fetched():
    models = [
        model("org/a", num_bytes=100, num_parameters=1),
        model("org/here", num_bytes=1000, num_parameters=1, key="qwen2", folder=Path("/cache")),
        model("org/gated", num_bytes=0, num_parameters=None, key="", status=ModelStatus.GATED, message="ask"),
    ]
    cost = recording_cost(models, num_queries=1)
    assert (cost.num_models, cost.num_architectures) == (2, 2)
    assert (cost.download_bytes, cost.largest_bytes) == (100, 100)


def test_a_base_that_adapters_share_is_fetched_once_but_each_needs_room_for_both():
    base = model("org/base", num_bytes=1000, num_parameters=500)
    adapters = [model(f"org/a{n}", num_bytes=n, num_parameters=510, base=base) for n in (1, 2, 3)]
    cost = recording_cost(adapters, num_queries=1)
    assert cost.download_bytes == 1006
    assert cost.largest_bytes == 1003


def test_nothing_costs_nothing():
    cost = recording_cost([], num_queries=10)
    assert (cost.num_models, cost.download_bytes, cost.largest_bytes, cost.gpu_hours) == (0, 0, 0, 0.0)
