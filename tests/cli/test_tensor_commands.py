import json

import numpy as np
import pytest

from gembench.data.embedded import EMBEDDED
from gembench.data.schema import make_tensor
from gembench.data.tensor import write_tensor


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


@pytest.fixture
def tree(tmp_path):
    """Seven models of which two are copies, one is always right, one never, and one misses queries; two tasks."""
    correct = np.array(
        [
            [1, 1, 0, 0, 0, 1, 0, 0],
            [1, 1, 1, 0, 0, 1, 0, 0],
            [1, 0, 1, 1, 0, 1, 0, 0],
            [1, 1, 1, 0, 0, 1, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0],
            [1, 1, 1, 1, 1, 1, 1, 1],
            [1, 1, 1, 1, 1, 1, 1, -1],
        ],
        np.int8,
    )
    tensor = make_tensor(
        correct,
        ["org/base@main", "org/a", "org/b", "org/a-copy", "org/never", "org/always", "org/best"],
        [f"q{query}" for query in range(8)],
        tasks=["big"] * 5 + ["small"] * 3,
        model_coordinates={
            "base": ["org/base"] * 4 + ["", "", "org/other"],
            "downloads": [900, 5, 6, 7, 8, 9, 10],
        },
        attributes={"imports": "by somebody else", "suite": {"name": "mine"}},
    )
    write_tensor(tensor, tmp_path / "tree.zarr")
    return tmp_path / "tree.zarr"


def test_info_counts_tasks_copies_constant_rows_bases_and_gems(gembench, tree):
    race = json.loads(gembench("info", tree, "--json", "-").stdout)["race"]
    assert (race["num_models"], race["num_queries"]) == (7, 7)  # the last query is left out
    assert race["tasks"] == [
        {"task": "big", "num_queries": 5, "mean_accuracy": pytest.approx((2 + 3 + 3 + 3 + 0 + 5 + 5) / 35)},
        {"task": "small", "num_queries": 2, "mean_accuracy": pytest.approx((1 + 1 + 1 + 1 + 0 + 2 + 2) / 14)},
    ]
    assert race["identical_models"] == [["org/a", "org/a-copy"], ["org/always", "org/best"]]
    assert (race["always_right"], race["always_wrong"]) == (["org/always", "org/best"], ["org/never"])
    assert (race["num_queries_all_right"], race["num_queries_all_wrong"]) == (0, 0)
    assert race["bases"] == [
        {"base": "org/base", "num_descendants": 3, "accuracy": pytest.approx(3 / 7), "rank": 6},
        {"base": "org/other", "num_descendants": 1, "accuracy": None, "rank": None},
    ]
    assert race["hidden_gems"] == ["org/always", "org/best"]
    rows = np.array([[1, 1, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0], [1, 0, 1, 1, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0]])
    pairs = np.corrcoef(rows)[np.triu_indices(4, 1)]
    assert race["mean_correlation"] == pytest.approx(pairs.mean())


def test_info_prints_all_of_that_in_80_columns(gembench, tree):
    result = gembench("info", tree, env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    text = " ".join(result.stdout.split())
    for part in (
        "7 models on 7 queries with no answer missing; 1 queries left out",
        "5 queries 60.0% big 2 queries 57.1% small",
        "42.9% org/base, of 3 other models; rank 6 of 7",
        "org/other, of 1 other models; not among the models itself",
        "2: org/always, org/best (gembench gems",
        "4 models in 2 groups answer every query alike: org/a, org/a-copy org/always, org/best",
        "2 models answer all right: org/always, org/best",
        "1 models answer none right: org/never",
        "imports by somebody else",
        'suite {"name": "mine"}',
    ):
        assert part in text


def test_info_says_what_became_of_imports_and_metadata(gembench, tmp_path):
    logs, likes = tmp_path / "answers.csv", tmp_path / "likes.csv"
    logs.write_text(
        "model,query,value\norg/a,q1,1\norg/a,q2,0.7\norg/a,q3,0\norg/b,q1,1\norg/b,q2,1\norg/b,q3,0\norg/c,q1,1\n"
    )
    likes.write_text("model,likes\norg/a,3\n")
    store = tmp_path / "t.zarr"
    options = ("--min-coverage", 0.6, "--metadata", likes)
    assert gembench("import", "table", logs, "-o", store, *options).exit_code == 0
    text = " ".join(gembench("info", store, env={"COLUMNS": "80"}).stdout.split())
    assert "table: 7 rows of 1 logs" in text
    assert "left out: 0 logs, 1 models, 0 queries (least coverage 60%)" in text
    assert "conflicts: 0 cells" in text
    assert "1 scores between 0 and 1; right from 0.5 on" in text
    assert "likes.csv on " in text
    assert ": likes of 1" in text


def test_info_names_ten_tasks_and_counts_the_others(gembench, save_npz):
    rng = np.random.default_rng(0)
    tasks = np.array([f"task-{number:02}" for number in range(13) for _ in range(2)])
    path = save_npz(rng.integers(0, 2, (4, 26)).astype(np.int8), task=tasks)
    text = gembench("info", path).stdout
    assert "task-09" in text
    assert "task-10" not in text
    assert "and 3 tasks more" in text
    assert len(json.loads(gembench("info", path, "--json", "-").stdout)["race"]["tasks"]) == 13


def test_info_of_models_that_never_vary_says_that_nothing_is_known_of_their_correlation(gembench, save_npz):
    result = gembench("info", save_npz(np.array([[1, 1], [0, 0]], np.int8)))
    assert result.exit_code == 0
    assert "unknown: no two models are right on some queries" in " ".join(result.stdout.split())


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
