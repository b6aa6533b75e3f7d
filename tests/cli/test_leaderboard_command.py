"""`gembench leaderboard`, on a benchmark of one small tensor: what is printed, written and read again."""

import dataclasses
import json

import pytest

from gembench.leaderboard import benchmark as benchmarks


@pytest.fixture
def small_benchmark(monkeypatch, small):
    """The public benchmark's settings but for the tensor, the budget and the runs."""
    public = benchmarks.load_benchmark()
    tiny = dataclasses.replace(public, queries_per_model=(4,), runs=30)
    private = benchmarks.private_benchmark(tiny, small.parent)
    monkeypatch.setattr(benchmarks, "load_benchmark", lambda: private)
    return private


def test_policies_are_placed_and_their_results_make_the_same_standing_again(small_benchmark, gembench, tmp_path):
    arguments = ("uniform", "accelerated_sequential_halving", "--results", tmp_path / "results", "--json", "-")
    scored = gembench("leaderboard", "score", *arguments)
    assert scored.exit_code == 0, scored.stderr
    standing = json.loads(scored.stdout)
    names = {entry["name"] for entry in standing["entries"]}
    assert names == {"uniform", "accelerated_sequential_halving", "sequential_halving"}
    (reference,) = (entry for entry in standing["entries"] if entry["name"] == "sequential_halving")
    assert reference["rank"]["value"] == 1
    files = sorted((tmp_path / "results").iterdir())
    assert [file.name for file in files] == sorted(f"{name}.json" for name in names)
    shown = gembench("leaderboard", "show", *files, "--json", "-")
    assert shown.exit_code == 0, shown.stderr
    assert json.loads(shown.stdout) == standing
    table = gembench("leaderboard", "show", *files)
    assert "Benchmark 1-private" in table.stdout
    assert all(len(line) <= 80 for line in table.stdout.splitlines())


def test_results_without_the_reference_or_of_no_policy_are_refused_in_one_line(small_benchmark, gembench, tmp_path):
    gembench("leaderboard", "score", "uniform", "--results", tmp_path)
    alone = gembench("leaderboard", "show", tmp_path / "uniform.json")
    assert alone.exit_code
    assert "sequential_halving" in alone.stderr
    (tmp_path / "broken.json").write_text("{")
    broken = gembench("leaderboard", "show", tmp_path / "broken.json")
    assert broken.exit_code
    assert "broken.json" in broken.stderr
    for result in (alone, broken):
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith("gembench: error: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("score", "unifrm"), "uniform"),
        (("score", "uniform", "--json", "nowhere/out.json"), "nowhere"),
        (("score", "uniform", "--results", "/dev/null/results"), "/dev/null/results"),
        (("show",), "RESULT"),
        (("show", "nothing.json"), "nothing.json"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_scored(gembench, arguments, said):
    refused = gembench("leaderboard", *arguments)
    assert refused.exit_code == 2
    assert said in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
