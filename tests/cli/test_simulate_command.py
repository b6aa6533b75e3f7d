import csv
import io
import json

import numpy as np
import pytest
from pyarrow import parquet

THREE = ("--policy", "uniform", "--policy", "ucb", "--policy", "ucb_e:exploration=1.5")


def test_a_table_holds_each_policy_at_each_number_of_queries_and_fits_80_columns(gembench, simulator, small):
    result = gembench("simulate", small, *THREE, "-n", 5, "-n", 2.5, "--runs", 30)
    assert result.exit_code == 0
    for text in ("8 models, 30 queries", "uniform", "exploration=1.5", "N = 5", "N = 2.5", "30 runs, seed 0", "@3"):
        assert text in result.stdout
    assert max(len(line) for line in result.stdout.splitlines() if str(small) not in line) <= 80
    assert "├" not in result.stdout


def test_the_defaults_are_the_paper_s(gembench, simulator, small):
    report = json.loads(gembench("simulate", small, "--policy", "uniform", "--json", "-").stdout)
    assert [(row["queries_per_model"], row["runs"], row["seed"]) for row in report["rows"]] == [
        (10, 100, 0),
        (50, 100, 0),
    ]
    assert list(report["rows"][0]["recall"]) == ["1", "3", "5"]
    assert [row["sampling"] for row in report["rows"]] == ["independent", "independent"]


def test_without_a_policy_all_of_the_catalog_race(gembench, simulator, small):
    from gembench.policies.catalog import CATALOG

    report = json.loads(gembench("simulate", small, "-n", 5, "--json", "-").stdout)
    assert [row["policy"] for row in report["rows"]] == list(CATALOG)


def test_without_a_tensor_the_embedded_ones_are_replayed(gembench, simulator):
    result = gembench("simulate", "-p", "uniform", "-n", 10, "--runs", 20, "--json", "-")
    rows = json.loads(result.stdout)["rows"]
    assert [(row["tensor"], row["num_models"], row["budget"]) for row in rows] == [
        ("qwen2.5-3b", 467, 4670),
        ("qwen2.5-7b", 636, 6360),
        ("mistral-7b", 288, 2880),
        ("llama-3.1-8b", 541, 5410),
    ]


def test_the_simulator_is_given_what_was_asked_for(gembench, simulator, small):
    options = ("--runs", 7, "--seed", 3, "--sampling", "shared", "--memory", "64MiB", "--top-k", "2", "-n", 2.3)
    assert gembench("simulate", small, "-p", "ucb", *options).exit_code == 0
    (call,) = simulator.calls
    assert (call["num_runs"], call["seed"], call["sampling"], call["budget"]) == (7, 3, "shared", 18)  # floor(2.3 * 8)
    assert call["memory_bytes"] <= 64 * 2**20


def test_an_exact_decimal_n_is_not_rounded_down_by_binary_fractions(gembench, simulator, save_npz):
    tensor = save_npz(np.zeros((100, 5), np.uint8))
    gembench("simulate", tensor, "-p", "uniform", "-n", 1.13, "--runs", 2)
    assert simulator.calls[0]["budget"] == 113  # 1.13 * 100 is 112.99999999999999 in binary


def test_top_k_may_be_given_with_commas_and_again(gembench, simulator, small):
    result = gembench("simulate", small, "-p", "ucb", "-n", 5, "--top-k", "2,4", "--top-k", 1, "--json", "-")
    assert list(json.loads(result.stdout)["rows"][0]["recall"]) == ["2", "4", "1"]


def test_underscores_and_variables_set_options_too(gembench, simulator, small):
    result = gembench(
        "simulate", small, "-p", "ucb", "--queries_per_model", 5, "--json", "-", env={"GEMBENCH_SIMULATE_RUNS": "17"}
    )
    (row,) = json.loads(result.stdout)["rows"]
    assert (row["queries_per_model"], row["runs"]) == (5, 17)


