"""The second level of the contract: what a policy that chooses queries is given, and what it may not do."""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest

from gembench.errors import ContractError
from gembench.policy import Stage
from gembench.query_policy import Background, QueryAsk, first_unseen
from gembench.race import Race
from gembench.simulate import simulate

RACE = Race(np.random.default_rng(0).integers(0, 2, (4, 7), np.uint8), np.ones(4), np.ones(4))


@dataclass(frozen=True)
class Script:
    """Makes one ask over and over, whatever it comes to."""

    models: tuple[int, ...]
    queries: tuple[tuple[int, ...], ...]
    repeats: int = 1
    in_step: bool = False
    sampling: ClassVar[str] = "shared"

    def plan(self, problem):
        return (Stage(len(self.models), 2, self.repeats, in_step=self.in_step),)

    def study(self, problem, background):
        return background.prior

    def start(self, rng_key, problem, seen):
        return ()

    def ask(self, rng_key, step, seen, memory):
        return QueryAsk(jnp.asarray(self.models, jnp.int32), jnp.asarray(self.queries, jnp.int32))

    def learn(self, step, asked, answers, seen, memory):
        return memory

    def recommend(self, rng_key, problem, seen, memory):
        return (seen.answers == 1).sum(axis=1, dtype=jnp.int32)

    def withdraw(self, is_out, memory):
        return memory


@pytest.mark.parametrize(
    ("script", "rule"),
    [
        (Script((0, 1), ((0, 7), (1, 2))), "a query that does not exist"),
        (Script((0, 1), ((0, -2), (1, 2))), "a query that does not exist"),
        (Script((0, 1), ((3, 3), (1, 2))), "the same query twice"),
        (Script((0, 1), ((0, 1), (1, 2)), repeats=2), "the same query twice"),
        (Script((0, 1), ((4, 4),), in_step=True), "the same query twice"),
        (Script((2, 2), ((0, 1), (2, 3))), "one model twice"),
        (Script((0, 4), ((0, 1), (2, 3))), "a model that does not exist"),
        (Script((0, 1, 2), ((0, 1), (2, 3), (4, 5))), "more pulls than the budget"),
        (Script((0, 1), ((0,), (1,))), r"asks \(2,\) models \(2, 1\) queries, but its stage 0 has \(2,\) and \(2, 2\)"),
        (Script((0, 1), ((0, 1), (1, 2)), in_step=True), r"its stage 0 has \(2,\) and \(1, 2\)"),
    ],
)
def test_a_broken_contract_is_an_error_that_names_policy_and_rule(script, rule):
    """4 models x 7 queries, budget 5."""
    with pytest.raises(ContractError, match=f"policy Script .*{rule}"):
        simulate(script, RACE, budget=5, num_runs=3)


def test_what_is_asked_is_what_is_answered_paid_for_and_counted():
    runs = simulate(Script((3, 1), ((0, 5), (5, -1))), RACE, budget=5, num_runs=2, num_recommended=4)
    right = [0, int(RACE.correct[1, 5]), 0, int(RACE.correct[3, [0, 5]].sum())]
    assert runs.pulls.tolist() == [3, 3]
    assert runs.distinct_queries.tolist() == [2, 2]
    assert runs.model_loads.tolist() == [2, 2]
    best = runs.recommended[:, 0]
    assert [right[model] for model in best] == [max(right)] * 2
    assert runs.best_correct.tolist() == [max(right)] * 2


def test_in_step_all_models_of_a_stage_answer_the_same_queries():
    runs = simulate(Script((3, 1), ((6, 2),), in_step=True), RACE, budget=5, num_runs=1, num_recommended=4)
    right = {model: int(RACE.correct[model, [6, 2]].sum()) for model in (1, 3)}
    assert runs.pulls.tolist() == [4]
    assert runs.best_correct[0] == max(right.values())


class ByPrior(Script):
    """Recommends whom it knew beforehand to be best."""

    def recommend(self, rng_key, problem, seen, memory):
        return seen.knowledge


def test_what_is_known_before_a_race_reaches_the_policy():
    background = Background(np.zeros((0, 7), np.int8), np.asarray([0.1, 0.4, 0.3, 0.2], np.float32))
    runs = simulate(
        ByPrior((0, 1), ((0, 1), (2, 3))), RACE, budget=5, num_runs=1, num_recommended=4, background=background
    )
    assert runs.recommended.tolist() == [[1, 2, 3, 0]]


class Solver(Script):
    """Solves a linear system in every run."""

    def recommend(self, rng_key, problem, seen, memory):
        pulls = seen.tally.pulls.astype(jnp.float32)
        return jnp.linalg.solve(jnp.eye(4) + jnp.outer(pulls, pulls), jnp.ones(4))


def test_a_policy_that_would_hang_on_several_devices_is_refused():
    """It did, with two runs' systems on two devices of one processor."""
    with pytest.raises(ContractError, match=r"policy Solver calls LAPACK in a run .* gembench.small_systems.solve"):
        simulate(Solver((0, 1), ((0, 1), (2, 3))), RACE, budget=5, num_runs=2)


def test_the_first_unseen_queries_come_in_the_orders_order_and_then_none():
    order = jnp.asarray([3, 0, 4, 1, 2], jnp.int32)
    is_seen = jnp.asarray([True, False, False, True, False])
    assert first_unseen(order, is_seen, 2).tolist() == [4, 1]
    assert first_unseen(order, is_seen, 4).tolist() == [4, 1, 2, -1]
