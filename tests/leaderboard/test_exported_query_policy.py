"""An exported policy that chooses queries makes the decisions of the policy that it was, with a history and without."""

import inspect

import numpy as np
import pytest
from hostile import export_here

from gembench.errors import ContractError
from gembench.leaderboard.unpack import read_answer, unpack
from gembench.policies.catalog import CHOOSING
from gembench.policy import Problem
from gembench.query_policy import Background
from gembench.race import Race
from gembench.simulate import simulate

M, Q, H = 13, 40, 9
LONG = dict.fromkeys(("doubly_robust", "ucb_e_lrf", "factorized_active_querying"), pytest.mark.slow)
PROBLEMS = [Problem(M, Q, M * 3), Problem(M, Q, M * 11)]

TALLIES = '''
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from gembench.policy import Stage
from gembench.query_policy import QueryAsk, first_unseen
from gembench.ranking import best_first, best_model


class Kept(NamedTuple):
    """What it remembers."""

    score: jax.Array
    level: jax.Array


@dataclass(frozen=True)
class WeightedTallies:
    """Weighs answers by how they went with the others' totals in the history, in floating point."""

    trust: float = 0.5
    sampling: ClassVar[str] = "shared"

    def plan(self, problem):
        each = problem.budget // 2 // problem.num_models
        num_best = problem.num_models // 3
        left = problem.budget - each * problem.num_models
        return Stage(problem.num_models, each, in_step=True), Stage(num_best, 1, repeats=left // num_best), Stage(1, 1)

    def study(self, problem, background):
        right = (jnp.asarray(background.history) == 1).astype(jnp.float32)
        total = right.sum(axis=1, keepdims=True) / problem.num_queries
        return {"weight": 1 + ((right - 0.5) * (total - 0.5)).sum(axis=0), "prior": jnp.nan_to_num(background.prior)}

    def start(self, rng_key, problem, seen):
        return Kept(jax.random.uniform(rng_key, (problem.num_models,)), jnp.float32(0))

    def ask(self, rng_key, step, seen, memory):
        stage = self.plan(step.problem)[step.stage]
        if step.stage == 0:
            return QueryAsk(jnp.arange(stage.num_models, dtype=jnp.int32), seen.order[None, : stage.max_queries])
        if step.stage == 2:
            model = best_model(rng_key, memory.score)
            rarest = jnp.argmin((seen.answers >= 0).sum(axis=0)).astype(jnp.int32)
            is_new = seen.answers[model, rarest] < 0
            has_pulls = step.pulls_left > 0
            return QueryAsk(model[None], jnp.where(is_new & has_pulls, rarest, -1)[None, None])
        models = best_first(rng_key, memory.score, stage.num_models)
        next_one = jax.vmap(lambda row: first_unseen(seen.order, row >= 0, 1))
        return QueryAsk(models, next_one(seen.answers[models]))

    def learn(self, step, asked, answers, seen, memory):
        likely = jnp.log1p(seen.knowledge["weight"] ** 2)
        score = (seen.answers == 1).astype(jnp.float32) @ likely / jnp.sqrt(1 + seen.tally.pulls.astype(jnp.float32))
        level = memory.level + self.trust * jax.nn.sigmoid(answers.astype(jnp.float32)).sum()
        return Kept(score + seen.knowledge["prior"] + 1e-3 * jnp.sin(level), level)

    def recommend(self, rng_key, problem, seen, memory):
        return memory.score

    def withdraw(self, is_out, memory):
        return memory._replace(score=jnp.where(is_out, -jnp.inf, memory.score))
'''


@pytest.fixture(scope="module")
def race():
    rng = np.random.default_rng(0)
    correct = rng.random((M, Q)) < np.linspace(0.3, 0.8, M)[:, None]
    return Race(correct.astype(np.uint8), np.arange(M) + 1.0, np.full(M, 0.5))


@pytest.fixture(scope="module")
def background():
    rng = np.random.default_rng(1)
    return Background(rng.integers(-1, 2, (H, Q)).astype(np.int8), rng.random(M).astype(np.float32))


