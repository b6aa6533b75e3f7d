"""The page of all policies on all tensors: what is measured, that it is measured once, and what the tables say."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gembench.measures import measure
from gembench.policies.accelerated_sequential_halving import AcceleratedSequentialHalving
from gembench.policies.catalog import CATALOG, CHOOSING
from gembench.policies.gem import Gem
from gembench.query_policy import Background
from gembench.race import Race
from gembench.simulate import simulate

_CI = Path(__file__).parents[2] / "ci"
RUNS = 30


@pytest.fixture
def page(monkeypatch, tmp_path):
    """The module, with a page of its own."""
    monkeypatch.syspath_prepend(str(_CI))
    import policy_page

    path = tmp_path / "page.md"
    path.write_text(f"Before.\n{policy_page.BEGIN}old\n{policy_page.END}After.\n", encoding="utf-8")
    monkeypatch.setattr(policy_page, "PAGE", path)
    return policy_page


@pytest.fixture
def folder(tmp_path):
    """A folder with a tensor of 16 models and 40 queries."""
    rng = np.random.default_rng(3)
    correct = (rng.random((16, 40)) < np.linspace(0.2, 0.8, 16)[:, None]).astype(np.uint8)
    models, queries = [f"m{number}" for number in range(16)], [f"q{number}" for number in range(40)]
    where = tmp_path / "tensors"
    where.mkdir()
    np.savez(where / "zeroeval_crux.npz", correct=correct, models=models, queries=queries)
    return where


def run(page, *arguments):
    result = CliRunner().invoke(page.main, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def halves(folder):
    """The race and the history of a half, made here by hand."""
    correct = np.load(folder / "zeroeval_crux.npz")["correct"]
    shuffled = np.random.default_rng(0).permutation(16)
    race = Race(correct[shuffled[:8]], np.ones(8), np.ones(8))
    return race, Background(correct[shuffled[8:]].astype(np.int8), np.full(8, np.nan, np.float32))


def test_the_tables_say_what_the_simulator_finds_and_nothing_is_measured_twice(page, folder, tmp_path):
    file = tmp_path / "results.jsonl"
    only = ("--results", file, "--folder", folder, "--section", "zeroeval_crux/half", "-p", "gem", "-n", 5)
    only = (*only, "--runs", RUNS, "--jobs", 1)

    assert "3 of 3 cells" in run(page, *only)
    measured = file.read_text(encoding="utf-8")
    assert run(page, *only) == ""
    run(page, *only, "--write")
    assert file.read_text(encoding="utf-8") == measured

    race, background = halves(folder)
    ranks = {}
    for name, policy, known in (
        ("reference", AcceleratedSequentialHalving(), None),
        ("`gem`", Gem(), None),
        ("`gem`, with history", Gem(), background),
    ):
        runs = simulate(policy, race, budget=5 * 8, num_runs=RUNS, background=known)
        ranks[name] = measure(runs, race.accuracy).rank.mean()
    text = page.PAGE.read_text(encoding="utf-8")
    assert text.startswith("Before.\n")
    assert text.endswith("After.\n")
    assert "old" not in text
    section = text[text.index("### Half of ZeroEval") :]
    for name in ("`gem`", "`gem`, with history"):
        # The first table is of ratios, the second, of mean ranks.
        ratio, rank, *_ = (line for line in section.splitlines() if line.startswith(f"| {name} |"))
        assert f"{ranks[name] / ranks['reference']:.2f}" in ratio
        assert f"| {ranks[name]:.1f}<br>" in rank


def test_a_cell_over_its_time_is_told_and_tried_again_only_with_more(page, folder, tmp_path):
    file = tmp_path / "results.jsonl"
    only = ("--results", file, "--folder", folder, "--section", "zeroeval_crux", "-p", "uniform", "-n", 5)
    only = (*only, "--runs", RUNS, "--jobs", 1)
    # No process imports JAX in a hundredth of a second.
    assert "over 0.01 s" in run(page, *only, "--limit", 0.01)
    assert [json.loads(line)["limit"] for line in file.read_text().splitlines()] == [0.01, 0.01]
    assert run(page, *only, "--limit", 0.01) == ""

    assert "2 of 2 cells" in run(page, *only)
    run(page, *only, "--write")
    assert "left out" not in page.PAGE.read_text(encoding="utf-8")


def test_what_could_not_be_measured_is_told_below_the_table(page, folder, tmp_path):
    file = tmp_path / "results.jsonl"
    only = ("--results", file, "--folder", folder, "--section", "zeroeval_crux", "--runs", RUNS, "--jobs", 1)
    run(page, *only, "-p", "gem", "-n", 5)
    lines = [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines()]
    lines[1] = {name: lines[1][name] for name in ("race", "history", "policy", "num_each", "runs", "seed")}
    lines[1] |= {"failed": "over 7 s", "limit": 7}
    file.write_text("".join(f"{json.dumps(each)}\n" for each in lines), encoding="utf-8")

    run(page, *only, "--write")
    assert "- `gem` at N = 5 is left out: over 7 s." in page.PAGE.read_text(encoding="utf-8")


def line(ranks, race="r", **more):
    return {"rank": ranks, "missed": ranks, "num_queries": 200, "num_models": 9, "race": race, "num_each": 5} | more


def test_a_ratio_is_geometric_over_races_and_paired_in_the_runs_that_both_have(page):
    from policy_results.tables import ratio_of_ranks

    # Means of the first two runs: 1 against 2, and 6 against 3.
    own = [line([1, 1]), line([8, 4])]
    base = [line([2, 2, 99]), line([4, 2, 99])]
    ratio = ratio_of_ranks(own, base)

    assert ratio.value == pytest.approx(1)
    # Both ratios are the same in every resample of the pairs.
    assert (ratio.low, ratio.high) == (pytest.approx(1), pytest.approx(1))


def test_only_a_whole_interval_on_one_side_is_marked(page):
    from policy_results.tables import Ratio

    assert str(Ratio(0.5, 0.4, 0.6)) == "**0.50**<br>0.40–0.60"
    assert str(Ratio(1.5, 1.1, 2.0)) == "1.50 ✗<br>1.10–2.00"
    assert str(Ratio(1.5, 0.9, 2.0)) == "1.50<br>0.90–2.00"


def test_regret_is_in_points_of_accuracy_and_the_spent_share_shows_where_it_is_not_all(page):
    from policy_results.tables import simple_regret, spent

    # 1 and 3 right answers short of the best, of 200: half a point and one and a half.
    assert simple_regret([line([1, 3])]).startswith("1.00<br>")
    assert spent([line([1], pulls=45.0, distinct_queries=7.0)]) == "7"
    assert spent([line([1], pulls=9.0, distinct_queries=7.0)]) == "7<br>20%"


def test_every_policy_races_every_whole_tensor_or_half_of_it_with_a_history(page, folder):
    from policy_results.plan import NEEDY, REFERENCE, all_sections

    sections = {section.key: section for section in all_sections(folder)}
    whole, half = sections["zeroeval_crux"], sections["zeroeval_crux/half"]

    assert whole.rows[0].name == half.rows[0].name == REFERENCE
    assert {row.name for row in whole.rows} == {*CATALOG, *CHOOSING} - set(NEEDY)
    assert set(NEEDY) <= {row.name for row in half.rows if row.history == "true"}
    assert not any("mmlu_pro" in key or "families" in key for key in sections)  # They are not in the folder.


def test_the_policies_that_are_said_to_make_nothing_of_a_history_learn_nothing_from_one(page):
    """Where a policy makes something of a history, what it knows depends on what is in it."""
    import jax
    from policy_results.plan import BLIND

    from gembench.policy import Problem

    problem, prior = Problem(6, 20, 30), np.full(6, np.nan, np.float32)
    histories = [np.random.default_rng(seed).integers(0, 2, (12, 20), np.int8) for seed in (0, 1)]
    for name in CHOOSING:
        if name == "gem":
            continue  # What learns is its warm part.
        policy = CHOOSING[name]()
        known = [jax.tree.leaves(policy.study(problem, Background(history, prior))) for history in histories]
        learns = any(not np.array_equal(*pair) for pair in zip(*known, strict=True))
        assert learns == (name not in BLIND), name


def test_a_line_that_is_no_result_is_named(page, tmp_path):
    file = tmp_path / "results.jsonl"
    file.write_text('{"race": "x"\n', encoding="utf-8")
    result = CliRunner().invoke(page.main, ["--results", str(file)])

    assert result.exit_code == 1
    assert "line 1: no result of a cell" in result.output


def test_the_trees_share_no_question_though_their_names_are_alike():
    """So none of them is a history of another."""
    from gembench.data.embedded import TREES, load_embedded

    trees = [load_embedded(name) for name in TREES]
    documents = [set(tree["doc_hash"].values) for tree in trees]

    assert len({tuple(tree["query"].values) for tree in trees}) == 1
    assert len(set.union(*documents)) == sum(map(len, documents))


def test_a_cell_that_fails_is_told_and_the_next_is_measured(page, folder):
    from policy_results.measuring import measure_cells
    from policy_results.plan import REFERENCE_ROW, Cell

    outcomes = {}
    cells = [Cell(race, REFERENCE_ROW, 5, RUNS, 0) for race in ("nobody", "zeroeval_crux")]
    measure_cells([cells], folder, 1, 100.0, lambda cell, outcome: outcomes.update({cell.race: outcome}))

    assert outcomes["nobody"]["failed"].startswith("TensorNotFoundError: ")
    assert len(outcomes["zeroeval_crux"]["rank"]) == RUNS


def test_slow_policies_run_less_often_at_fewer_n_unless_all_is_asked_for(page):
    from policy_results.plan import SLOW, SLOW_N, SLOW_RUNS, Plan, all_sections

    def slow_cells(is_full):
        section, *_ = all_sections(None, is_full)
        plan = Plan((section,), 100, 0, is_full)
        row = next(row for row in section.rows if row.name in SLOW)
        return {(cell.num_each, cell.runs) for cell in plan.cells(section, row)}

    assert slow_cells(False) == {(number, SLOW_RUNS) for number in SLOW_N}
    assert slow_cells(True) == {(number, 100) for number in (5, 10, 20, 50, 100, 200)}
