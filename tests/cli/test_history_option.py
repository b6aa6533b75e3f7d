"""`gembench simulate --history --prior`: the race of `knowing`, on which can be told by hand what a policy learns."""

import csv
import json

import numpy as np
import pytest
from knowing import CORRECT, HISTORY, HISTORY_QUERIES, MODELS, QUERIES, AskWhereOthersWereRight, WarmsUp

from gembench.data.families import make_family
from gembench.load_race import load_race
from gembench.policies.catalog import CATALOG


@pytest.fixture(autouse=True)
def knowing(monkeypatch):
    """The catalog has two more policies."""
    more = {"ask_others": AskWhereOthersWereRight, "warms_up": WarmsUp}
    monkeypatch.setattr("gembench.policies.catalog.CATALOG", {**CATALOG, **more})


@pytest.fixture
def race(save_npz):
    return save_npz(CORRECT, "race.npz", models=np.array(MODELS), queries=np.array(QUERIES))


@pytest.fixture
def history(save_npz):
    names = np.array(["other/a", "other/b", "other/c"])
    return save_npz(HISTORY, "others.npz", models=names, queries=np.array(HISTORY_QUERIES))


def rows_of(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["rows"]


def test_policies_that_can_use_a_history_learn_from_it_and_the_report_says_so(gembench, race, history):
    policies = ("-p", "ask_others", "-p", "warms_up", "-p", "uniform")
    result = gembench("simulate", race, *policies, "-n", 1, "--runs", 4, "--history", history, "--json", "-")
    rows = rows_of(result)
    digest = load_race(str(history)).digest
    for row in rows[:2]:
        # Model 2 alone is right where all others were, and three models are better.
        assert (row["mean_rank"], row["distinct_queries_mean"]) == (4, 1)
        assert (row["history_tensors"], row["history"]) == ([str(history)], [digest])
    assert rows[2]["history"] == []
    assert "the history is 3 other models on 20 of the 20 queries" in result.stderr


def test_the_table_says_who_knew_what_in_80_columns(gembench, race, history, tmp_path):
    prior = tmp_path / "prior.csv"
    prior.write_text("model,value\norg/model-5,1\n")
    result = gembench(
        *("simulate", race, "-p", "ask_others", "-p", "warms_up", "-p", "uniform", "-n", 1, "--runs", 4),
        *("--history", history, "--prior", prior),
    )
    assert result.exit_code == 0
    note = " ".join(result.stdout.split())
    assert "Known beforehand to ask_others, warms_up: what other models answered (" in note
    assert "and the prior" in note
    for line in result.stdout.splitlines():
        assert len(line) <= 80 or str(tmp_path)[:20] in line


def test_without_either_nothing_is_said_of_what_is_known(gembench, race):
    result = gembench("simulate", race, "-p", "ask_others", "-n", 1, "--runs", 4)
    assert "beforehand" not in result.output
    assert result.stderr == ""


def test_a_prior_from_a_table_reaches_the_policy_without_a_history(gembench, race, tmp_path):
    prior = tmp_path / "prior.csv"
    prior.write_text("model,value\norg/model-0,1.5\norg/model-4,\n")
    (row,) = rows_of(
        gembench("simulate", race, "-p", "ask_others", "-n", 1, "--runs", 4, "--prior", prior, "--json", "-")
    )
    # Model 0 has nothing right; the race's worst is recommended for the prior's sake.
    assert (row["mean_rank"], row["prior"], row["history"]) == (6, str(prior), [])


def test_that_no_policy_can_use_what_is_known_is_said(gembench, simulator, race, history):
    result = gembench("simulate", race, "-p", "uniform", "-n", 1, "--history", history)
    assert result.exit_code == 0
    assert "none of these policies can use what is known beforehand" in result.stderr
    assert simulator.calls[0]["background"] is None


def test_several_histories_are_one(gembench, race, save_npz, history):
    # Six more models answer query 0 right: now that is the one that most others have right.
    more = np.zeros((6, 12), np.int8)
    more[:, 0] = 1
    more[:, 1:7] = np.eye(6)
    names = np.array([f"more/{model}" for model in range(6)])
    second = save_npz(more, "more.npz", models=names, queries=np.array(QUERIES[:12]))
    options = ("-p", "ask_others", "-n", 1, "--runs", 200, "--json", "-")
    result = gembench("simulate", race, *options, "--history", history, "--history", second)
    (row,) = rows_of(result)
    assert "the history is 9 other models on 20 of the 20 queries" in result.stderr
    # Models 1 to 5 tie on it, and their ranks are 5 to 1: on average 3, with a standard error of 0.1. Five of these are
    # passed once in two million.
    assert 2.5 < row["mean_rank"] < 3.5
    assert len(row["history"]) == 2


def test_a_family_races_with_its_history(gembench, save_npz, tmp_path):
    rng = np.random.default_rng(3)
    correct = (rng.random((30, 40)) < rng.random(40)).astype(np.uint8)
    family = make_family(correct, 1, num_models=8, num_queries=30, num_histories=20)
    models, queries = (
        np.array([f"{kind}-{number}" for number in range(size)]) for kind, size in (("m", 30), ("q", 40))
    )
    race = save_npz(
        correct[np.ix_(family.models, family.queries)],
        "family.npz",
        models=models[family.models],
        queries=queries[family.queries],
    )
    others = save_npz(correct[family.history], "others.npz", models=models[family.history], queries=queries)
    result = gembench(
        *("simulate", race, "-p", "ask_others", "-n", 1, "--runs", 3, "--history", others, "--json", "-"),
        *("--runs-out", tmp_path / "runs.csv"),
    )
    (row,) = rows_of(result)
    # The query that most of the history has right, and who of the family has it right.
    in_race = correct[family.history][:, family.queries].sum(axis=0).argmax()
    is_right = correct[np.ix_(family.models, family.queries)][:, in_race]
    assert row["num_models"] == 8
    with (tmp_path / "runs.csv").open() as file:
        runs = list(csv.DictReader(file))
    right = {str(models[model]) for model, each in zip(family.models, is_right, strict=True) if each == is_right.max()}
    assert {run["recommended"] for run in runs} <= right
    assert [(run["pulls"], run["distinct_queries"]) for run in runs] == [("8", "1.0")] * 3


def test_a_row_can_be_run_again_from_its_own_fields(gembench, race, history, tmp_path):
    prior = tmp_path / "prior.csv"
    prior.write_text("model,value\norg/model-1,0.5\n")
    (row,) = rows_of(
        gembench(
            *("simulate", race, "-p", "ask_others", "-n", 1, "--runs", 4, "--json", "-"),
            *("--history", history, "--prior", prior),
        )
    )
    again = ("--history", *row["history_tensors"], "--prior", row["prior"])
    (same,) = rows_of(
        gembench("simulate", row["tensor"], "-p", row["policy"], "-n", 1, "--runs", 4, "--json", "-", *again)
    )
    assert {**same, "wall_seconds": 0} == {**row, "wall_seconds": 0}


def test_distinct_queries_are_in_the_table_where_there_is_room(gembench, race, history):
    options = ("simulate", race, "-p", "ask_others", "-p", "uniform", "-n", 1, "--runs", 20)
    roomy = gembench(*options, "--top-k", 1).stdout
    assert "queries" in next(line for line in roomy.splitlines() if line.startswith("policy"))
    assert max(len(line) for line in roomy.splitlines() if str(race) not in line) <= 80
    narrow = gembench(*options, "--top-k", "1,2").stdout
    assert "queries" not in next(line for line in narrow.splitlines() if line.startswith("policy"))


@pytest.mark.parametrize(
    ("options", "exit_code", "expected"),
    [
        (("--history", "gone.zarr"), 2, "gone.zarr"),
        (("--history", "{race}"), 2, "'org/model-0' is 'org/model-0' of the race (and 5 more are there)"),
        (("--history", "{revised}"), 2, "'org/model-3@v2' is 'org/model-3' of the race"),
        (("--history", "{copy}"), 2, "'other/copy' answers all of the 20 shared queries that it answered just as"),
        (("--history", "{foreign}"), 2, "0 of the race's 20 queries are in it"),
        (("--history", "{history}", "--history", "{copy}"), 2, "just as 'org/model-4' of the race does"),
        (("--prior", "stars"), 2, "knows no 'stars' of its models"),
        (("--prior", "gone.csv"), 1, "gone.csv: cannot be read as a table"),
        (("--prior", "{bad_prior}"), 1, "line 2: 'many' is no number"),
    ],
)
def test_what_cannot_be_known_is_one_line_before_anything_runs(
    gembench, simulator, race, history, save_npz, tmp_path, options, exit_code, expected
):
    def save(name, correct, model, queries=QUERIES):
        return save_npz(correct, f"{name}.npz", models=np.array(["other/x", model]), queries=np.array(queries))

    (tmp_path / "bad.csv").write_text("model,value\norg/model-0,many\n")
    paths = {
        "race": race,
        "history": history,
        "revised": save("revised", np.zeros((2, 20), np.int8) + np.eye(2, 20, dtype=np.int8), "org/model-3@v2"),
        "copy": save("copy", [np.arange(20) % 2, CORRECT[4]], "other/copy"),
        "foreign": save("foreign", np.eye(2, 20, dtype=np.int8), "other/y", [f"other/{query}" for query in range(20)]),
        "bad_prior": tmp_path / "bad.csv",
    }
    result = gembench("simulate", race, "-p", "ask_others", "-n", 1, *(option.format(**paths) for option in options))
    assert result.exit_code == exit_code
    (line,) = [line for line in result.stderr.splitlines() if line]
    assert line.startswith("gembench: error: ")
    assert expected in line
    assert simulator.calls == []
