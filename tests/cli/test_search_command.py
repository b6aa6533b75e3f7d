"""`gembench search --engine replay`: a run of `simulate`, its budgets, how it ends and verifies, what it writes."""

import csv
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy.stats import binomtest

from gembench.data.schema import make_tensor
from gembench.data.tensor import open_tensor, write_tensor

NUM_MODELS, NUM_QUERIES = 30, 120


@pytest.fixture
def correct():
    """[M, Q]: the later, the better."""
    rng = np.random.default_rng(1)
    return (rng.random((NUM_MODELS, NUM_QUERIES)) < np.linspace(0.1, 0.9, NUM_MODELS)[:, None]).astype(np.uint8)


@pytest.fixture
def costs():
    """Seconds of each load and of each answer, such that sums over them tell which were counted."""
    return {
        "load_seconds": 10 + np.arange(NUM_MODELS) / 4,
        "seconds": np.tile(0.5 + np.arange(NUM_MODELS)[:, None] / 64, (1, NUM_QUERIES)),
    }


def write(path, correct, **variables):
    """A tensor of model-0, model-1, ..."""
    names = [f"org/model-{model}" for model in range(len(correct))]
    queries = [f"query-{query}" for query in range(correct.shape[1])]
    write_tensor(make_tensor(correct.astype(np.int8), names, queries, variables=variables), path)
    return path


@pytest.fixture
def tensor(tmp_path, correct, costs):
    return write(tmp_path / "race.zarr", correct, **costs)


@pytest.fixture
def search(gembench, tensor):
    """`gembench search` over the tensor; with `--json -` in mind: `search.report(...)`."""

    def run(*arguments, engine="replay"):
        return gembench("search", "-e", engine, "--tensor", tensor, *arguments)

    def report(*arguments):
        result = run(*arguments, "--json", "-")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    run.report = report
    return run


def simulated(gembench, tensor, folder, *arguments):
    """The runs that `simulate` says it made, and its row of means."""
    runs = folder / "runs.csv"
    result = gembench("simulate", tensor, *arguments, "--runs-out", runs, "--json", "-")
    assert result.exit_code == 0, result.stderr
    (row,) = json.loads(result.stdout)["rows"]
    with runs.open() as file:
        return list(csv.DictReader(file)), row


@pytest.mark.parametrize("sampling", ["shared", "independent"])
@pytest.mark.parametrize("policy", ["sequential_halving", "ucb_e", "bayes_elim"])
def test_a_replayed_search_is_a_run_of_simulate_with_its_digest_and_its_costs(
    gembench, search, tensor, tmp_path, policy, sampling
):
    arguments = ("-p", policy, "-n", 10, "--sampling", sampling, "--seed", 7)
    runs, row = simulated(gembench, tensor, tmp_path, *arguments, "--runs", 3)
    reports = [search.report(*arguments, "--run", run) for run in range(3)]
    for run, report in zip(runs, reports, strict=True):
        assert report["decision_digest"] == run["decision_digest"]
        assert report["recommended"][0] == run["recommended"]
        assert report["pulls"] == int(run["pulls"]) <= report["budget"] == 10 * NUM_MODELS
    assert len({report["decision_digest"] for report in reports}) == 3
    # The simulator prints the means over its runs, which all three searches together have.
    assert np.mean([report["model_loads"] for report in reports]) == row["model_loads_mean"]
    assert np.mean([report["seconds"] for report in reports]) == pytest.approx(row["cost_seconds_mean"], rel=1e-6)


def test_the_json_has_the_keys_that_programs_are_promised(search):
    report = search.report("-n", 4)
    assert set(report) == {
        "version",
        "recommended",
        "ended",
        "pulls",
        "new_cells",
        "budget",
        "stages",
        "model_loads",
        "seconds",
        "decision_digest",
        "failed",
        "store",
        "card",
    }
    assert all(set(stage) == {"num_models", "num_queries", "repeats"} for stage in report["stages"])
    assert report["stages"][0]["num_models"] == NUM_MODELS
    assert sorted(report["recommended"]) == sorted(f"org/model-{model}" for model in range(NUM_MODELS))
    assert report["failed"] == []
    assert report["ended"] == "plan"
    assert report["card"]["decision_digest"] == report["decision_digest"]


