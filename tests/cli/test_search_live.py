"""`gembench search` with the scripted engine: what lands in the tensor, who fails, who joins, and what is paid for."""

import json
from itertools import pairwise

import numpy as np
import pytest
from needs import needs_harness

from gembench.data.tensor import open_tensor

pytestmark = needs_harness
NAMES = tuple(f"org/{letter}" for letter in "abcdefgh")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "out.zarr"


@pytest.fixture
def search(gembench, store):
    """`gembench search` of models with the scripted engine: its exit code, its report if it has one, its stderr."""

    def run(*arguments, models=NAMES, engine="scripted", output=store, suite="smoke"):
        path = store.with_name("report.json")
        path.unlink(missing_ok=True)
        result = gembench(
            "search", "-m", ",".join(models), "-s", suite, "-e", engine, "-o", output, "--json", path, *arguments
        )
        report = json.loads(path.read_text()) if path.exists() else None
        return result.exit_code, report, result.stderr

    return run


def cells(store):
    """{(model, query): answer} of a published tensor."""
    opened = open_tensor(store)
    answers = opened["correct"].values
    models, queries = np.nonzero(answers >= 0)
    names = opened["model"].values
    return {
        (names[model], int(query)): int(answers[model, query]) for model, query in zip(models, queries, strict=True)
    }


def test_what_was_asked_is_a_partial_tensor_that_can_be_simulated(search, gembench, store):
    exit_code, report, said = search("-n", 10)
    assert exit_code == 0, said
    assert report["pulls"] == report["new_cells"] <= report["budget"] == 80
    assert len(cells(store)) == report["pulls"]
    assert set(report["recommended"]) == set(NAMES)
    tensor = open_tensor(store)
    assert tensor.sizes == {"model": 8, "query": 200}
    assert tensor.attrs["suite"]["suite"] == "smoke"
    assert tensor.attrs["content_digest"] == report["card"]["content_digest"]
    simulated = gembench(
        "simulate", store, "-p", "uniform", "-n", 2, "--runs", 2, "--min-coverage", "0.001", "--json", "-"
    )
    assert simulated.exit_code == 0, simulated.stderr
    (row,) = json.loads(simulated.stdout)["rows"]
    assert row["budget"] == 2 * 8


def test_a_live_search_decides_as_a_replay_of_the_whole_recording_does(search, gembench, store):
    whole = store.with_name("whole.zarr")
    gembench("record", "-m", ",".join(NAMES), "-s", "smoke", "-e", "scripted", "-o", whole)
    for policy in ("sequential_halving", "ucb_e"):
        _, live, said = search("-p", policy, "-n", 6, "--seed", 3, "--run", 1)
        replayed = gembench(
            *("search", "-e", "replay", "--tensor", whole, "-p", policy, "-n", 6, "--seed", 3, "--run", 1),
            *("--json", "-"),
        )
        assert replayed.exit_code == 0, replayed.stderr
        report = json.loads(replayed.stdout)
        for key in ("decision_digest", "recommended", "pulls", "stages"):
            assert live[key] == report[key], said


def test_the_same_search_again_asks_nothing_and_a_larger_one_goes_on_with_the_cells(search, store):
    _, first, _ = search("-n", 6)
    paid = cells(store)
    _, again, _ = search("-n", 6)
    assert again["new_cells"] == 0
    for key in ("decision_digest", "recommended", "pulls", "model_loads", "seconds"):
        assert again[key] == first[key]
    assert cells(store) == paid
    exit_code, larger, _ = search("-n", 20)
    assert exit_code == 0
    assert 0 < larger["new_cells"] < larger["pulls"]
    assert cells(store).items() >= paid.items()
    assert len(cells(store)) == len(paid) + larger["new_cells"]


def test_a_recording_completes_a_search_and_then_searches_cost_nothing(search, gembench, store):
    _, first, _ = search("-n", 6)
    paid = cells(store)
    recorded = gembench("record", "-m", ",".join(NAMES), "-s", "smoke", "-e", "scripted", "-o", store)
    assert recorded.exit_code == 0, recorded.stderr
    assert f"{8 * 200 - len(paid):,} cells in" in recorded.stdout
    assert len(cells(store)) == 8 * 200
    assert cells(store).items() >= paid.items()
    simulated = gembench("simulate", store, "-p", "uniform", "-n", 5, "--runs", 2)
    assert simulated.exit_code == 0, simulated.stderr
    _, again, _ = search("-n", 6)
    assert (again["new_cells"], again["decision_digest"]) == (0, first["decision_digest"])
    assert search("-n", 40)[1]["new_cells"] == 0


