"""`gembench gems`: what it finds is what the definition says, and what it cannot know it says in one line."""

import json
import math

import numpy as np
import pytest

from gembench.load_race import open_any


@pytest.fixture
def answers(save_npz):
    """Model 2 is the best and model 0, of 6 queries right, the one that is downloaded; model 3 is as good as that."""
    num_right = [6, 3, 8, 6, 5]
    return save_npz(np.array([[int(query < right) for query in range(10)] for right in num_right], np.int8))


@pytest.fixture
def table(tmp_path):
    def write(downloads):
        path = tmp_path / "downloads.csv"
        rows = "".join(f"org/model-{model},{count}\n" for model, count in downloads.items())
        path.write_text(f"model,downloads\n{rows}")
        return path

    return write


def gems_by_definition(accuracy, downloads):
    """Written out from the paper's three criteria, ties at the border included."""
    num_top = math.ceil(len(accuracy) / 100)
    least_accuracy, least_downloads = sorted(accuracy)[-num_top], sorted(downloads)[-num_top]
    to_beat = max(a for a, d in zip(accuracy, downloads, strict=True) if d >= least_downloads)
    return [
        model
        for model, (a, d) in enumerate(zip(accuracy, downloads, strict=True))
        if d < least_downloads and a >= least_accuracy and a > to_beat
    ]


@pytest.mark.parametrize(("tensor", "num_gems"), [("qwen2.5-3b", 5), ("mistral-7b", None), ("smollm2-135m", None)])
def test_the_gems_of_an_embedded_tree_are_those_of_the_definition(gembench, tensor, num_gems):
    result = gembench("gems", tensor, "--resamples", 200, "--json", "-")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    dataset = open_any(tensor)
    accuracy = (dataset["correct"].values == 1).mean(axis=1)
    downloads = dataset["downloads"].values
    expected = gems_by_definition(accuracy, downloads)
    names = [str(dataset["model"].values[model]) for model in sorted(expected, key=lambda m: (-accuracy[m], m))]
    assert [one["model"] for one in report["gems"]] == names
    assert num_gems in (None, len(names))
    for model, one in zip(sorted(expected, key=lambda m: (-accuracy[m], m)), report["gems"], strict=True):
        assert one["accuracy"] == pytest.approx(accuracy[model])
        assert one["rank"] == 1 + (accuracy > accuracy[model]).sum()
        assert one["downloads"] == downloads[model]
        assert one["probability_ci"][0] <= one["probability"] <= one["probability_ci"][1]
    assert not {one["model"] for one in report["nearly"]} & set(names)


def test_a_tensor_without_downloads_takes_them_from_a_table(gembench, answers, table, tmp_path):
    downloads = table({0: 100, 1: 5, 2: 7, 3: 9, 4: 0})
    result = gembench("gems", answers, "--metadata", downloads, "--resamples", 2000, "--json", tmp_path / "gems.json")
    assert result.exit_code == 0, result.output
    assert "1 hidden gems" in result.stdout
    assert "org/model-2" in result.stdout
    text = " ".join(result.stdout.split())
    assert "To beat: org/model-0, 60.00%, rank 2, 100 downloads" in text
    assert "2,000 resamples of the 10 queries (seed 0)" in text
    report = json.loads((tmp_path / "gems.json").read_text())
    (gem,) = report["gems"]
    assert (gem["model"], gem["rank"], gem["accuracy"]) == ("org/model-2", 1, 0.8)
    assert gem["lead"] == pytest.approx(0.2)
    # It is ahead of model 0 unless neither of the two queries that tell them apart is drawn: 0.8^10.
    assert gem["probability"] == pytest.approx(1 - 0.8**10, abs=5 * math.sqrt(0.107 * 0.893 / 2000))
    assert [one["model"] for one in report["popular"]] == ["org/model-0"]
    assert report["nearly"] == []
    assert report["metadata"][0]["num_known"] == 5


def test_a_model_that_is_one_in_some_resamples_only_nearly_is(gembench, save_npz, table):
    """Models 1 and 2 each beat model 0 by other queries; model 2 by fewer."""
    correct = np.zeros((3, 20), np.int8)
    correct[0, :8], correct[1, :8], correct[2, :8] = 1, 1, 1
    correct[1, 8:12], correct[2, 12:15] = 1, 1
    path = save_npz(correct)
    report = json.loads(gembench("gems", path, "--metadata", table({0: 9, 1: 1, 2: 2}), "--json", "-").stdout)
    assert [one["model"] for one in report["gems"]] == ["org/model-1"]
    (nearly,) = report["nearly"]
    assert nearly["model"] == "org/model-2"
    # Of 20 draws, 4/20 fall to what model 1 alone knows and 3/20 to model 2: the latter is a gem if it has as many.
    rng = np.random.default_rng(1)
    one, two, _ = rng.multinomial(20, [4 / 20, 3 / 20, 13 / 20], size=200_000).T
    expected = ((two >= one) & (two > 0)).mean()
    # 5 standard errors of 10,000 resamples: one in two million.
    assert nearly["probability"] == pytest.approx(expected, abs=5 * math.sqrt(0.25 / 10_000))


def test_unknown_downloads_are_refused_in_one_line_that_says_what_to_do(gembench, answers, table):
    nothing = gembench("gems", answers)
    assert nothing.exit_code == 2
    assert "says nothing of downloads" in nothing.stderr
    some = gembench("gems", answers, "--metadata", table({0: 100, 1: 5, 2: 7}))
    assert some.exit_code == 2
    assert "the downloads of 2 of 5 models are unknown, first of 'org/model-3'" in some.stderr
    for result in (nothing, some):
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) == 1
        assert "--metadata FILE.csv or --hub-metadata" in result.stderr


def test_models_of_unknown_downloads_are_left_out_if_asked(gembench, answers, table):
    arguments = ("gems", answers, "--metadata", table({0: 100, 1: 5, 3: 7}), "--known-only", "--resamples", 100)
    result = gembench(*arguments)
    assert result.exit_code == 0, result.output
    assert "no hidden gem" in " ".join(result.stdout.split())
    assert "2 models of unknown downloads are left out" in result.stdout
    report = json.loads(gembench(*arguments, "--json", "-").stdout)
    assert report["left_out"] == ["org/model-2", "org/model-4"]
    assert report["num_models"] == 3


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(gembench):
    arguments = ("gems", "qwen2.5-3b", "--resamples", 300, "--json", "-", "--seed")
    first, again, other = (gembench(*arguments, seed).stdout for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_tables_fit_into_80_columns(gembench):
    result = gembench("gems", "qwen2.5-3b", "--resamples", 100, env={"COLUMNS": "80"})
    assert max(map(len, result.stdout.splitlines())) <= 80
