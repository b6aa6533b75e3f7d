"""A search over checkpoints that real engines load: it makes the decisions that a replay of their recording makes."""

import json
import os
import subprocess
import sys

import pytest
from needs import needs_harness, needs_torch, needs_vllm

from gembench.data.tensor import open_tensor

pytestmark = [needs_harness, needs_torch, pytest.mark.slow]
COMMAND = [sys.executable, "-c", "from gembench.cli.main import main; main()"]
ON_A_SMALL_CPU = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "OMP_NUM_THREADS": "2",
}
NUM_MODELS, NUM_QUERIES, QUERIES_PER_MODEL = 12, 60, 12
CHOICES = {
    "output_type": "multiple_choice",
    "doc_to_text": "{{left}} and {{right}} is",
    "doc_to_choice": "{{[left ~ '', right ~ '', (left + right) ~ '']}}",
    "doc_to_target": "{{(left + right) % 3}}",
    "num_fewshot": 0,
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
}


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """Twelve random checkpoints of two architectures, and a task of sixty choices."""
    from local_tasks import write_tasks
    from tiny_models import make_model

    root = tmp_path_factory.mktemp("ground")
    for seed in range(NUM_MODELS):
        kind = ("llama", "qwen2")[seed % 2]
        make_model(root / "models" / f"{kind}{seed}", kind=kind, seed=seed)
    (root / "tasks").mkdir()
    write_tasks(root / "tasks", {"sixty_choices": CHOICES}, NUM_QUERIES)
    return root


def run(*arguments):
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=600, env=os.environ | ON_A_SMALL_CPU
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "engine",
    [
        "hf:dtype=float32",
        pytest.param("vllm:dtype=float32,enforce_eager=true,max_num_seqs=16", marks=needs_vllm),
    ],
)
def test_a_live_search_is_a_replay_of_the_recording(ground, tmp_path, engine):
    shared = ("-m", ground / "models", "-s", "sixty_choices", "--include-path", ground / "tasks", "-e", engine)
    recorded, found = tmp_path / "recorded.zarr", tmp_path / "found.zarr"
    run("record", *shared, "-o", recorded)
    settings = ("-n", QUERIES_PER_MODEL, "--seed", 5, "--json", "-")
    live = json.loads(run("search", *shared, *settings, "-o", found))
    replayed = json.loads(run("search", "--engine", "replay", "--tensor", recorded, *settings))
    assert live["decision_digest"] == replayed["decision_digest"]
    assert live["recommended"] == replayed["recommended"]
    assert live["pulls"] == replayed["pulls"] <= NUM_MODELS * QUERIES_PER_MODEL

    everything, asked = open_tensor(recorded)["correct"].values, open_tensor(found)["correct"].values
    assert (asked != -1).sum() == live["pulls"] == live["new_cells"]
    assert (asked[asked != -1] == everything[asked != -1]).all()
    accuracy = dict(zip(open_tensor(recorded)["model"].values, everything.mean(axis=1), strict=True))
    rank = 1 + sum(other > accuracy[live["recommended"][0]] for other in accuracy.values())
    print(
        f"\n{engine}: rank {rank} of {NUM_MODELS}, {live['pulls']} of {everything.size} pulls, "
        f"{live['model_loads']} loads, {live['seconds']:.1f} s; asking everything "
        f"{live['card']['cost']['exhaustive_seconds']:.1f} s"
    )