def test_a_store_of_other_settings_is_refused_and_left_as_it_was(search, gembench, store):
    search("-n", 6)
    paid = cells(store)
    for other in (
        search("-n", 6, "--queries-per-task", 20),
        search("-n", 6, engine="scripted:max_characters=9999"),
    ):
        exit_code, report, said = other
        assert (exit_code, report) == (2, None)
        assert said.splitlines()[-1].endswith("record into another store.")
    replayed = gembench("search", "-e", "replay", "--tensor", "mistral-7b", "-n", 1, "-o", store)
    assert replayed.exit_code == 2
    assert "record into another store" in replayed.stderr
    assert cells(store) == paid


def test_models_that_fail_are_named_and_never_recommended(search, store):
    exit_code, report, said = search(
        *("-n", 10, "--answer-timeout", 1), engine="scripted:failures=org/b=gated,crashes=org/d,hangs=org/g"
    )
    assert exit_code == 3, said
    assert {(failure["model"], failure["status"]) for failure in report["failed"]} == {
        ("org/b", "gated"),
        ("org/d", "engine_crashed"),
        ("org/g", "timeout"),
    }
    assert all(failure["message"] for failure in report["failed"])
    assert set(report["recommended"]) == set(NAMES) - {"org/b", "org/d", "org/g"}
    # What the three would have had is the others': the race is planned anew over five models.
    assert report["stages"][0]["num_models"] == 5
    assert report["pulls"] > 6 * 10
    assert not {model for model, _ in cells(store)} & {"org/b", "org/d", "org/g"}
    for line in ("org/b: gated:", "org/d: engine_crashed:", "org/g: timeout:"):
        assert sum(line in said_line for said_line in said.splitlines()) == 1
    status = dict(zip(open_tensor(store)["model"].values, open_tensor(store)["model_status"].values, strict=True))
    assert [status[name] for name in ("org/a", "org/b", "org/d", "org/g")] == [
        *("ok", "gated", "engine_crashed", "timeout")
    ]


def test_failed_models_stay_out_until_they_are_to_be_tried_again(search):
    _, _, _ = search("-n", 10, engine="scripted:failures=org/b=gated")
    exit_code, report, said = search("-n", 10)
    assert exit_code == 3
    assert report["new_cells"] == 0
    assert [failure["model"] for failure in report["failed"]] == ["org/b"]
    exit_code, report, said = search("-n", 10, "--retry-failed")
    assert exit_code == 0, said
    assert report["failed"] == []
    assert "org/b" in report["recommended"]


def test_if_every_model_fails_the_last_line_says_how_and_what_to_do(search):
    for _ in range(2):  # the second time out of the journal
        exit_code, report, said = search(
            "-n", 4, models=NAMES[:2], engine="scripted:failures=org/a=gated,crashes=org/b"
        )
        assert (exit_code, report) == (1, None)
        assert "Traceback" not in said
        errors = [line for line in said.splitlines() if line.startswith("gembench: error: ")]
        assert errors == said.splitlines()[-1:]
        assert "all 2 models failed" in errors[0]
        assert "org/a: gated: fails as the script says" in errors[0]
        assert "--retry-failed" in errors[0]


def test_a_base_that_fails_costs_the_comparison_and_not_the_search(search):
    exit_code, report, said = search(
        *("-n", 10, "--base", "org/b", "--verify", 5), engine="scripted:failures=org/b=gated"
    )
    assert exit_code == 3, said
    assert len(report["recommended"]) == 7
    assert report["card"]["verification"] is None
    assert "gembench: --base org/b could not be measured: the winner is held against nothing." in said.splitlines()


def test_new_models_are_named_and_join_only_with_watch(search, store):
    _, first, _ = search("-n", 10)
    paid = cells(store)
    more = (*NAMES, "org/i", "org/j")
    _, without, said = search("-n", 10, models=more)
    assert "gembench: 2 models are new since this search began; --watch lets them join." in said.splitlines()
    assert (without["new_cells"], without["decision_digest"]) == (0, first["decision_digest"])
    assert not {"org/i", "org/j"} & set(without["recommended"])
    exit_code, joined, said = search("-n", 10, "--watch", models=more)
    assert exit_code == 0, said
    assert {"org/i", "org/j"} <= set(joined["recommended"])
    assert "--watch" not in said
    assert joined["budget"] == first["budget"]
    # Nothing is asked again, and only the two pay, and whoever meets them.
    assert cells(store).items() >= paid.items()
    assert len(cells(store)) == len(paid) + joined["new_cells"]
    of_newcomers = sum(model in ("org/i", "org/j") for model, _ in cells(store))
    assert of_newcomers <= joined["new_cells"] < joined["pulls"] / 2
    _, stays, said = search("-n", 10, models=more)
    assert (stays["new_cells"], stays["decision_digest"]) == (0, joined["decision_digest"])
    assert "--watch" not in said


