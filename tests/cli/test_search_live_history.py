"""`gembench search` with the scripted engine and what is known beforehand: decisions, resuming, newcomers, failures."""

import json

import numpy as np
import pytest
from knowing import AskWhereOthersWereRight
from needs import needs_harness

from gembench.data.schema import make_tensor
from gembench.data.tensor import open_tensor, write_tensor
from gembench.policies.catalog import CATALOG

pytestmark = needs_harness
NAMES = tuple(f"org/{letter}" for letter in "abcdefgh")
ALL = ",".join(NAMES)
OTHERS = tuple(f"other/{number}" for number in range(12))


@pytest.fixture(autouse=True)
def knowing(monkeypatch):
    """The catalog has one more policy: by the history it chooses one query, and by the prior whom it recommends."""
    monkeypatch.setattr("gembench.policies.catalog.CATALOG", {**CATALOG, "ask_others": AskWhereOthersWereRight})


@pytest.fixture
def store(tmp_path):
    return tmp_path / "out.zarr"


@pytest.fixture
def record(gembench, tmp_path):
    """Records models with the scripted engine; returns the tensor's path."""

    def run(models, name):
        path = tmp_path / name
        result = gembench("record", "-m", ",".join(models), "-s", "smoke", "-e", "scripted", "-o", path)
        assert result.exit_code == 0, result.stderr
        return path

    return run


@pytest.fixture
def others(record):
    return record(OTHERS, "others.zarr")


@pytest.fixture
def search(gembench, store):
    """`gembench search` of models with the scripted engine: its exit code, its report if it has one, its stderr."""

    def run(*arguments, models=ALL, engine="scripted", output=store, policy="gem"):
        path = store.with_name("report.json")
        path.unlink(missing_ok=True)
        result = gembench(
            *("search", "-m", models, "-s", "smoke", "-e", engine, "-p", policy, "-o", output, "--json", path),
            *arguments,
        )
        report = json.loads(path.read_text()) if path.exists() else None
        return result.exit_code, report, result.stderr

    return run


def only_error(said):
    """The one line that says what is wrong."""
    (line,) = [line for line in said.splitlines() if line.startswith("gembench: error: ")]
    assert said.splitlines()[-1] == line
    return line


def num_cells(store):
    return int((open_tensor(store)["correct"].values >= 0).sum())


def test_a_live_search_with_a_history_decides_as_a_replay_of_the_whole_recording_does(search, gembench, record, others):
    whole = record(NAMES, "whole.zarr")
    for policy in ("gem", "top_two_shared"):
        arguments = ("-n", 10, "--seed", 3, "--run", 1, "--history", others)
        exit_code, live, said = search(*arguments, policy=policy)
        assert exit_code == 0, said
        assert "gembench: smoke: the history is 12 other models on 200 of the 200 queries." in said.splitlines()
        replayed = gembench("search", "-e", "replay", "--tensor", whole, "-p", policy, *arguments, "--json", "-")
        assert replayed.exit_code == 0, replayed.stderr
        report = json.loads(replayed.stdout)
        for key in ("decision_digest", "recommended", "pulls", "stages"):
            assert live[key] == report[key]
        assert live["card"]["history"] == report["card"]["history"]


def test_begun_again_with_the_same_history_it_asks_nothing_and_with_another_it_is_refused(
    search, record, others, store
):
    _, first, _ = search("-n", 10, "--history", others)
    paid = num_cells(store)
    exit_code, again, said = search("-n", 10, "--history", others)
    assert (exit_code, again["new_cells"]) == (0, 0), said
    assert again["decision_digest"] == first["decision_digest"]
    fewer = record(OTHERS[:9], "fewer.zarr")
    for arguments, began in (
        (("--history", fewer), "began with another history"),
        (("--history", others, "--history", fewer), "began with another history"),
        ((), "began with a history, and would decide otherwise without; give it again"),
    ):
        exit_code, report, said = search("-n", 10, *arguments)
        assert (exit_code, report) == (2, None)
        assert f"{store}: this search {began}" in only_error(said)
    assert num_cells(store) == paid
    # Another run is another search over the same cells.
    exit_code, other, said = search("-n", 10, "--history", fewer, "--run", 1)
    assert exit_code == 0, said
    assert other["card"]["history"] != first["card"]["history"]


def test_a_search_that_began_without_a_history_is_refused_one(search, others):
    search("-n", 10)
    exit_code, report, said = search("-n", 10, "--history", others)
    assert (exit_code, report) == (2, None)
    assert "this search began without a history" in only_error(said)


def test_a_history_that_holds_a_model_of_the_search_is_refused_before_anything_is_on_the_disk(
    search, gembench, record, store
):
    mixed = record((*OTHERS, "org/c"), "mixed.zarr")
    exit_code, report, said = search("-n", 10, "--history", mixed)
    assert (exit_code, report) == (2, None)
    assert "its model 'org/c' is 'org/c' of the race" in only_error(said)
    assert not list(store.parent.glob("out*"))
    dry = gembench(
        *("search", "-m", ",".join(NAMES), "-s", "smoke", "-e", "scripted", "-p", "gem", "-n", 10, "--dry-run"),
        *("--history", mixed),
    )
    assert "its model 'org/c' is 'org/c' of the race" in only_error(dry.stderr)


