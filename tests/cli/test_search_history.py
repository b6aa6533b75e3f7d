"""`gembench search` with policies that choose queries: a run of `simulate`, and no confidence where none is due."""

import csv
import json

import jax.numpy as jnp
import numpy as np
import pytest
from query_play import related_models

from gembench.data.schema import make_tensor
from gembench.data.tensor import open_tensor, write_tensor
from gembench.query_order import order_key, query_at

NUM_MODELS, NUM_QUERIES = 14, 50
CORRECT, HISTORY = related_models(NUM_MODELS, NUM_QUERIES, 4, 16)
QUERIES = [f"query-{query}" for query in range(NUM_QUERIES)]
BASE = "org/model-9"


def write(path, correct, names, queries=QUERIES):
    write_tensor(make_tensor(np.asarray(correct, np.int8), names, queries), path)
    return path


@pytest.fixture
def race(tmp_path):
    return write(tmp_path / "race.zarr", CORRECT, [f"org/model-{model}" for model in range(NUM_MODELS)])


@pytest.fixture
def others(tmp_path):
    return write(tmp_path / "others.zarr", HISTORY, [f"other/model-{model}" for model in range(len(HISTORY))])


@pytest.fixture
def search(gembench, race):
    """`gembench search` over the race; `search.report(...)` gives what it says to programs."""

    def run(*arguments):
        return gembench("search", "-e", "replay", "--tensor", race, *arguments)

    def report(*arguments):
        result = run(*arguments, "--json", "-")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    run.report = report
    return run


@pytest.mark.parametrize(
    ("policy", "is_warm"), [("gem", True), ("model_selector", True), ("model_selector", False), ("gem", False)]
)
def test_a_replayed_search_is_a_run_of_simulate_with_what_that_knows(
    gembench, search, race, others, tmp_path, policy, is_warm
):
    arguments = ("-p", policy, "-n", 8, "--seed", 5, *(("--history", others) if is_warm else ()))
    csv_path = tmp_path / "runs.csv"
    simulated = gembench("simulate", race, *arguments, "--runs", 3, "--runs-out", csv_path)
    assert simulated.exit_code == 0, simulated.stderr
    with csv_path.open() as file:
        runs = list(csv.DictReader(file))
    for number in (0, 2):
        report = search.report(*arguments, "--run", number)
        assert report["decision_digest"] == runs[number]["decision_digest"]
        assert report["recommended"][0] == runs[number]["recommended"]
        assert report["pulls"] == int(runs[number]["pulls"])


def test_of_chosen_queries_the_report_says_what_is_possible_and_no_confidence(search, others, tmp_path):
    store = tmp_path / "found.zarr"
    arguments = ("-p", "gem", "-n", 8, "--history", others, "--base", BASE)
    report = search.report(*arguments, "-o", store, "-k", NUM_MODELS)
    card = report["card"]
    asked = dict(zip(open_tensor(store)["model"].values, open_tensor(store)["correct"].values, strict=True))
    possible = {}
    for model in card["ranking"]:
        answers = asked[model["model"]]
        num_right, num_wrong = int((answers == 1).sum()), int((answers == 0).sum())
        assert model["num_asked"] == num_right + num_wrong
        assert model["accuracy"] == pytest.approx(num_right / (num_right + num_wrong))
        possible[model["model"]] = (num_right / NUM_QUERIES, 1 - num_wrong / NUM_QUERIES)
        assert model["interval"] == pytest.approx(possible[model["model"]])
    winner = card["ranking"][0]["model"]
    (margin,) = card["margins"]
    low, high = possible[winner]
    assert margin["interval"] == pytest.approx((low - possible[BASE][1], high - possible[BASE][0]))
    assert card["regret_bound"] == pytest.approx(
        max(top for name, (_, top) in possible.items() if name != winner) - low
    )
    assert card["queries"] == "chosen"
    assert (card["gem_probability"], card["gem_unknown_because"]) == (
        *(None, "the policy chose the queries, and they are no random sample"),
    )
    said = search(*arguments).stdout
    assert "confidence" not in said
    assert "95%" not in said
    assert "possible: over all 50 queries, whatever the answers not given" in said
    assert all(len(line) <= 80 for line in said.splitlines()[1:8])


def test_a_policy_that_chooses_and_takes_the_first_queries_of_a_random_order_keeps_its_confidence(search):
    report = search.report("-p", "paired_elimination", "-n", 8)
    assert report["card"]["queries"] == "drawn"
    assert "95% intervals" in search("-p", "paired_elimination", "-n", 8).stdout


def test_gem_without_a_history_has_intervals_and_may_stop_early(search):
    report = search.report("-p", "gem", "-n", 30, "--stop-within", "0.3")
    assert report["card"]["queries"] == "drawn"
    assert report["ended"] == "stop_within"