def test_a_model_that_leaves_the_list_stays_in_the_search_that_it_began_with(search):
    _, first, _ = search("-n", 10)
    _, again, _ = search("-n", 10, models=NAMES[:5])
    assert (again["new_cells"], again["decision_digest"]) == (0, first["decision_digest"])
    assert set(again["recommended"]) == set(NAMES)


def test_a_budget_of_seconds_stays_what_it_was_when_the_search_is_begun_again(search):
    # By these rates, (64 s - 8 x 3 s) / 1 s = 40 answers, whatever the scripted engine really takes.
    rates = ("--seconds-per-load", 3, "--seconds-per-query", 1)
    for new_cells in (40, 0):
        exit_code, report, said = search("-p", "uniform", "--budget-seconds", 64, *rates)
        assert exit_code == 0, said
        assert (report["budget"], report["pulls"], report["new_cells"]) == (40, 40, new_cells)


def test_a_search_out_of_seconds_ends_with_a_ranking_and_begun_again_ends_where_it_did(search):
    arguments = ("-p", "ucb_e", "--budget-seconds", "0.5", "--seconds-per-load", 0, "--seconds-per-query", "0.001")
    engine = "scripted:seconds_per_request=0.02"
    exit_code, report, said = search(*arguments, engine=engine)
    assert exit_code == 0, said
    assert report["ended"] == "seconds"
    assert 8 <= report["pulls"] <= 8 + 0.5 / 0.02 < report["budget"]
    assert report["seconds"] >= 0.5
    exit_code, again, said = search(*arguments, engine=engine)
    assert exit_code == 0, said
    assert again["new_cells"] == 0
    for key in ("ended", "decision_digest", "recommended", "pulls", "seconds"):
        assert again[key] == report[key]


def test_verification_pays_for_its_queries_once(search, store):
    _, report, said = search("-n", 6, "--base", "org/a", "--verify", 10)
    verification = report["card"]["verification"]
    assert verification["num_queries"] == 10, said
    assert report["new_cells"] == report["pulls"] + 20 == len(cells(store))
    _, again, _ = search("-n", 6)
    assert (again["new_cells"], again["decision_digest"]) == (0, report["decision_digest"])


@pytest.mark.parametrize("num_workers", [1, 3])
def test_workers_change_nothing_but_the_time(search, num_workers):
    _, report, said = search("-n", 12, "-p", "sequential_halving", "--num-workers", num_workers)
    assert [stage["num_models"] for stage in report["stages"]] == [8, 4, 2], said
    assert all(first["num_models"] > second["num_models"] for first, second in pairwise(report["stages"]))


def test_a_dry_run_needs_no_store_and_leaves_none(gembench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = (
        "search",
        "-m",
        ",".join(NAMES),
        "-s",
        "smoke",
        "-e",
        "scripted",
        "-p",
        "uniform",
        "-n",
        5,
        "--dry-run",
    )
    for output in ((), ("-o", "out.zarr")):
        result = gembench(*arguments, *output, "--json", "-")
        assert result.exit_code == 0, result.stderr
        plan = json.loads(result.stdout)
        assert (plan["num_models"], plan["num_queries"], plan["pulls"], plan["model_loads"]) == (8, 200, 40, 8)
        assert plan["exhaustive_pulls"] == 1600
        assert not list(tmp_path.iterdir())


def test_a_dry_run_says_which_models_cannot_run(gembench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("pickled", "again"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
        (tmp_path / name / "pytorch_model.bin").write_bytes(b"x")
    before = sorted(tmp_path.rglob("*"))
    result = gembench("search", "-m", "pickled,again", "-s", "smoke", "-n", 5, "--dry-run")
    assert result.exit_code == 1
    assert result.stderr.startswith("gembench: error: none of 2 models can run; the first, pickled: unsafe_format:")
    assert sorted(tmp_path.rglob("*")) == before