def made_from(text):
    """The policy that the text of a file holds, in this process."""
    scope: dict[str, object] = {"__name__": "made_here"}
    exec(text, scope)
    (policy_class,) = (made for made in scope.values() if hasattr(made, "study"))
    return policy_class()


def assert_the_same_decisions(policy, exported, race, background=None):
    for problem in PROBLEMS:
        settings = {"budget": problem.budget, "num_runs": 8, "seed": 5, "with_digests": True, "num_recommended": M}
        original = simulate(policy, race, **settings, background=background)
        replayed = simulate(exported, race, **settings, background=background)
        assert replayed.decision_digests == original.decision_digests
        np.testing.assert_array_equal(replayed.recommended, original.recommended)
        np.testing.assert_array_equal(replayed.distinct_queries, original.distinct_queries)


@pytest.mark.parametrize("num_histories", [0, H])
def test_a_replay_of_an_exported_policy_makes_the_decisions_of_the_policy(race, background, num_histories):
    exported = unpack(export_here(TALLIES, PROBLEMS, num_histories), PROBLEMS, num_histories=num_histories)
    assert_the_same_decisions(made_from(TALLIES), exported, race, background if num_histories else None)


@pytest.mark.parametrize("name", [pytest.param(name, marks=LONG.get(name, ())) for name in CHOOSING])
def test_those_of_the_catalog_do(name, race):
    text = inspect.getsource(inspect.getmodule(CHOOSING[name]))
    exported = unpack(export_here(text, PROBLEMS, policy_class=CHOOSING[name].__name__), PROBLEMS)
    assert_the_same_decisions(CHOOSING[name](), exported, race)


def test_a_policy_of_the_first_level_that_warms_up_is_of_the_second_where_there_is_a_history(race, background):
    text = f"""{TALLIES}

from gembench.policy import Ask, TallyOnly


@dataclass(frozen=True)
class Cold(TallyOnly):
    sampling: ClassVar[str] = "independent"

    @property
    def warm(self):
        return WeightedTallies()

    def plan(self, problem):
        return (Stage(problem.num_models, 3),)

    def ask(self, rng_key, step, tally, memory):
        everyone = jnp.arange(step.problem.num_models, dtype=jnp.int32)
        return Ask(everyone, jnp.full_like(everyone, 3))

    def recommend(self, rng_key, problem, tally, memory):
        return tally.correct
"""
    outputs = {size: export_here(text, PROBLEMS, size, "Cold") for size in (0, H)}
    answers = [read_answer(output) for output in outputs.values()]
    assert [answer.policy_class for answer in answers] == ["Cold", "Cold"]
    assert [answer.chooses_queries for answer in answers] == [False, True]
    assert [answer.uses_history for answer in answers] == [True, True]
    assert [answer.sampling for answer in answers] == ["independent", "shared"]
    cold, warm = (unpack(output, PROBLEMS, num_histories=size) for size, output in outputs.items())
    assert_the_same_decisions(made_from(TALLIES), warm, race, background)
    assert simulate(cold, race, budget=PROBLEMS[0].budget, num_runs=2, background=background).pulls.tolist() == [39, 39]


def test_programs_of_another_size_of_history_are_refused():
    with pytest.raises(ContractError, match=r"study: takes int8\[0, 40\], .* where the contract gives int8\[9, 40\]"):
        unpack(export_here(TALLIES, PROBLEMS), PROBLEMS, num_histories=H)


def test_linear_algebra_in_study_is_refused_with_a_way_out():
    """XLA leaves it to routines of LAPACK, which a program could as well give what makes them read anywhere."""
    changed = TALLIES.replace("right = (", "right = jnp.linalg.svd(jnp.ones((9, 40)))[2][:9] * 0 + (")
    way_out = r'study: contains the foreign routine "lapack_.* by gembench\.small_systems\.solve'
    with pytest.raises(ContractError, match=way_out):
        unpack(export_here(changed, PROBLEMS, H), PROBLEMS, num_histories=H)
