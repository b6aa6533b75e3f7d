"""Hidden tensors with a history: who is told of it, what results say, and that a file does as its policy would here."""

import inspect
import json
from dataclasses import replace

import numpy as np
import pytest
from hostile import policy_file
from needs import needs_bwrap
from query_play import related_models

from gembench.errors import BenchmarkError, UsageError
from gembench.leaderboard.benchmark import load_benchmark, open_backgrounds, open_races, private_benchmark
from gembench.leaderboard.private import hidden_benchmark, is_private
from gembench.leaderboard.renumbering import with_models_renumbered, with_queries_renumbered
from gembench.leaderboard.result_file import from_json, make_result, to_json
from gembench.leaderboard.scores import score_policies
from gembench.leaderboard.scoring import score_file
from gembench.measures import measure
from gembench.policies.model_selector import ModelSelector
from gembench.policies.uniform import Uniform
from gembench.simulate import simulate

M, Q, H = 9, 30, 12
RACE, HISTORY = related_models(M, Q, seed=4, num_histories=H)
SETTINGS = replace(load_benchmark(), queries_per_model=(4,), runs=20, top_k=(1,))


def write(path, answers, kind, queries):
    names = np.array([f"{kind}-{model}" for model in range(len(answers))])
    np.savez(path, correct=answers, models=names, queries=np.array([f"query-{query}" for query in queries]))
    return str(path)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hidden").mkdir()
    write(tmp_path / "hidden" / "secret.npz", RACE, "racer", range(Q))
    return tmp_path / "hidden"


@pytest.fixture
def history(tmp_path):
    """Its queries stand the other way round."""
    return write(tmp_path / "past.npz", HISTORY[:, ::-1], "elder", range(Q)[::-1])


def test_a_version_tells_histories_apart_and_the_order_they_are_named_in_does_not_count(folder, history, tmp_path):
    other = write(tmp_path / "other.npz", HISTORY[:5], "other", range(Q))
    without, first, both, turned, twice = (
        private_benchmark(SETTINGS, folder, names)
        for names in ((), (history,), (history, other), (other, history), (history, other, history))
    )
    assert without.version == "1-private"
    assert len({without.version, first.version, both.version}) == 3
    assert both.version == turned.version == twice.version
    assert both.version.startswith("1-private-history-")
    assert [tensor.name for tensor in both.histories] == [tensor.digest for tensor in both.histories]


def test_the_history_of_a_hidden_tensor_is_matched_by_the_ids_of_its_queries(folder, history):
    board = private_benchmark(SETTINGS, folder, [history])
    races = open_races(board)
    known = open_backgrounds(board, races)
    assert list(known) == [races[0].digest]
    np.testing.assert_array_equal(known[races[0].digest].background.history, HISTORY)
    assert open_backgrounds(replace(board, histories=()), races) == {}


def test_a_history_that_knows_the_race_is_refused(folder, tmp_path):
    board = private_benchmark(SETTINGS, folder, [write(tmp_path / "copy.npz", RACE[:3], "elder", range(Q))])
    with pytest.raises(UsageError, match="answers all of the 30 shared queries"):
        open_backgrounds(board, open_races(board))


def test_who_can_use_the_history_is_told_and_results_say_of_what_they_knew(folder, history):
    board = private_benchmark(SETTINGS, folder, [history])
    races = open_races(board)
    policies = {"model_selector": ModelSelector(), "uniform": Uniform()}
    choosing, taking = score_policies(board, races, policies, known=open_backgrounds(board, races))
    (cold, _) = score_policies(board, races, policies)
    assert choosing.cells[0].rank.tolist() != cold.cells[0].rank.tolist()
    assert choosing.cells[0].distinct_queries.tolist() == [4] * 20  # a label is of all models
    assert taking.cells[0].distinct_queries is None
    for scores in (choosing, taking):
        text = to_json(make_result(board, scores))
        again = from_json(text, "x.json")
        assert to_json(again) == text
        assert again.histories == (board.histories[0].digest,)
        assert "past" not in text
        assert "secret" not in text
        assert is_private(again)
        assert hidden_benchmark(SETTINGS, again).version == board.version
    assert make_result(replace(board, histories=()), taking).histories == ()


@pytest.mark.parametrize("version", ["1-private-history-xyz", "1-private-history-", "2-private", "1"])
def test_a_result_of_no_such_benchmark_is_refused(folder, version):
    board = private_benchmark(SETTINGS, folder)
    (scores,) = score_policies(board, open_races(board), {"uniform": Uniform()})
    result = replace(make_result(board, scores), benchmark=version)
    with pytest.raises(BenchmarkError, match="which is no private one with the settings of '1'"):
        hidden_benchmark(load_benchmark(), result)


@pytest.mark.parametrize("histories", ["x", ["sha256:0"], [3]])
def test_histories_that_are_none_are_refused(folder, histories):
    board = private_benchmark(SETTINGS, folder)
    (scores,) = score_policies(board, open_races(board), {"uniform": Uniform()})
    document = json.loads(to_json(make_result(board, scores)))
    with pytest.raises(BenchmarkError, match="histories should be"):
        from_json(json.dumps({**document, "histories": histories}), "x.json")


@needs_bwrap
def test_a_file_is_scored_as_its_policy_is_here_under_other_numbers(folder, history):
    """Where N queries are all there are, every cell is bought, and the policy is not asked."""
    board = replace(private_benchmark(SETTINGS, folder, [history]), queries_per_model=(4, Q))
    races = open_races(board)
    known = open_backgrounds(board, races)
    file = policy_file(inspect.getsource(inspect.getmodule(ModelSelector)))
    file = replace(file, policy_class="ModelSelector")
    partly, wholly = score_file(board, races, file, known=known).scores.cells
    race = with_models_renumbered(races[0], file.sha256)
    race, background = with_queries_renumbered(race, known[race.tensor], file.sha256)
    runs = simulate(
        ModelSelector(), race.race, budget=4 * M, num_runs=20, seed=board.seed, background=background.background
    )
    assert partly.rank.tolist() == measure(runs, race.accuracy, (1,)).rank.tolist()
    assert partly.pulls.tolist() == runs.pulls.tolist()
    assert partly.distinct_queries.tolist() == runs.distinct_queries.tolist()
    assert set(wholly.rank.tolist()) == {1}
    assert set(wholly.pulls.tolist()) == {M * Q}