def test_a_budget_of_seconds_buys_what_the_costs_given_let_it(search):
    # Uniform search loads 30 models once and splits the rest of the time: (600 s - 30 x 10 s) / 2 s = 150 answers.
    given = ("--seconds-per-load", 10, "--seconds-per-query", 2)
    report = search.report("-p", "uniform", "--budget-seconds", 600, *given)
    assert report["budget"] == report["pulls"] == 150
    assert report["seconds"] == 600
    assert report["card"]["cost"]["source"] == "given"
    # The smaller of two budgets counts.
    assert search.report("-p", "uniform", "-n", 4, "--budget-seconds", 600, *given)["pulls"] == 120
    assert search.report("-p", "uniform", "-n", 9, "--budget-seconds", 600, *given)["pulls"] == 150


@pytest.mark.parametrize("policy", ["accelerated_sequential_halving", "ucb_e"])
def test_a_budget_of_recorded_seconds_is_passed_by_no_more_than_an_ask(search, costs, policy):
    limit = 1200.0
    report = search.report("-p", policy, "--budget-seconds", limit)
    assert report["card"]["cost"]["source"] == "recorded"
    # The best are the slowest here, so that the plan, made by the means, takes longer than it should.
    asks = report["stages"][-1:] if report["ended"] == "plan" else report["stages"][1:]
    most_of_an_ask = max(
        ask["num_models"] * (costs["load_seconds"].max() + ask["num_queries"] * costs["seconds"].max()) for ask in asks
    )
    assert report["seconds"] <= limit + most_of_an_ask
    assert report["ended"] in {"plan", "seconds"}
    assert report["pulls"] > NUM_MODELS


def test_a_search_ends_as_soon_as_the_best_is_known_to_the_margin(search, correct):
    whole = search.report("-p", "ucb_e", "-n", 30)
    early = search.report("-p", "ucb_e", "-n", 30, "--stop-within", "0.3")
    assert whole["ended"] == "plan"
    assert early["ended"] == "stop_within"
    assert early["pulls"] < whole["pulls"]
    assert 0.2 < early["card"]["regret_bound"] <= 0.3
    accuracy = dict(zip((f"org/model-{model}" for model in range(NUM_MODELS)), correct.mean(axis=1), strict=True))
    assert max(accuracy.values()) - accuracy[early["recommended"][0]] <= 0.3
    assert "ended early" in search("-p", "ucb_e", "-n", 30, "--stop-within", "0.3").stdout


def answered(store):
    """{model: the queries it was asked} of a published tensor."""
    opened = open_tensor(store)
    return {
        name: set(np.flatnonzero(row))
        for name, row in zip(opened["model"].values, opened["correct"].values >= 0, strict=True)
    }


def test_verification_is_a_sign_test_on_queries_that_neither_had_seen(search, tmp_path, correct):
    base = "org/model-9"
    before, after = tmp_path / "before.zarr", tmp_path / "after.zarr"
    plain = search.report("-n", 6, "--base", base, "-o", before)
    report = search.report("-n", 6, "--base", base, "--verify", 12, "-o", after)
    assert report["decision_digest"] == plain["decision_digest"]
    winner = report["recommended"][0]
    asked = {name: answered(after)[name] - answered(before)[name] for name in answered(before)}
    assert {name for name, queries in asked.items() if queries} == {winner, base}
    queries = sorted(asked[winner])
    assert queries == sorted(asked[base])
    assert len(queries) == 12
    assert not set(queries) & answered(before)[winner] & answered(before)[base]
    of_winner, of_base = (correct[int(name.removeprefix("org/model-")), queries] for name in (winner, base))
    only_winner, only_base = int((of_winner > of_base).sum()), int((of_base > of_winner).sum())
    expected = binomtest(only_winner, only_winner + only_base, alternative="greater").pvalue
    verification = report["card"]["verification"]
    assert (verification["model"], verification["num_queries"]) == (base, 12)
    assert (verification["num_only_winner"], verification["num_only_other"]) == (only_winner, only_base)
    assert verification["p_value"] == pytest.approx(expected)
    assert verification["confirmed"] == (expected <= 0.05)
    assert verification["difference"] == pytest.approx((only_winner - only_base) / 12)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("-n", 4), "nothing to verify: no base of the winner was measured; name one by --base."),
        (("-n", 40, "--base", "org/model-3"), "org/model-3 have no query left that neither has answered"),
        (("-n", 40, "--base", "org/model-29"), "nothing to verify: org/model-29 is its own base"),
    ],
)
def test_where_nothing_can_be_verified_a_line_says_so(gembench, tmp_path, arguments, line):
    correct = (np.arange(40) <= np.arange(30)[:, None]).astype(np.uint8)  # model 29 is the best
    race = write(tmp_path / "race.zarr", correct)
    result = gembench("search", "-e", "replay", "--tensor", race, "-p", "uniform", *arguments, "--verify", 5)
    assert result.exit_code == 0, result.stderr
    assert sum(line in said for said in result.stderr.splitlines()) == 1
    assert "unseen queries" not in result.stdout


