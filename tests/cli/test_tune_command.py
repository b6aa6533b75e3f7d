import json

import numpy as np
import pytest

RANGES = ("-p", "gem", "-r", "keep=0.5:0.9", "-r", "tilt=-0.5:0.5")
QUICK = ("-n", 3, "-n", 5, "--runs", 25, "--trials", 4)
FAMILIES = ("--families", 8, "--family-size", 6)


@pytest.fixture
def large(save_npz):
    """200 models, 40 queries."""
    rng = np.random.default_rng(0)
    return save_npz((rng.random((200, 40)) < rng.uniform(0.2, 0.8, (200, 1))).astype(np.uint8), "large.npz")


@pytest.fixture
def three(save_npz):
    """Three tensors of 8 models and 30 queries."""
    rng = np.random.default_rng(0)
    return [
        save_npz((rng.random((8, 30)) < np.linspace(0.1, 0.9, 8)[:, None]).astype(np.uint8), f"{name}.npz")
        for name in "abc"
    ]


def test_tables_fit_80_columns_and_the_last_line_is_the_winner_to_paste(gembench, simulator, large):
    result = gembench("tune", large, *RANGES, *QUICK, *FAMILIES)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for text in ("Best of 4 trials", "gem (as it was)", "validation ratio", "Test, used once", "winner / as it was"):
        assert text in result.stdout
    again = gembench("simulate", large, "-p", lines[-1], "-n", 3, "--runs", 2, "--json", "-")
    assert json.loads(again.stdout)["rows"][0]["policy"] == lines[-1]


def test_what_the_parts_are_and_share_and_each_trial_is_said_on_stderr(gembench, simulator, large):
    errors = gembench("tune", large, *RANGES, *QUICK, *FAMILIES).stderr
    assert (
        "families: 4 for training, 2 for validation, 2 for test; none of the test's models races in another part"
        in errors
    )
    assert errors.count("gembench: trial ") == 4
    crowded = gembench("tune", large, *RANGES, *QUICK, "--families", 8, "--family-size", 150).stderr
    assert "of the test's" in crowded
    assert "models race in another part" in crowded


def test_tensors_are_split_by_tensor_and_json_has_it_all(gembench, simulator, three):
    result = gembench("tune", *three, *RANGES, *QUICK, "--seed", 5, "--reference", "uniform", "--json", "-")
    report = json.loads(result.stdout)
    assert report["races"] == {
        part: [str(path)] for part, path in zip(("training", "validation", "test"), three, strict=True)
    }
    assert not report["are_drawn"]
    question = report["question"]
    assert (question["policy"], question["reference"], question["seed"], question["num_runs"]) == (
        "gem",
        "uniform",
        5,
        25,
    )
    assert question["ranges"] == ["keep=0.5:0.9", "tilt=-0.5:0.5"]
    assert len(report["choice"]["trials"]) == 4
    assert [each["queries_per_model"] for each in report["test"]] == [None, 3, 5]
    for each in report["test"]:
        low, high = each["winner"]["interval"]
        assert low <= each["winner"]["value"] <= high


def test_only_the_test_s_runs_meet_the_test_s_tensor_and_they_do_last(gembench, simulator, three):
    gembench("tune", *three, *RANGES, *QUICK)
    answers = {np.load(path)["correct"].tobytes(): path.stem for path in three}
    met = [(answers[call["race"].correct.tobytes()], call["seed"]) for call in simulator.calls]
    first = next(place for place, (name, _) in enumerate(met) if name == "c")
    assert {name for name, _ in met[first:]} == {"c"}
    assert len(set(met)) == 3  # each tensor at a seed of its own


def test_a_history_is_known_to_each_family(gembench, simulator, large):
    result = gembench("tune", large, *RANGES, *QUICK, *FAMILIES, "--history-models", 15, "--queries", 20)
    assert result.exit_code == 0
    warm = [call for call in simulator.calls if call["background"] is not None]
    assert {call["background"].history.shape for call in warm} == {(15, 20)}
    assert {type(call["policy"]).__name__ for call in warm} == {"Gem"}


def test_the_same_command_gives_the_same_bytes(gembench, simulator, large):
    first, second = (gembench("tune", large, *RANGES, *QUICK, *FAMILIES, "--json", "-").stdout for _ in range(2))
    assert first == second


def test_a_second_command_with_the_same_storage_shows_what_was_kept_and_runs_nothing(
    gembench, simulator, large, tmp_path
):
    command = ("tune", large, *RANGES, *QUICK, *FAMILIES, "--storage", tmp_path / "study")
    first = gembench(*command)
    simulator.calls.clear()
    second = gembench(*command, "--trials", 50)
    assert second.exit_code == 0
    assert second.stdout == first.stdout
    assert "its test was used, so nothing is tried any more" in second.stderr
    assert simulator.calls == []
    other = gembench(*command, "--seed", 1)
    assert other.exit_code == 2
    assert "holds the tuning of another question: other seed" in other.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "1 tensor is too few"),
        (("--family-size", 6), "only families have --family-size; give --families K too"),
        (("--queries", 6, "--history-models", 3), "only families have --queries and --history-models"),
        (("--families", 8), "Give --family-size M"),
        (("--families", 8, "--family-size", 201), "does not fit into 200 models x 40 queries"),
        (("--families", 7, "--family-size", 6), "8 are enough"),
        ((*FAMILIES, "-r", "kept=1:2"), "no setting 'kept'"),
        ((*FAMILIES, "--reference", "gemm"), "did you mean gem?"),
        ((*FAMILIES, "-n", 0.5), "under one pull"),
        ((*FAMILIES, "--storage", "/dev/null"), "is not a file"),
        ((*FAMILIES, "--json", "/nowhere/report.json"), "there is no folder"),
        (("--polcy", "gem"), "No such option"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2_before_anything_runs(gembench, simulator, large, options, message):
    result = gembench("tune", large, *RANGES, "--trials", 2, "--runs", 20, *options)
    assert result.exit_code == 2
    error = result.stderr.splitlines()[-1]
    assert error.startswith("gembench: error: ")
    assert message in error
    assert simulator.calls == []
    assert result.stdout == ""


def test_a_history_that_the_policy_cannot_use_is_refused(gembench, simulator, large):
    result = gembench("tune", large, "-p", "ucb", "-r", "exploration=0.1:4:log", *FAMILIES, "--history-models", 9)
    assert result.exit_code == 2
    assert "policy ucb learns nothing from a history; leave it out" in result.stderr


def test_without_optuna_the_extra_is_named(gembench, monkeypatch, large):
    monkeypatch.setattr("gembench.extras.find_spec", lambda name: None)
    result = gembench("tune", large, *RANGES)
    assert result.exit_code == 1
    assert result.stderr == "gembench: error: this needs optuna: run pip install 'gembench[tune]'.\n"
