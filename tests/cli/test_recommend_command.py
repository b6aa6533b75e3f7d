import json
import shlex

import numpy as np
import pytest

TWO = ("-p", "uniform", "-p", "sequential_halving")


def line_of(result):
    """The one line of the message."""
    (line,) = (line for line in result.stderr.splitlines() if line)
    assert line.startswith("gembench: error: ")
    return line


def as_json(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def needle(save_npz):
    """60 models on 80 queries: one is always right, the others on every second query, each on its own half."""
    rng = np.random.default_rng(0)
    correct = np.stack([rng.permutation(np.arange(80) % 2) for _ in range(60)]).astype(np.uint8)
    correct[17] = 1
    return save_npz(correct)


def test_halving_is_recommended_where_one_model_is_far_ahead_and_the_answers_are_few(gembench, needle):
    """With the simulator itself. Four answers each leave some 4 of 59 others looking perfect too; halving asks on."""
    report = as_json(gembench("recommend", "--tensor", needle, "-n", 4, "--runs", 60, *TWO, "--json", "-"))
    recommendation = report["recommendation"]
    assert recommendation["policy"] == "sequential_halving"
    assert {each["policy"]: each["verdict"] for each in recommendation["standings"]} == {
        "sequential_halving": "recommended",
        "uniform": "worse for certain",
    }
    assert report["case"]["queries_per_model"] == 4
    assert [(row["policy"], row["runs"]) for row in report["rows"]] == [("uniform", 60), ("sequential_halving", 60)]
    assert report["comparisons"][0]["policies"] == ["sequential_halving", "uniform"]


def test_the_output_is_the_evidence_the_verdict_and_commands_that_run_in_80_columns(gembench, small, tmp_path):
    """With the simulator itself."""
    result = gembench("recommend", "-t", small, "-n", 5, "--runs", 20, *TWO, "--json", tmp_path / "report.json")
    assert result.exit_code == 0, result.output
    out = result.stdout
    assert out.index("Tensors that stand for") < out.index("mean rank") < out.index("Verdict over")
    assert out.index("Verdict over") < out.index("Use ") < out.index("gembench search")
    assert max(len(line) for line in out.splitlines() if str(small) not in line) <= 80
    policy = json.loads((tmp_path / "report.json").read_text())["recommendation"]["policy"]
    assert f"Use {policy}: mean rank" in out
    words = shlex.split(out[out.index("gembench simulate") :].replace("\\\n", " "))
    assert words[1:] == ["simulate", str(small), "--policy", policy, "--queries-per-model", "5", "--runs", "1000"]
    assert gembench(*words[1:-1], 20).exit_code == 0


def test_the_nearest_embedded_tensors_stand_for_a_size_cut_to_it(gembench, simulator):
    report = as_json(
        gembench("recommend", "--num-models", 300, "--num-queries", 1000, "-n", 10, "-p", "ucb", "--json", "-")
    )
    sizes = [(each["tensor"], each["num_models"], each["num_queries"], each["distance"]) for each in report["tensors"]]
    # Mistral's tree has 288 models, the recorded one 51.
    assert sizes == [(name, 300, 1000, 0) for name in ("qwen2.5-3b", "qwen2.5-7b", "llama-3.1-8b")]
    assert [call["race"].correct.shape for call in simulator.calls] == [(300, 1000)] * 3
    assert {call["budget"] for call in simulator.calls} == {3000}
    assert [row["runs"] for row in report["rows"]] == [200] * 3


def test_a_small_case_is_judged_by_the_recorded_tensor_first(gembench, simulator):
    options = ("--num-models", 40, "--num-queries", 200, "-n", 10, "-p", "ucb", "--runs", 5, "--json", "-")
    assert as_json(gembench("recommend", *options))["tensors"][0]["tensor"] == "smollm2-135m"


def test_the_difference_chooses_among_tensors_of_one_size(gembench, simulator):
    """gembench info: 8.3% for these two trees, 6.3% and less for the others."""
    options = ("--num-models", 288, "--num-queries", 3000, "--difference", 0.09, "-n", 10, "-p", "ucb", "--runs", 5)
    report = as_json(gembench("recommend", *options, "--json", "-"))
    assert {each["tensor"] for each in report["tensors"][:2]} == {"mistral-7b", "qwen2.5-7b"}


def test_the_user_s_seconds_and_size_reach_the_simulator(gembench, simulator, small):
    options = ("--num-models", 6, "--num-queries", 20, "--seconds-per-load", 9, "--seconds-per-query", 0.5)
    report = as_json(
        gembench("recommend", "-t", small, *options, "-n", 4, "--runs", 7, "--seed", 3, "-p", "ucb", "--json", "-")
    )
    (call,) = simulator.calls
    assert call["race"].correct.shape == (6, 20)
    assert set(call["race"].load_seconds) == {9.0}
    assert set(call["race"].query_seconds) == {0.5}
    assert (call["num_runs"], call["seed"], call["budget"]) == (7, 3, 24)
    assert report["rows"][0]["cost_source"] == "given"


def test_another_seed_draws_other_models(gembench, simulator):
    """From one seed to the other all 80 cells are the same in fewer than 1 of 10**9."""
    for seed in (0, 1):
        options = ("--num-models", 8, "--num-queries", 10, "-n", 2, "-p", "ucb", "--runs", 2, "--seed", seed)
        assert gembench("recommend", "-t", "mistral-7b", *options).exit_code == 0
    first, second = (call["race"].correct for call in simulator.calls)
    assert not np.array_equal(first, second)


def test_all_of_the_catalog_is_considered_by_default(gembench, simulator, small):
    from gembench.policies.catalog import CATALOG

    report = as_json(gembench("recommend", "-t", small, "-n", 5, "--runs", 30, "--json", "-"))
    assert {each["policy"] for each in report["recommendation"]["standings"]} == set(CATALOG)


def test_a_case_larger_than_every_embedded_tensor_is_told_how_to_come_nearer(gembench, simulator):
    options = ("--num-models", 5000, "--num-queries", 3000, "-n", 10, "-p", "ucb", "-p", "uniform", "--runs", 20)
    assert "gembench synth" in gembench("recommend", *options).stdout


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "Give --tensor T, or both --num-models M and --num-queries Q"),
        (("--num-models", 9), "Give --tensor T, or both --num-models M and --num-queries Q"),
        (("--num-models", 1, "--num-queries", 50), "a search needs 2 models or more, got 1"),
        (("--num-models", 50, "--num-queries", 5), "5 queries per model buy every answer of the case"),
        (("--tensor", "small"), "5 queries per model buy every answer"),
        (("--tensor", "qwen2.5-3bb"), "Embedded tensors are qwen2.5-3b,"),
        (("--num-models", 50, "--num-queries", 400, "-p", "ucbe"), "did you mean ucb"),
        (("--num-models", 50, "--num-queries", 400, "-n", 0.5), "is under one pull for each of 50 models"),
        (("--num-models", 50, "--num-queries", 4000, "-n", 3500), "of every embedded tensor"),
        (("--num-models", 50, "--num-queries", 400, "--seconds-per-load", 3), "both a load and a query"),
        (("--num-models", 50, "--num-queries", 400, "--difference", 2), "got 2"),
        (("--num-models", 50, "--num-queries", 400, "--json", "/proc/none/x.json"), "cannot write"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2_before_anything_runs(gembench, simulator, save_npz, options, expected):
    small = save_npz(np.eye(4, 5, dtype=np.uint8))
    options = [str(small) if option == "small" else option for option in options]
    result = gembench("recommend", "-n", 5, *options)
    assert expected in line_of(result)
    assert result.exit_code == 2
    assert simulator.calls == []


def test_the_budget_must_be_given(gembench, simulator, small):
    result = gembench("recommend", "--tensor", small)
    assert result.exit_code == 2
    assert "--queries-per-model" in line_of(result)
