"""`gembench leaderboard`, on a benchmark of one small tensor: what is printed, written and read again."""

import dataclasses
import json
import re
import tomllib

import numpy as np
import pytest
from needs import needs_bwrap

from gembench.experiment import make_policies
from gembench.leaderboard import benchmark as benchmarks
from gembench.leaderboard import catalog
from gembench.leaderboard.field import score_field
from gembench.leaderboard.result_file import to_json

NAMES = ("uniform", "sequential_halving", "accelerated_sequential_halving")


@pytest.fixture
def small_benchmark(monkeypatch, small):
    """The public benchmark's settings but for the tensor, the budget and the runs."""
    public = benchmarks.load_benchmark()
    tiny = dataclasses.replace(public, queries_per_model=(4,), runs=30)
    (tensor,) = benchmarks.private_benchmark(tiny, small.parent).tensors
    tiny = dataclasses.replace(tiny, version="tiny", tensors=(dataclasses.replace(tensor, name=str(small)),))
    monkeypatch.setattr(benchmarks, "load_benchmark", lambda: tiny)
    return tiny


@pytest.fixture
def board(small_benchmark, monkeypatch, gembench, tmp_path):
    """A leaderboard with a catalog of three policies, whose results are published, and a folder for submissions."""
    results, submissions = tmp_path / "catalog", tmp_path / "policies" / "submissions"
    races = benchmarks.open_races(small_benchmark)
    results.mkdir()
    policies = make_policies(NAMES)
    for each in score_field(small_benchmark, races, policies, (), seconds=60):
        (results / f"{each.scores.name}.json").write_text(to_json(each))
    monkeypatch.setattr(catalog, "RESULTS", results)
    monkeypatch.setattr(catalog, "published_policies", lambda: policies)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "catalog.py").touch()
    return submissions


FIRST_ONLY = """
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp

from gembench.policy import Ask, Stage, TallyOnly, mean_accuracy


@dataclass(frozen=True)
class FirstOnly(TallyOnly):
    \"\"\"Asks the first model alone.\"\"\"

    share: float = 1.0
    sampling: ClassVar[str] = "shared"

    def plan(self, problem):
        return (Stage(1, min(problem.num_queries, int(self.share * problem.budget))),)

    def ask(self, rng_key, step, tally, memory):
        return Ask(jnp.zeros(1, jnp.int32), jnp.array([self.plan(step.problem)[0].max_queries], jnp.int32))

    def recommend(self, rng_key, problem, tally, memory):
        return tally.pulls
"""


@pytest.fixture
def policy_file(tmp_path):
    path = tmp_path / "first.py"
    path.write_text(FIRST_ONLY)
    return path


CARD = ("--author", "A. Newcomer", "--license", "mit", "--source", "original")


def test_policies_are_placed_and_their_results_make_the_same_standing_again(board, gembench, tmp_path):
    arguments = ("uniform", "accelerated_sequential_halving", "--results", tmp_path / "results", "--json", "-")
    scored = gembench("leaderboard", "score", *arguments)
    assert scored.exit_code == 0, scored.stderr
    standing = json.loads(scored.stdout)
    names = {entry["name"] for entry in standing["entries"]}
    assert names == {"uniform", "accelerated_sequential_halving", "sequential_halving"}
    (reference,) = (entry for entry in standing["entries"] if entry["name"] == "sequential_halving")
    assert reference["rank"]["value"] == 1
    files = sorted((tmp_path / "results").iterdir())
    assert [file.name for file in files] == ["accelerated_sequential_halving.json", "uniform.json"]
    shown = gembench("leaderboard", "show", "--json", "-")
    assert shown.exit_code == 0, shown.stderr
    assert json.loads(shown.stdout) == standing
    table = gembench("leaderboard", "show", *files, tmp_path / "catalog" / "sequential_halving.json")
    assert "Benchmark tiny" in table.stdout
    assert all(len(line) <= 80 for line in table.stdout.splitlines())