def test_a_history_of_another_suite_is_refused(search, store, tmp_path):
    rng = np.random.default_rng(0)
    foreign = make_tensor(rng.integers(0, 2, (4, 30)).astype(np.int8), OTHERS[:4], [f"q{each}" for each in range(30)])
    write_tensor(foreign, tmp_path / "foreign.zarr")
    exit_code, _, said = search("-n", 10, "--history", tmp_path / "foreign.zarr")
    assert exit_code == 2
    assert "0 of the race's 200 queries are in it by their ids" in only_error(said)
    assert not list(store.parent.glob("out*"))


def test_newcomers_join_a_search_with_a_history_unless_that_holds_them(search, record, others, store):
    _, first, _ = search("-n", 10, "--history", others)
    more = ",".join((*NAMES, "org/i", "other/3"))
    exit_code, without, said = search("-n", 10, "--history", others, models=more)
    assert exit_code == 0, said
    assert (without["new_cells"], without["decision_digest"]) == (0, first["decision_digest"])
    exit_code, report, said = search("-n", 10, "--history", others, "--watch", models=more)
    assert (exit_code, report) == (2, None)
    assert "its model 'other/3' is 'other/3' of the race" in only_error(said)
    more = ",".join((*NAMES, "org/i", "org/j"))
    exit_code, joined, said = search("-n", 10, "--history", others, "--watch", models=more)
    assert exit_code == 0, said
    assert {"org/i", "org/j"} <= set(joined["recommended"])
    assert joined["budget"] == first["budget"]
    assert 0 < joined["new_cells"] < joined["pulls"]
    assert joined["card"]["queries"] == "chosen"
    _, stays, _ = search("-n", 10, "--history", others, models=more)
    assert (stays["new_cells"], stays["decision_digest"]) == (0, joined["decision_digest"])


def test_models_that_fail_leave_a_search_with_a_history(search, others):
    exit_code, report, said = search(
        *("-n", 10, "--history", others, "--base", "org/b", "--verify", 5),
        engine="scripted:failures=org/b=gated,crashes=org/d",
    )
    assert exit_code == 3, said
    assert {failure["model"] for failure in report["failed"]} == {"org/b", "org/d"}
    assert set(report["recommended"]) == set(NAMES) - {"org/b", "org/d"}
    assert report["pulls"] <= 80
    assert "gembench: --base org/b could not be measured: the winner is held against nothing." in said.splitlines()


def write_list(path, downloads):
    lines = [f"{name},." if value is None else f"{name},{value}" for name, value in downloads.items()]
    path.write_text("model,downloads\n" + "\n".join(line.replace(",.", ",") for line in lines) + "\n")
    return path


def test_a_prior_by_name_stays_what_it_was_when_the_search_began(search, others, tmp_path):
    models = tmp_path / "models.csv"
    arguments = ("-n", 1, "--history", others, "--prior", "downloads")
    write_list(models, {**dict.fromkeys(NAMES, 5), "org/f": 900, "org/b": None})
    exit_code, first, said = search(*arguments, models=models, policy="ask_others")
    assert exit_code == 0, said
    assert first["recommended"][0] == "org/f"
    assert first["card"]["prior"] == "downloads"
    # The Hub counts on; and a newcomer is the most downloaded.
    write_list(models, {**dict.fromkeys(NAMES, 5), "org/c": 7000, "org/z": 9000})
    exit_code, again, said = search(*arguments, models=models, policy="ask_others")
    assert (exit_code, again["new_cells"]) == (0, 0), said
    assert again["recommended"] == first["recommended"]
    exit_code, joined, said = search(*arguments, "--watch", models=models, policy="ask_others")
    assert exit_code == 0, said
    assert joined["recommended"][:2] == ["org/z", "org/f"]
    exit_code, _, said = search("-n", 1, "--history", others, "--prior", "likes", models=models, policy="ask_others")
    assert exit_code == 2
    assert "no 'likes' of any model is known; there are downloads" in only_error(said)


def test_a_prior_of_a_table_must_be_the_same_when_the_search_goes_on(search, others, tmp_path):
    prior = tmp_path / "prior.csv"
    prior.write_text("model,value\norg/e,2\n")
    arguments = ("-n", 1, "--history", others, "--prior", prior)
    exit_code, first, said = search(*arguments, policy="ask_others")
    assert exit_code == 0, said
    assert first["recommended"][0] == "org/e"
    # What is said of others does nothing.
    prior.write_text("model,value\norg/e,2\norg/elsewhere,7\n")
    assert search(*arguments, policy="ask_others")[1]["new_cells"] == 0
    prior.write_text("model,value\norg/e,2\norg/a,7\n")
    exit_code, _, said = search(*arguments, policy="ask_others")
    assert exit_code == 2
    assert "this search began with another prior" in only_error(said)
    exit_code, _, said = search("-n", 1, "--history", others, policy="ask_others")
    assert exit_code == 2
    assert "this search began with a prior, and would decide otherwise without" in only_error(said)
