import math
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from needs import needs_torch

pytestmark = needs_torch


@pytest.fixture(scope="module")
def weights():
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "ci/smollm2/weights.py")))


def one_matrix(rows):
    import torch

    return {"matrix": torch.tensor(rows, dtype=torch.float32), "norm": torch.ones(2)}


def test_slerp_between_unit_vectors_at_right_angles_keeps_the_length(weights):
    third = weights.slerp(one_matrix([[1, 0]]), one_matrix([[0, 1]]), 1 / 3)["matrix"]

    # 30 of the 90 degrees.
    assert third.tolist() == [pytest.approx([math.sqrt(3) / 2, 0.5])]


def test_slerp_of_a_checkpoint_with_itself_is_the_checkpoint(weights):
    start = one_matrix([[1, 2], [3, 4]])

    assert weights.slerp(start, start, 0.5)["matrix"].tolist() == [[1, 2], [3, 4]]


def test_linear_takes_the_share_from_the_other(weights):
    assert weights.linear(one_matrix([[0, 4]]), one_matrix([[8, 0]]), 0.25)["matrix"].tolist() == [[2, 3]]


def test_task_arithmetic_adds_the_scaled_differences_of_all_others(weights):
    others = [one_matrix([[2, 1]]), one_matrix([[1, 5]])]

    assert weights.task_arithmetic(one_matrix([[1, 1]]), others, 0.5)["matrix"].tolist() == [[1.5, 3]]


def test_three_bits_round_each_group_to_thirds_of_its_largest_weight(weights):
    coarse = weights.quantize(one_matrix([[3, 1.4, -30, 16], [0, 0, 3, -2.6]]), bits=3, group=2)["matrix"]

    assert coarse.tolist() == [[3, 1, -30, 20], [0, 0, 3, -3]]


def test_eight_bits_take_one_scale_for_each_row(weights):
    coarse = weights.quantize(one_matrix([[127, 0.4, 1.6], [12.7, 0.4, 0.16]]), bits=8, group=0)["matrix"]

    assert coarse.flatten().tolist() == pytest.approx([127, 0, 2, 12.7, 0.4, 0.2])


def test_pruning_sets_the_smallest_share_to_zero_and_leaves_the_rest(weights):
    assert weights.prune_smallest(one_matrix([[4, -1], [2, -3]]), 0.5)["matrix"].tolist() == [[4, 0], [0, -3]]


def test_noise_has_its_share_of_the_deviation_and_leaves_norms_alone(weights):
    import torch

    start = {"matrix": torch.randn(300, 300, generator=torch.Generator().manual_seed(1)), "norm": torch.ones(300)}
    noisy = weights.noise(start, 0.1, seed=2)

    # The standard error of a deviation of 90,000 numbers is 0.24%: 5 of them.
    assert (noisy["matrix"] - start["matrix"]).std().item() == pytest.approx(0.1, rel=0.012)
    assert noisy["norm"].equal(start["norm"])
    assert weights.noise(start, 0.1, seed=2)["matrix"].equal(noisy["matrix"])


def test_layers_that_stay_are_numbered_anew_in_their_order(weights):
    layers = {f"model.layers.{layer}.mlp.weight": layer for layer in range(12)}

    kept = weights.drop_layers({**layers, "model.norm.weight": "norm"}, (0, 10), num_layers=12)

    numbers = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11]
    assert kept == {f"model.layers.{new}.mlp.weight": old for new, old in enumerate(numbers)} | {
        "model.norm.weight": "norm"
    }