def test_results_without_the_reference_or_of_no_policy_are_refused_in_one_line(board, gembench, tmp_path):
    alone = gembench("leaderboard", "show", tmp_path / "catalog" / "uniform.json")
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
        (("score", "nothing.py"), "nothing.py: cannot be read"),
        (("score", "nothing.py:no-class"), "'no-class' is no name of a class"),
        (("score", "uniform", "--private", "nowhere"), "nowhere"),
        (("score", "uniform", "--history", "qwen2.5-3b"), "--history is for --private FOLDER"),
        (("submit", "nothing.py", "--author", "A", "--license", "MIT", "--source", "B"), "nothing.py: cannot be read"),
        (("submit", "nothing.py"), "--author"),
        (("verify", "unifrm"), "did you mean uniform"),
        (("show", "--submissions", "nowhere"), "nowhere"),
        (("show", "nothing.json"), "nothing.json"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_scored(gembench, arguments, said):
    refused = gembench("leaderboard", *arguments)
    assert refused.exit_code == 2
    assert said in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@needs_bwrap
def test_a_file_becomes_an_entry_that_is_verified_and_built(board, gembench, policy_file, tmp_path):
    submitted = gembench("leaderboard", "submit", f"{policy_file}:FirstOnly:share=0.5", *CARD)
    assert submitted.exit_code == 0, submitted.stderr
    assert "first_only: place" in submitted.stdout
    assert all(len(line) <= 80 for line in submitted.stdout.splitlines() if "Written" not in line)
    entry = board / "first_only"
    assert sorted(place.name for place in entry.iterdir()) == ["card.toml", "policy.py", "result.json"]
    assert (entry / "policy.py").read_text() == FIRST_ONLY
    card = tomllib.loads((entry / "card.toml").read_text())
    assert card["license"] == "MIT"
    assert card["description"] == "Asks the first model alone."
    assert card["hyper_parameters"] == {"share": 0.5}
    standing = json.loads(gembench("leaderboard", "show", "--json", "-").stdout)
    assert "first_only" in {entry["name"] for entry in standing["entries"]}
    (pulls,) = (each["cells"][0]["pulls"]["value"] for each in standing["entries"] if each["name"] == "first_only")
    assert pulls == 16  # half of 4 queries for each of 8 models

    verified = gembench("leaderboard", "verify", "--json", "-")
    assert verified.exit_code == 0, verified.stdout + verified.stderr
    assert {each["name"]: each["agreement"] for each in json.loads(verified.stdout)} == dict.fromkeys(
        ("uniform", "sequential_halving", "accelerated_sequential_halving", "first_only"), "same bits"
    )

    built = gembench("leaderboard", "build", "-o", tmp_path / "site")
    assert built.exit_code == 0, built.stderr
    assert "A. Newcomer" in (tmp_path / "site" / "index.html").read_text()

    again = gembench("leaderboard", "submit", policy_file, *CARD)
    assert again.exit_code == 2
    assert len(again.stderr.splitlines()) == 1


@needs_bwrap
def test_an_entry_that_was_touched_is_found_out(board, gembench, policy_file):
    gembench("leaderboard", "submit", policy_file, *CARD)
    result = board / "first_only" / "result.json"
    document = json.loads(result.read_text())
    document["cells"][0]["rank"][7] = document["cells"][0]["rank"][7] % 8 + 1
    result.write_text(json.dumps(document))
    forged = gembench("leaderboard", "verify", "first_only")
    assert forged.exit_code == 1
    said = " ".join(forged.stdout.split())
    assert "differs" in said
    assert "run 7" in said

    (board / "first_only" / "policy.py").write_text(FIRST_ONLY.replace("tally.pulls", "-tally.pulls"))
    other = gembench("leaderboard", "verify", "first_only")
    assert other.exit_code == 1
    assert "file_sha256" in other.stderr


@needs_bwrap
def test_hidden_tensors_are_named_by_their_digests_alone(board, gembench, policy_file, small, tmp_path):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    small.rename(hidden / "very-secret-name.npz")
    arguments = ("--private", hidden, "--results", tmp_path / "results")
    scored = gembench("leaderboard", "score", policy_file, *arguments)
    assert scored.exit_code == 0, scored.stderr
    files = sorted((tmp_path / "results").iterdir())
    assert [file.name for file in files] == ["FirstOnly.json", "sequential_halving.json"]
    for text in (scored.stdout, *(file.read_text() for file in files)):
        assert "secret" not in text
    digest = json.loads(files[0].read_text())["cells"][0]["tensor"]
    assert digest.startswith("sha256:")
    shown = gembench("leaderboard", "show", *files)
    assert shown.exit_code == 0, shown.stderr
    assert "Benchmark tiny-private" in shown.stdout


def test_policies_of_the_catalog_that_choose_queries_are_scored_by_name_with_a_history(
    board, gembench, small, tmp_path
):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    with np.load(small) as race:
        models = [f"elder-{number}" for number in range(len(race["models"]))]
        past = {"correct": race["correct"][:, ::-1], "models": np.array(models), "queries": race["queries"]}
    np.savez(tmp_path / "past.npz", **past)
    (hidden / "tensor.npz").write_bytes(small.read_bytes())
    arguments = ("--private", hidden, "--history", tmp_path / "past.npz", "--results", tmp_path / "results")
    scored = gembench("leaderboard", "score", "model_selector", *arguments, "--json", "-")
    assert scored.exit_code == 0, scored.stderr
    assert f"the history is {len(models)} other models on" in scored.stderr
    standing = json.loads(scored.stdout)
    assert re.fullmatch("tiny-private-history-[0-9a-f]{8}", standing["benchmark"])
    distinct = {entry["name"]: entry["cells"][0]["distinct_queries"] for entry in standing["entries"]}
    assert distinct["model_selector"]["value"] == 4  # each is asked of all 8 models
    assert distinct["sequential_halving"] is None
    files = sorted((tmp_path / "results").iterdir())
    shown = gembench("leaderboard", "show", *files)
    assert shown.exit_code == 0, shown.stderr
    assert standing["benchmark"] in shown.stdout
    built = gembench("leaderboard", "build", "-o", tmp_path / "site", *(f"--private-result={file}" for file in files))
    assert built.exit_code == 0, built.stderr


@needs_bwrap
def test_a_policy_that_breaks_the_contract_is_refused_by_name(board, gembench, policy_file):
    policy_file.write_text(FIRST_ONLY.replace("[0].max_queries]", "[0].max_queries + 1]"))
    broken = gembench("leaderboard", "score", policy_file)
    assert broken.exit_code == 1
    assert "FirstOnly broke the contract" in broken.stderr
    assert len(broken.stderr.splitlines()) == 1


def test_an_entry_is_written_where_a_checkout_is_or_where_it_is_told(monkeypatch, gembench, tmp_path, policy_file):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gembench.cli.leaderboard_options._PACKAGE", tmp_path / "site-packages" / "gembench")
    refused = gembench("leaderboard", "submit", policy_file, *CARD)
    assert refused.exit_code == 2
    assert "is no checkout of gembench" in refused.stderr
    assert [place.name for place in tmp_path.iterdir()] == ["first.py"]
