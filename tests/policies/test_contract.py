"""Every policy of the catalog keeps the contract, and the simulator plays it as a second, plain engine does.

A policy that joins the catalog is tested here without an edit. The tests of fairness reject below p = 1e-6.
"""

import dataclasses
import functools
import hashlib
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from uniformity import assert_equally_often

from gembench.leaderboard.contract_checks import check_failures, check_ties, stage_fault
from gembench.policies.catalog import CATALOG
from gembench.policy import Problem, Stage, Step, Tally
from gembench.prng import make_key
from gembench.query_order import model_order_key, order_key, query_at
from gembench.race import Race
from gembench.ranking import best_first
from gembench.simulate import simulate

SEED = 11
NUM_RUNS = 500


def problems(*fast, slow):
    return [
        pytest.param(Problem(*sizes), id="x".join(map(str, sizes[:2])) + f"-{sizes[2]}", marks=marks)
        for group, marks in ((fast, ()), (slow, pytest.mark.slow))
        for sizes in group
    ]


# Odd shapes. The budgets: one pull a model, all cells but three, and odd ones in between.
PROBLEMS = problems((7, 11, 7), (13, 5, 62), slow=[(7, 11, 40), (7, 11, 76), (13, 5, 27), (33, 40, 171)])
PLAYED_TWICE = problems((13, 5, 62), slow=[(7, 11, 7), (7, 11, 40), (33, 40, 171)])
every_policy = pytest.mark.parametrize("name", CATALOG)


@functools.cache
def race_of(num_models, num_queries):
    rng = np.random.default_rng(0)
    correct = rng.random((num_models, num_queries)) < np.linspace(0.3, 0.8, num_models)[:, None]
    return Race(correct.astype(np.uint8), np.arange(num_models) + 1.0, np.full(num_models, 0.5))


@functools.cache
def runs_of(policy, problem):
    """What the simulator makes of it: one compiled program for all tests here."""
    race = race_of(problem.num_models, problem.num_queries)
    settings = {"num_runs": NUM_RUNS, "seed": SEED, "num_recommended": problem.num_models}
    return simulate(policy, race, budget=problem.budget, **settings)


class PlainEngine:
    """Plays one run ask by ask in plain Python, trusting the policy with nothing."""

    def __init__(self, policy, problem, correct, sampling, run):
        self.policy, self.problem = policy, problem
        words = jnp.asarray([SEED, 0], jnp.uint32)
        run_key = order_key(words, jnp.uint32(run))
        position = jnp.arange(problem.num_queries, dtype=jnp.int32)
        self.order = [
            np.asarray(
                query_at(
                    run_key if sampling == "shared" else model_order_key(run_key, jnp.int32(model)),
                    position,
                    problem.num_queries,
                )
            ).tolist()
            for model in range(problem.num_models)
        ]
        self.rng_key = jax.random.fold_in(jax.random.fold_in(make_key(SEED), 0), run)
        self.answers = correct.tolist()
        self.seen = [set() for _ in self.answers]
        self.num_correct = [0] * problem.num_models
        self.decisions = hashlib.sha256()
        self.loads = []

    @property
    def spent(self):
        return sum(map(len, self.seen))

    def tally(self):
        return Tally(jnp.asarray([*map(len, self.seen)], jnp.int32), jnp.asarray(self.num_correct, jnp.int32))

    def play(self):
        """The models, best first."""
        memory = self.policy.start(self.problem)
        num_asks = 0
        for index, stage in enumerate(self.policy.plan(self.problem)):
            ask, learn = compiled_rules(self.policy, self.problem, index)
            for repeat in range(stage.repeats):
                if stage.repeats > 1 and self.spent == self.problem.budget:
                    break
                ask_key = jax.random.fold_in(self.rng_key, num_asks)
                asked = ask(ask_key, jnp.int32(repeat), self.left(), self.tally(), memory)
                assert asked.models.dtype == asked.num_queries.dtype == jnp.int32
                assert asked.models.shape == asked.num_queries.shape == (stage.num_models,)
                answered = self.answer(stage, asked.models.tolist(), asked.num_queries.tolist())
                memory = learn(jnp.int32(repeat), self.left(), asked.models, *answered, self.tally(), memory)
                num_asks += 1
        score_key, tie_key = jax.random.split(jax.random.fold_in(self.rng_key, np.uint32(0xFFFFFFFF)))
        scores = self.policy.recommend(score_key, self.problem, self.tally(), memory)
        assert scores.shape == (self.problem.num_models,)
        assert scores.dtype in (jnp.float32, jnp.int32)
        assert not np.isnan(scores).any()
        return best_first(tie_key, scores, self.problem.num_models).tolist()

    def left(self):
        return jnp.int32(self.problem.budget - self.spent)

    def answer(self, stage, models, num_queries):
        asked = [model for model, number in zip(models, num_queries, strict=True) if number]
        assert len(asked) == len(set(asked)), f"{asked} names a model twice"
        granted, right = [], []
        for model, number in zip(models, num_queries, strict=True):
            assert 0 <= model < self.problem.num_models
            assert 0 <= number <= stage.max_queries
            start = len(self.seen[model])
            queries = self.order[model][start : start + number]
            assert not self.seen[model] & set(queries), f"model {model} is asked a query twice"
            self.seen[model] |= set(queries)
            granted.append(len(queries))
            right.append(sum(self.answers[model][query] for query in queries))
            self.num_correct[model] += right[-1]
            if queries:
                self.decisions.update(struct.pack("<ii", model, len(queries)))
        assert self.spent <= self.problem.budget
        # The model that is loaded answers first.
        paying = [model for model, number in zip(models, granted, strict=True) if number]
        self.loads += [model for model in paying if model not in self.loads[-1:]]
        return jnp.asarray(granted, jnp.int32), jnp.asarray(right, jnp.int32)


