import json

import numpy as np
import pytest

from gembench.data.embedded import EMBEDDED
from gembench.describe import nearest_difference


def test_tensors_lists_what_is_embedded(gembench):
    result = gembench("tensors")
    assert result.exit_code == 0
    for name, tensor in EMBEDDED.items():
        assert name in result.stdout
        assert f"{tensor.num_models}" in result.stdout
    listed = json.loads(gembench("tensors", "--json", "-").stdout)
    assert [(tensor["name"], tensor["digest"]) for tensor in listed] == [
        (name, tensor.digest) for name, tensor in EMBEDDED.items()
    ]


def test_info_of_a_small_tensor_agrees_with_a_count_by_hand(gembench, save_npz):
    correct = np.array([[1, 1, 1, 0, 1], [1, 1, 0, 0, 1], [0, 0, 0, 1, -1]], np.int8)
    result = gembench("info", save_npz(correct), "--json", "-")
    summary = json.loads(result.stdout)
    assert (summary["num_models"], summary["num_queries"]) == (3, 5)
    assert summary["coverage"] == 14 / 15
    assert summary["outcomes"]["not_asked"] == 1
    assert summary["is_digest_verified"] is None
    race = summary["race"]
    assert (race["num_models"], race["num_queries"]) == (3, 4)
    assert race["best"] == [["org/model-0", 0.75], ["org/model-1", 0.5], ["org/model-2", 0.25]]
    assert race["mean_accuracy"] == 0.5
    assert race["nearest_difference"] == 0.25  # 0 and 1 differ on one query of four, 2 and 1 on three: 1/4, 1/4, 3/4


def test_the_nearest_difference_agrees_with_comparing_all_pairs():
    correct = (np.random.default_rng(0).random((9, 50)) < 0.6).astype(np.uint8)
    nearest = [
        min((row != other).mean() for place, other in enumerate(correct) if place != own)
        for own, row in enumerate(correct)
    ]
    assert nearest_difference(correct) == pytest.approx(np.median(nearest))


def test_info_says_that_the_digest_of_an_embedded_tensor_is_verified(gembench):
    result = gembench("info", "mistral-7b")
    assert result.exit_code == 0
    assert "(verified)" in "".join(result.stdout.split("\n")).replace(" ", "")
    assert "288" in result.stdout


def test_info_still_describes_a_tensor_that_leaves_no_race(gembench, save_npz):
    result = gembench("info", save_npz(np.full((3, 4), -1, np.int8)))
    assert result.exit_code == 0
    assert "0.00%" in result.stdout
    assert "a race needs 2" in " ".join(result.stdout.split())


def test_synth_writes_a_tree_that_info_and_simulate_read(gembench, simulator, tmp_path):
    store = tmp_path / "tree.zarr"
    result = gembench("synth", "mistral-7b", "--models", 40, "--queries", 200, "--seed", 3, "-o", store)
    assert result.exit_code == 0
    assert "40 models, 200 queries, sha256:" in result.stdout
    digest = result.stdout.split()[-1]
    summary = json.loads(gembench("info", store, "--json", "-").stdout)
    assert (summary["content_digest"], summary["is_digest_verified"]) == (digest, True)
    assert gembench("simulate", store, "-p", "uniform", "-n", 5).exit_code == 0


def test_synth_never_overwrites_unless_told(gembench, tmp_path):
    arguments = ("synth", "mistral-7b", "--models", 40, "--queries", 200, "-o", tmp_path / "tree.zarr")
    assert gembench(*arguments).exit_code == 0
    again = gembench(*arguments)
    assert again.exit_code == 1
    assert "overwrite" in again.stderr
    assert gembench(*arguments, "--overwrite").exit_code == 0


def test_synth_refuses_a_tree_too_small_for_its_figures(gembench, tmp_path):
    result = gembench("synth", "mistral-7b", "--models", 3, "-o", tmp_path / "tree.zarr")
    assert result.exit_code == 2
    assert result.stderr.startswith("gembench: error: ")


def test_a_tree_s_name_that_is_mistyped_is_answered_with_the_known_ones(gembench, tmp_path):
    result = gembench("synth", "mistral", "-o", tmp_path / "tree.zarr")
    assert result.exit_code == 2
    assert "'mistral-7b'" in result.stderr
