"""Compiled programs: what is kept between processes, and that how they are compiled changes nothing."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gembench import program
from gembench.errors import ContractError
from gembench.policies.catalog import make_policy
from gembench.policies.thompson import Thompson
from gembench.policies.uniform import Uniform
from gembench.policy import Ask, Problem, Stage, Step, TallyOnly
from gembench.race import Race
from gembench.simulate import simulate
from gembench.turn import Setting


@pytest.fixture
def kept(tmp_path):
    """The files kept in a cache folder of the test's own; nothing compiled before is at hand."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    program._compiled.cache_clear()
    yield lambda: sorted(tmp_path.glob("*.stablehlo"))
    jax.config.update("jax_compilation_cache_dir", before)
    program._compiled.cache_clear()


def replay(policy, seed=0, budget=70, with_digests=True):
    """What 20 runs on a small race come to, as bytes."""
    correct = np.random.default_rng(0).integers(2, size=(9, 21)).astype(np.uint8)
    race = Race(correct, np.full(9, 30.0), np.full(9, 0.1))
    runs = simulate(policy, race, budget=budget, num_runs=20, seed=seed, num_recommended=3, with_digests=with_digests)
    return runs.recommended.tobytes(), runs.cost_seconds.tobytes(), runs.decision_digests


def test_a_program_that_was_forgotten_is_let_go_and_replays_the_same_when_made_anew(kept):
    first = replay(Uniform())
    assert program._compiled.cache_info().currsize == 1
    program.forget_programs()
    assert program._compiled.cache_info().currsize == 0
    assert replay(Uniform()) == first


def test_a_program_that_was_kept_gives_what_a_traced_one_gives(kept, monkeypatch):
    traced = replay(make_policy("ucb"))
    assert len(kept()) == 1
    program._compiled.cache_clear()
    monkeypatch.setattr(program, "_replay", None)  # Tracing again would fail.
    assert replay(make_policy("ucb")) == traced


@pytest.mark.parametrize(("name", "effort"), [("uniform", "none"), ("thompson", "some")])
def test_with_a_program_is_kept_whether_it_may_stay_unoptimized(name, effort, kept, monkeypatch):
    replay(make_policy(name))
    (path,) = kept()
    assert program._read(path).effort == effort
    program._compiled.cache_clear()
    monkeypatch.setattr(program, "rounds_alike", None)  # Finding out again would fail.
    replay(make_policy(name))


@pytest.mark.parametrize("damage", [lambda stored: stored[:-1], lambda stored: b"", lambda stored: b"x" + stored])
def test_a_damaged_file_is_made_again(kept, damage):
    traced = replay(make_policy("uniform"))
    (path,) = kept()
    stored = path.read_bytes()
    path.write_bytes(damage(stored))
    program._compiled.cache_clear()
    assert replay(make_policy("uniform")) == traced
    assert program._read(path) is not None


@dataclass(frozen=True)
class Foreign(Uniform):
    """A policy whose source the package does not hold."""


def test_a_policy_of_another_package_is_not_kept(kept):
    assert replay(Foreign()) == replay(make_policy("uniform"))
    assert len(kept()) == 1


def test_another_setting_is_another_program(kept):
    assert replay(make_policy("ucb_e:exploration=0.1")) != replay(make_policy("ucb_e:exploration=9"))
    assert len(kept()) == 2


@pytest.mark.parametrize("name", ["ucb", "ucb_stddev", "ucb_e", "thompson", "ttts"])
def test_one_program_serves_all_budgets_of_a_policy_that_the_budget_only_ends(name, kept):
    """With digests each budget has a program of its own."""
    budgets = (30, 31, 71)
    alone = [replay(make_policy(name), budget=budget)[:2] for budget in budgets]
    assert len(kept()) == 3
    shared = [replay(make_policy(name), budget=budget, with_digests=False)[:2] for budget in budgets]
    assert shared == alone
    assert len(set(alone)) == len(alone)
    assert len(kept()) == 4


def test_a_policy_that_plans_ahead_has_a_program_for_each_budget(kept):
    for budget in (30, 71):
        replay(make_policy("successive_rejects"), budget=budget, with_digests=False)
    assert len(kept()) == 2


@dataclass(frozen=True)
class LastPullElsewhere(TallyOnly):
    """Asks model 0, and model 1 with the last pull."""

    sampling: ClassVar[str] = "independent"

    def plan(self, problem):
        return (Stage(1, 1, problem.budget, until_spent=True),)

    def ask(self, rng_key, step, tally, memory):
        return Ask((step.pulls_left == 1).astype(jnp.int32)[None], jnp.ones(1, jnp.int32))

    def recommend(self, rng_key, problem, tally, memory):
        return tally.pulls


def test_what_is_left_of_the_budget_is_known_in_a_program_that_serves_all_budgets():
    race = Race(np.ones((2, 9), np.uint8), np.array([100.0, 1000.0]), np.array([1.0, 10.0]))
    for budget in (3, 4, 8):
        runs = simulate(LastPullElsewhere(), race, budget=budget, num_runs=5)
        assert (runs.cost_seconds == 100 + (budget - 1) + 1000 + 10).all()


@pytest.mark.parametrize("with_digests", [False, True])
@pytest.mark.parametrize("method", ["start", "ask", "learn", "recommend"])
def test_reading_the_budget_outside_the_plan_is_refused_where_programs_are_shared(method, with_digests):
    def read(self, *arguments):
        (problem,) = [getattr(each, "problem", each) for each in arguments if isinstance(each, Problem | Step)]
        assert problem.budget > 0
        return getattr(Thompson, method)(self, *arguments)

    nosy = type("Nosy", (Thompson,), {method: read})
    with pytest.raises(ContractError) as refusal:
        replay(nosy(), with_digests=with_digests)
    assert str(refusal.value) == (
        "policy Nosy reads problem.budget outside plan, though its plan says until_spent, which lets budgets share a "
        "program; read step.pulls_left or leave until_spent out."
    )


@pytest.mark.parametrize(
    "stages",
    [
        lambda budget: (Stage(9, 1), Stage(1, budget // 9, 9, until_spent=True)),
        lambda budget: (Stage(9, 1, budget // 9), Stage(1, 1, budget, until_spent=True)),
        lambda budget: (Stage(1, 1, budget, until_spent=True),) * (1 + budget // 100),
    ],
    ids=["queries", "repeats of another stage", "number of stages"],
)
def test_stages_that_depend_on_the_budget_are_refused_where_programs_are_shared(stages):
    broken = type("Broken", (Thompson,), {"plan": lambda self, problem: stages(problem.budget)})
    with pytest.raises(ContractError, match=r"^policy Broken plans other stages under other budgets, .*\.$"):
        replay(broken(), with_digests=False)


def test_a_problem_of_any_budget_is_its_problem_in_all_else():
    seen = Setting(Thompson(), Problem(9, 21, 70, 3, 30.0, 0.1), "independent").seen_problem
    assert (seen.num_models, seen.num_queries, seen.num_wanted) == (9, 21, 3)
    assert (seen.seconds_per_load, seen.seconds_per_query) == (30.0, 0.1)
    assert seen == Setting(Thompson(), Problem(9, 21, 71, 3, 30.0, 0.1), "independent").seen_problem
