from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
import pytest
from boards import make_benchmark

from gembench.leaderboard.benchmark import BenchmarkTensor
from gembench.leaderboard.scores import cells_of, score_policies
from gembench.load_race import LoadedRace
from gembench.measures import measure
from gembench.policies.uniform import Uniform
from gembench.policy import Ask, Stage, TallyOnly
from gembench.race import Race
from gembench.simulate import simulate


@dataclass(frozen=True)
class Stubborn(TallyOnly):
    """Asks every model once and recommends the same one whatever it hears."""

    favourite: int = 0
    sampling = "independent"

    def plan(self, problem):
        return (Stage(problem.num_models, 1),)

    def ask(self, rng_key, step, tally, memory):
        every = jnp.arange(step.problem.num_models, dtype=jnp.int32)
        return Ask(every, jnp.ones_like(every))

    def recommend(self, rng_key, problem, tally, memory):
        return (jnp.arange(problem.num_models) == self.favourite).astype(jnp.int32)


def make_race(name, digest, num_models=5):
    correct = (np.arange(20) < 4 * np.arange(num_models)[:, None]).astype(np.uint8)
    models = tuple(f"model-{model}" for model in range(num_models))
    costs = np.full(num_models, 2.0), np.full(num_models, 0.00026)
    return LoadedRace(name, digest, 0.5, models, Race(correct, *costs), "recorded", (), 0)


@pytest.fixture
def board():
    benchmark = make_benchmark(("oak", "ash"), (2, 4), runs=20, seed=9)
    return benchmark, [make_race(tensor.name, tensor.digest) for tensor in benchmark.tensors]


def test_cells_go_by_tensor_and_then_by_queries_per_model():
    benchmark = make_benchmark(("oak", "ash"), (10, 5))
    assert [(cell.tensor, cell.queries_per_model) for cell in cells_of(benchmark)] == [
        ("oak", 10),
        ("oak", 5),
        ("ash", 10),
        ("ash", 5),
    ]


def test_any_object_that_keeps_the_contract_is_scored_under_the_name_it_is_given(board):
    benchmark, races = board
    scores = score_policies(benchmark, races, {"best": Stubborn(4), "worst": Stubborn(0)})
    assert [each.name for each in scores] == ["best", "worst"]
    for each, rank in zip(scores, (1, 5), strict=True):
        assert [score.cell for score in each.cells] == list(cells_of(benchmark))
        for score in each.cells:
            assert score.rank.tolist() == [rank] * 20
            assert score.recall[1].tolist() == [float(rank == 1)] * 20
            assert score.accuracy.tolist() == [{1: 0.8, 5: 0.0}[rank]] * 20
            assert score.pulls.tolist() == score.model_loads.tolist() == [5] * 20


def test_seconds_are_kept_to_the_millisecond(board):
    scores = score_policies(*board, {"best": Stubborn(4)})
    assert scores[0].cells[0].cost_seconds.tolist() == [10.001] * 20  # 5 loads of 2 s and 5 answers of 0.26 ms


def test_the_runs_are_those_of_the_simulator_at_the_seed_of_the_benchmark(board):
    benchmark, races = board
    (scored,) = score_policies(benchmark, races, {"uniform": Uniform()})
    runs = simulate(Uniform(), races[1].race, budget=20, num_runs=20, seed=9, num_recommended=3)
    measures = measure(runs, races[1].accuracy, (1, 3))
    last = scored.cells[3]
    assert last.rank.tolist() == measures.rank.tolist()
    assert last.recall[3].tolist() == measures.recall[3].tolist()
    (other,) = score_policies(replace(benchmark, seed=10), races, {"uniform": Uniform()})
    assert other.cells[3].rank.tolist() != last.rank.tolist()


def test_progress_counts_every_run(board):
    counts = []
    score_policies(*board, {"best": Stubborn(4), "worst": Stubborn(0)}, on_progress=counts.append)
    assert sum(counts) == 2 * 4 * 20


def test_what_a_score_says_of_its_tensor_never_names_the_place_it_came_from(board):
    hidden = replace(board[0], tensors=(BenchmarkTensor("sha256:0", "sha256:0", "/secret/name.npz"),))
    (scored,) = score_policies(hidden, [make_race("sha256:0", "sha256:0")], {"best": Stubborn(4)})
    assert "secret" not in repr(scored)