def test_gem_with_a_prior_keeps_its_confidence_too_and_the_card_names_the_prior(search, tmp_path):
    prior = tmp_path / "prior.csv"
    prior.write_text("model,value\norg/model-3,9\norg/model-5,1\norg/model-7,\n")
    report = search.report("-p", "gem", "-n", 8, "--prior", prior)
    assert report["card"]["queries"] == "drawn"
    assert report["card"]["prior"] == str(prior)
    assert report["decision_digest"] != search.report("-p", "gem", "-n", 8)["decision_digest"]


def test_the_cards_of_chosen_queries_speak_of_what_is_possible(search, others, tmp_path):
    cards = [tmp_path / "card.md", tmp_path / "card.html"]
    arguments = ("-p", "gem", "-n", 8, "--history", others, "--base", BASE)
    search.report(*arguments, *(part for card in cards for part in ("--card", card)))
    for text in (card.read_text() for card in cards):
        assert "The policy chose the queries, and they are no random sample" in text
        assert "ossible range" in text
        assert "95% interval" not in text
        assert "with 95% confidence" not in text
        assert "are possible over all queries" in text
        assert str(others).replace("_", "\\_") in text or str(others) in text


def test_the_verification_of_chosen_queries_draws_in_an_order_that_the_policy_never_saw(search, others, tmp_path):
    before, after = tmp_path / "before.zarr", tmp_path / "after.zarr"
    arguments = ("-p", "gem", "-n", 8, "--history", others, "--base", BASE)
    plain = search.report(*arguments, "-o", before)
    report = search.report(*arguments, "--verify", 6, "-o", after, "--card", tmp_path / "card.md")
    assert report["card"]["ranking"] == plain["card"]["ranking"]
    assert report["card"]["margins"] == plain["card"]["margins"]
    known, verified = (
        dict(zip(opened["model"].values, opened["correct"].values >= 0, strict=True))
        for opened in map(open_tensor, (before, after))
    )
    winner = report["recommended"][0]
    fresh = np.flatnonzero(verified[winner] & ~known[winner])
    unseen = ~known[winner] & ~known[BASE]
    np.testing.assert_array_equal(fresh, np.flatnonzero(verified[BASE] & ~known[BASE]))
    assert len(fresh) == 6
    assert unseen[fresh].all()
    # Of the 40 or so that are left, the first six of the shared order are these by chance once in millions.
    assert set(fresh.tolist()) != set([query for query in shared_order().tolist() if unseen[query]][:6])
    verification = report["card"]["verification"]
    assert verification["num_queries"] == 6
    assert "neither had answered, and its interval holds for all of these" in (tmp_path / "card.md").read_text()


def shared_order():
    """All queries as run 0 of seed 0 offers them to a policy."""
    key = order_key(jnp.zeros(2, jnp.uint32), jnp.uint32(0))
    return np.asarray(query_at(key, jnp.arange(NUM_QUERIES, dtype=jnp.int32), NUM_QUERIES))


def test_the_card_names_what_was_known_and_the_command_that_gives_the_same_again(search, gembench, others):
    report = search.report("-p", "gem", "-n", 8, "--history", others)
    card = report["card"]
    assert card["history_tensors"] == [str(others)]
    assert card["history"] == [open_tensor(others).attrs["content_digest"]]
    assert card["prior"] is None
    again = gembench(*card["command"].split()[1:])
    assert json.loads(again.stdout)["decision_digest"] == report["decision_digest"]
    assert search.report("-p", "gem", "-n", 8)["decision_digest"] != report["decision_digest"]


def test_a_dry_run_says_what_the_history_is(search, others):
    result = search("-p", "gem", "-n", 8, "--history", others, "--dry-run")
    assert result.exit_code == 0
    assert "the history is 16 other models on 50 of the 50 queries." in result.stderr
    assert "gem on 14 models, 50 queries" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("-p", "uniform", "--history", "{others}"), "policy uniform can use no --history; leave it out"),
        (("-p", "ucb_e", "--prior", "downloads"), "policy ucb_e can use no --prior; leave it out"),
        (
            ("-p", "gem", "--history", "{others}", "--stop-within", "0.1"),
            "gem chooses them where something is known beforehand",
        ),
        (("-p", "coda", "--stop-within", "0.1"), "policy coda chooses them; leave it out"),
        (("-p", "gem", "--history", "{race}"), "'org/model-0' is 'org/model-0' of the race"),
        (("-p", "gem", "--history", "{copy}"), "answers all of the 50 shared queries that it answered just as"),
        (("-p", "gem", "--history", "gone.zarr"), "gone.zarr: no such file"),
        (("-p", "gem", "--history", "{others}", "--prior", "stars"), "knows no 'stars' of its models"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing_behind(search, race, others, tmp_path, arguments, line):
    copy = write(tmp_path / "copy.zarr", CORRECT[3:4], ["other/copy"])
    before = sorted(tmp_path.iterdir())
    paths = {"race": race, "others": others, "copy": copy}
    result = search(*(part.format(**paths) for part in arguments), "-n", 8, "-o", tmp_path / "out.zarr")
    assert result.exit_code == 2
    (said,) = result.stderr.splitlines()
    assert said.startswith("gembench: error: ")
    assert line in said
    assert sorted(tmp_path.iterdir()) == before