def test_a_file_of_json_leaves_the_table_on_stdout_and_holds_what_stdout_would_have(
    gembench, simulator, small, tmp_path
):
    path = tmp_path / "report.json"
    result = gembench("simulate", small, *THREE, "-n", 5, "--json", path)
    assert "mean rank" in result.stdout
    on_stdout = json.loads(gembench("simulate", small, *THREE, "-n", 5, "--json", "-").stdout)
    in_file = json.loads(path.read_text())
    for row in (*on_stdout["rows"], *in_file["rows"]):
        del row["wall_seconds"]
    assert in_file == on_stdout
    assert [path.name] == [each.name for each in tmp_path.iterdir() if each.suffix != ".npz"]


def test_a_row_a_run_is_written_as_csv_and_the_same_as_parquet(gembench, simulator, small, tmp_path):
    for name in ("runs.csv", "runs.parquet"):
        assert gembench("simulate", small, *THREE, "-n", 5, "--runs", 4, "--runs-out", tmp_path / name).exit_code == 0
    as_csv = list(csv.DictReader(io.StringIO((tmp_path / "runs.csv").read_text())))
    as_parquet = parquet.read_table(tmp_path / "runs.parquet").to_pylist()
    assert [row["policy"] for row in as_csv] == [
        p for p in ("uniform", "ucb", "ucb_e:exploration=1.5") for _ in range(4)
    ]
    assert [row["run"] for row in as_csv[:4]] == ["0", "1", "2", "3"]
    assert list(as_csv[0]) == list(as_parquet[0])
    assert [{**row, "queries_per_model": "5"} for row in as_csv] == [
        {name: str(value) for name, value in {**row, "queries_per_model": 5}.items()} for row in as_parquet
    ]
    accuracy = np.load(small)["correct"].mean(axis=1)
    for row in as_csv:
        recommended = accuracy[int(row["recommended"].removeprefix("org/model-"))]
        assert int(row["rank"]) == 1 + (accuracy > recommended).sum()
        assert len(row["decision_digest"]) == 64


@pytest.mark.parametrize(("name", "first_bytes"), [("plot.png", b"\x89PNG"), ("plot.html", b"<!doctype html>")])
def test_a_plot_is_drawn(gembench, simulator, small, tmp_path, name, first_bytes):
    result = gembench("simulate", small, "-p", "ucb", "-n", 5, "--plot", tmp_path / name)
    assert result.exit_code == 0
    assert (tmp_path / name).read_bytes().startswith(first_bytes)


def test_what_was_left_out_for_missing_answers_is_said_on_stderr(gembench, simulator, save_npz):
    correct = np.ones((5, 40), np.int8)
    correct[0, 1:] = -1  # answered one query of 40
    correct[1, [3, 4]] = -1
    result = gembench("simulate", save_npz(correct), "-p", "uniform", "-n", 5)
    assert result.exit_code == 0
    assert "left out 1 models and 2 queries" in result.stderr
    assert simulator.calls[0]["race"].correct.shape == (4, 38)


def test_a_row_can_be_run_again_from_its_own_fields(gembench, small):
    """With the simulator itself."""
    first = gembench(
        "simulate", small, "-p", "ucb_e:exploration=1.5", "-n", 2.5, "--runs", 20, "--seed", 5, "--json", "-"
    )
    (row,) = json.loads(first.stdout)["rows"]
    again = gembench(
        *("simulate", row["tensor"], "--policy", row["policy"], "--queries-per-model", row["queries_per_model"]),
        *("--runs", row["runs"], "--seed", row["seed"], "--sampling", row["sampling"]),
        *("--min-coverage", row["min_coverage"], "--top-k", ",".join(row["recall"]), "--json", "-"),
    )
    (same,) = json.loads(again.stdout)["rows"]
    assert {**same, "wall_seconds": 0} == {**row, "wall_seconds": 0}


def test_among_equal_models_every_policy_recommends_the_first_rank(gembench, save_npz):
    """With the simulator itself."""
    tensor = save_npz(np.tile(np.arange(20) % 2, (5, 1)).astype(np.uint8))
    result = gembench(
        "simulate", tensor, "-p", "uniform", "-p", "sequential_halving", "-n", 4, "--runs", 20, "--json", "-"
    )
    for row in json.loads(result.stdout)["rows"]:
        assert (row["mean_rank"], row["simple_regret"], row["recall"]["1"]) == (1, 0, 1)