class Tags(HTMLParser):
    """Opens and closes."""

    VOID = frozenset({"meta", "link", "br", "hr", "img", "col", "input"})

    def __init__(self, page):
        super().__init__()
        self.open, self.seen = [], set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_cards_are_written_whole_in_each_form(search, tmp_path):
    folder = tmp_path / "cards"
    folder.mkdir()
    cards = [folder / name for name in ("card.md", "card.html", "card.JSON")]
    report = search.report("-n", 4, *(part for card in cards for part in ("--card", card)))
    markdown, page, as_json = (card.read_text() for card in cards)
    assert json.loads(as_json) == report["card"]
    tags = Tags(page)
    assert tags.open == []
    assert {"html", "body", "table"} <= tags.seen
    for text in (markdown, page):
        assert report["recommended"][0] in text
        assert report["decision_digest"] in text
    assert markdown.startswith("# ")
    assert sorted(folder.iterdir()) == sorted(cards)


def test_json_goes_to_a_file_beside_the_table_or_to_stdout_in_its_place(search, tmp_path):
    path = tmp_path / "found.json"
    beside = search("-n", 4, "--json", path)
    assert f"Best of {NUM_MODELS} models on" in beside.stdout
    in_place = search.report("-n", 4)
    assert json.loads(path.read_text())["decision_digest"] == in_place["decision_digest"]


def test_the_card_names_the_command_that_gives_the_same_search_again(search, gembench):
    report = search.report("-n", 4, "-p", "ucb_e:exploration=3.0", "--seed", 5)
    name, *arguments = report["card"]["command"].split()
    assert name == "gembench"
    again = gembench(*arguments)
    assert json.loads(again.stdout)["decision_digest"] == report["decision_digest"]


def test_a_dry_run_says_what_a_search_would_cost_and_leaves_nothing_behind(search, tmp_path, costs):
    before = sorted(tmp_path.iterdir())
    result = search("-p", "uniform", "-n", 4, "-o", tmp_path / "out.zarr", "--dry-run", "--json", "-")
    assert result.exit_code == 0, result.stderr
    plan = json.loads(result.stdout)
    assert (plan["pulls"], plan["model_loads"]) == (120, 30)
    per_load, per_query = costs["load_seconds"].mean(), costs["seconds"].mean()
    assert plan["seconds"] == pytest.approx(30 * per_load + 120 * per_query)
    assert plan["exhaustive_seconds"] == pytest.approx(30 * per_load + 3600 * per_query)
    assert sorted(tmp_path.iterdir()) == before
    table = search("-p", "uniform", "-n", 4, "--dry-run")
    assert "120 of 3,600 pulls (3.3%) and at most 30 loads" in table.stdout
    assert table.stderr == ""


def test_a_replay_with_a_store_is_resumed_at_no_cost_and_holds_the_cells_asked(search, tmp_path, correct):
    store = tmp_path / "out.zarr"
    first, second = (search.report("-n", 5, "-o", store) for _ in range(2))
    assert (first["new_cells"], second["new_cells"]) == (first["pulls"], 0)
    assert second["decision_digest"] == first["decision_digest"]
    assert second["seconds"] == first["seconds"]
    opened = open_tensor(store)
    asked = opened["correct"].values >= 0
    assert asked.sum() == first["pulls"]
    np.testing.assert_array_equal(opened["correct"].values[asked], correct[asked])