@functools.cache
def compiled_rules(policy, problem, index):
    def ask(rng_key, repeat, left, tally, memory):
        return policy.ask(rng_key, Step(problem, index, repeat, left), tally, memory)

    def learn(repeat, left, models, granted, right, tally, memory):
        answered = type(jax.eval_shape(ask, make_key(0), repeat, left, tally, memory))(models, granted)
        return policy.learn(Step(problem, index, repeat, left), answered, right, tally, memory)

    return jax.jit(ask), jax.jit(learn)


@every_policy
@pytest.mark.parametrize("problem", PLAYED_TWICE)
def test_a_plain_engine_comes_to_the_same_runs_bit_by_bit(name, problem):
    policy = CATALOG[name]()
    runs = runs_of(policy, problem)
    race = race_of(problem.num_models, problem.num_queries)
    for run in (0, 3, NUM_RUNS - 1):
        engine = PlainEngine(policy, problem, race.correct, policy.sampling, run)
        assert engine.play() == runs.recommended[run].tolist()
        assert engine.spent == runs.pulls[run]
        assert len(engine.loads) == runs.model_loads[run]
        assert sum(race.load_seconds[engine.loads]) + 0.5 * engine.spent == runs.cost_seconds[run]


@pytest.mark.slow
@every_policy
@pytest.mark.parametrize("sampling", ["shared", "independent"])
def test_the_digest_of_the_decisions_is_that_of_the_plain_engine(name, sampling):
    policy, problem = CATALOG[name](), Problem(7, 11, 40)
    race = race_of(7, 11)
    runs = simulate(policy, race, budget=40, num_runs=3, seed=SEED, sampling=sampling, with_digests=True)
    for run in range(3):
        engine = PlainEngine(policy, problem, race.correct, sampling, run)
        engine.play()
        assert engine.decisions.hexdigest() == runs.decision_digests[run]


@every_policy
@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_budget_is_never_passed_and_everyone_is_ranked_once(name, problem):
    runs = runs_of(CATALOG[name](), problem)
    assert (runs.pulls <= problem.budget).all()
    np.testing.assert_array_equal(np.sort(runs.recommended), np.tile(np.arange(problem.num_models), (NUM_RUNS, 1)))


PULL_BY_PULL = [name for name in CATALOG if not hasattr(CATALOG[name], "rounds") and name != "successive_rejects"]


@pytest.mark.parametrize("name", PULL_BY_PULL)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_policy_without_rounds_spends_the_last_pull(name, problem):
    assert (runs_of(CATALOG[name](), problem).pulls == problem.budget).all()


@every_policy
def test_one_model_alone_is_recommended(name):
    runs = runs_of(CATALOG[name](), Problem(1, 9, 4))
    assert (runs.recommended == 0).all()
    assert (runs.pulls <= 4).all()


SHAPES = [
    (1, 1, 1),
    (1, 9, 4),
    (2, 5, 5),
    (3, 7, 10),
    (7, 11, 7),
    (7, 11, 76),
    (13, 5, 62),
    (33, 40, 171),
    (130, 40, 999),
]


@every_policy
@pytest.mark.parametrize("sizes", SHAPES)
def test_a_plan_is_plain_python_and_never_wider_than_the_race(name, sizes):
    problem = Problem(*sizes)
    plan = CATALOG[name]().plan(problem)
    assert isinstance(plan, tuple)
    assert plan == CATALOG[name]().plan(problem)
    hash(plan)
    for stage in plan:
        assert type(stage) is Stage
        assert [type(field) for field in dataclasses.astuple(stage)] == [int, int, int, bool, bool]
        assert not stage_fault(stage, problem)


@every_policy
def test_a_policy_is_frozen_and_equal_to_one_of_equal_settings(name):
    policy = CATALOG[name]()
    assert policy == CATALOG[name]()
    assert hash(policy) == hash(CATALOG[name]())
    assert len({policy, CATALOG[name]()}) == 1
    assert all(policy != CATALOG[other]() for other in CATALOG if other != name)
    assert policy.sampling in ("shared", "independent")
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.anything = 1


def recommendations(name, correct, budget):
    """[R, M] under shared sampling, where models of the same answers tie at every turn."""
    race = Race(np.array(correct, np.uint8), *np.zeros((2, len(correct))))
    settings = {"num_runs": 4_000, "seed": SEED, "sampling": "shared", "num_recommended": len(correct)}
    return simulate(CATALOG[name](), race, budget=budget, **settings).recommended


@every_policy
def test_models_that_cannot_be_told_apart_are_recommended_equally_often(name):
    """At the two places at the top, and at the last."""
    assert check_ties(CATALOG[name]()).verdict == "ok"


@every_policy
def test_after_a_failure_the_others_are_asked_in_its_place(name):
    assert check_failures(CATALOG[name]()).verdict == "ok"


@every_policy
def test_the_second_place_goes_to_two_equals_equally_often_though_another_is_better(name):
    """Models 0 and 2 are never right, model 1 always."""
    recommended = recommendations(name, [[0] * 11, [1] * 11, [0] * 11], budget=17)
    is_found = recommended[:, 0] == 1
    assert is_found.all()
    assert_equally_often(np.bincount(recommended[:, 1], minlength=3)[[0, 2]])


@every_policy
def test_a_setting_is_traced_once_for_all_objects_and_seeds(name):
    num_traces = []

    class Counted(CATALOG[name]):
        def recommend(self, *arguments):
            num_traces.append(1)
            return super().recommend(*arguments)

    race = race_of(3, 5)
    for seed in range(3):
        simulate(Counted(), race, budget=7, num_runs=4, seed=seed)
    assert len(num_traces) == 1
