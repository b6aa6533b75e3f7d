"""The replay engine: exact laws, exact books, and the same bytes however the work is cut up.

Every statistical test rejects below p = 1e-6.
"""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binomtest, hypergeom, multivariate_hypergeom

from gembench.errors import BudgetError, ContractError
from gembench.policies.sequential_halving import SequentialHalving
from gembench.policies.ucb_e import UCBE
from gembench.policies.uniform import Uniform
from gembench.policy import Ask, Stage, TallyOnly
from gembench.query_order import order_key, query_at
from gembench.race import Race
from gembench.simulate import simulate

REJECT_BELOW = 1e-6


def race_of(correct, load_seconds=None, query_seconds=None):
    correct = np.asarray(correct, np.uint8)
    zeros = np.zeros(len(correct))
    return Race(
        correct,
        zeros if load_seconds is None else np.asarray(load_seconds, np.float64),
        zeros if query_seconds is None else np.asarray(query_seconds, np.float64),
    )


def random_race(num_models, num_queries, seed=0):
    rng = np.random.default_rng(seed)
    return race_of(rng.random((num_models, num_queries)) < rng.random((num_models, 1)))


def assert_same(first, second, num_runs=None):
    for name in ("recommended", "pulls", "model_loads", "cost_seconds", "best_pulls", "best_correct"):
        np.testing.assert_array_equal(getattr(first, name)[:num_runs], getattr(second, name)[:num_runs], err_msg=name)


# --- laws


def two_models(both, only_first, only_second, neither):
    first = [1] * (both + only_first) + [0] * (only_second + neither)
    second = [1] * both + [0] * only_first + [1] * only_second + [0] * neither
    return race_of([first, second])


def chance_of_first_under_independent_sampling(num_queries, right_first, right_second, num_asked):
    """Sum over both hypergeometric counts; a tie is a fair coin."""
    counts = np.arange(num_asked + 1)
    first = hypergeom(num_queries, right_first, num_asked).pmf(counts)
    second = hypergeom(num_queries, right_second, num_asked).pmf(counts)
    joint = np.outer(first, second)
    return np.tril(joint, -1).sum() + np.trace(joint) / 2


def chance_of_first_under_shared_sampling(kinds, num_asked):
    """Sum over how many queries of each kind were among those asked: only the kinds that one model gets right count."""
    chance = 0.0
    for only_first in range(num_asked + 1):
        for only_second in range(num_asked + 1 - only_first):
            rest = num_asked - only_first - only_second
            counts = [only_first, only_second, rest]
            law = multivariate_hypergeom([kinds[1], kinds[2], kinds[0] + kinds[3]], num_asked)
            chance += law.pmf(counts) * (only_first > only_second or 0.5 * (only_first == only_second))
    return chance


KINDS = (14, 5, 1, 5)


@pytest.mark.parametrize("num_asked", [1, 10])
def test_uniform_finds_the_better_of_two_models_as_often_as_the_hypergeometric_law_says(num_asked):
    chance = {
        "independent": chance_of_first_under_independent_sampling(25, 19, 15, num_asked),
        "shared": chance_of_first_under_shared_sampling(KINDS, num_asked),
    }
    for sampling, expected in chance.items():
        runs = simulate(Uniform(), two_models(*KINDS), budget=2 * num_asked, num_runs=20_000, sampling=sampling)
        num_found = int((runs.recommended[:, 0] == 0).sum())
        assert binomtest(num_found, 20_000, expected).pvalue > REJECT_BELOW, f"{sampling}: {num_found}, {expected}"


def test_the_two_laws_differ_enough_for_the_test_above_to_tell_the_samplings_apart():
    independent = chance_of_first_under_independent_sampling(25, 19, 15, 10)
    shared = chance_of_first_under_shared_sampling(KINDS, 10)
    assert abs(independent - shared) > 6 * np.sqrt(0.25 / 20_000)


# --- what a run is


@dataclass(frozen=True)
class QueryReader(TallyOnly):
    """Reads the order of the queries off the answers: model m answers with bit m of the query's number.

    It recommends the model whose number is that of the query that stood at `position`.
    """

    position: int
    at_once: bool
    sampling: ClassVar[str] = "shared"

    def plan(self, problem):
        if self.at_once:
            return (Stage(problem.num_models, 1, self.position + 1),)
        return (Stage(1, self.position + 1, 2 * problem.num_models),)

    def start(self, problem):
        return jnp.zeros((2, problem.num_models), jnp.int32)

    def ask(self, rng_key, step, tally, memory):
        num_models = step.problem.num_models
        if self.at_once:
            return Ask(jnp.arange(num_models, dtype=jnp.int32), jnp.ones(num_models, jnp.int32))
        # The last model first: everything before the position, then, in a second pass, the position itself.
        model = num_models - 1 - step.repeat % num_models
        return Ask(model[None], jnp.where(step.repeat < num_models, self.position, 1)[None].astype(jnp.int32))

    def learn(self, step, asked, num_correct, tally, memory):
        """The answers of the last ask of each model."""
        return memory.at[0, asked.models].set(num_correct)

    def recommend(self, rng_key, problem, tally, memory):
        bits = problem.num_models.bit_length() - 1
        query = (memory[0, :bits] << jnp.arange(bits, dtype=jnp.int32)).sum(dtype=jnp.int32)
        return (jnp.arange(problem.num_models, dtype=jnp.int32) == query).astype(jnp.int32)


SPELLED_OUT = race_of([[query >> model & 1 for query in range(16)] for model in range(16)])


@pytest.mark.parametrize("position", [0, 14])
def test_run_r_of_every_policy_meets_the_query_order_of_seed_and_run(position):
    readings = [
        simulate(QueryReader(position, at_once), SPELLED_OUT, budget=255, num_runs=500, seed=(5 << 32) + 7)
        for at_once in (True, False)
    ]
    key = order_key(jnp.asarray([7, 5], jnp.uint32), jnp.arange(500, dtype=jnp.uint32))
    expected = np.asarray(query_at(key, jnp.full(500, position, jnp.int32), 16))
    for reading in readings:
        np.testing.assert_array_equal(reading.recommended[:, 0], expected)
    assert np.unique(expected).size == 16


def test_pulls_loads_and_seconds_are_those_of_a_tiny_race_by_hand():
    """Uniform, budget 8 over 3 models: one block of 2 queries each, then two models, drawn at random, once more.

    The block loads models 0, 1 and 2. If model 2 is among the lucky ones, it is loaded still.
    """
    load_seconds, query_seconds = np.array([100.0, 10.0, 1.0]), np.array([0.5, 0.25, 0.125])
    race = race_of(np.eye(3, 5), load_seconds, query_seconds)
    runs = simulate(Uniform(), race, budget=8, num_runs=200)
    block = 111.0 + 2 * 0.875
    by_lucky_ones = {
        (0, 1): (5, block + 100.5 + 10.25),
        (0, 2): (4, block + 100.5 + 0.125),
        (1, 2): (4, block + 10.25 + 0.125),
    }
    assert (runs.pulls == 8).all()
    assert set(zip(runs.model_loads.tolist(), runs.cost_seconds.tolist(), strict=True)) == set(by_lucky_ones.values())


@pytest.mark.parametrize("shape", [(1, 1), (9, 1), (7, 13)])
def test_a_budget_for_every_cell_buys_every_cell_loads_each_model_once_and_knows_the_best(shape):
    race = random_race(*shape, seed=3)
    runs = simulate(SequentialHalving(), race, budget=10**9, num_runs=4, num_recommended=shape[0])
    assert (runs.pulls == np.prod(shape)).all()
    assert (runs.model_loads == shape[0]).all()
    ranking = race.accuracy[runs.recommended]
    assert (np.diff(ranking, axis=1) <= 0).all()
    np.testing.assert_array_equal(np.sort(runs.recommended), np.tile(np.arange(shape[0]), (4, 1)))


def test_the_tally_of_the_recommended_model_is_its_own():
    """Two models are always wrong. The third, right on 5 of 6 queries, stands out after 2, one of them right."""
    race = race_of([[0] * 6, [0] * 6, [1, 1, 1, 0, 1, 1]])
    few = simulate(Uniform(), race, budget=6, num_runs=50)
    assert (few.recommended[:, 0] == 2).all()
    assert (few.best_pulls == 2).all()
    assert set(few.best_correct.tolist()) == {1, 2}
    everything = simulate(Uniform(), race, budget=18, num_runs=50)
    assert (everything.best_pulls == 6).all()
    assert (everything.best_correct == 5).all()


@pytest.mark.parametrize("policy", [Uniform(), UCBE()])
def test_one_model_is_recommended_whatever_it_answers(policy):
    runs = simulate(policy, random_race(1, 9), budget=4, num_runs=4)
    assert (runs.recommended == 0).all()
    assert (runs.pulls <= 4).all()


def test_a_budget_under_one_pull_a_model_is_refused():
    with pytest.raises(BudgetError, match=r"6 pulls .* 7 models"):
        simulate(Uniform(), random_race(7, 5), budget=6, num_runs=3)


def test_no_more_models_are_recommended_than_there_are():
    runs = simulate(Uniform(), random_race(3, 5), budget=6, num_runs=3, num_recommended=8)
    assert runs.recommended.shape == (3, 3)


# --- the same bytes

RACE = random_race(13, 11)


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_the_same_seed_gives_the_same_runs_and_another_seed_others(seed):
    one, again, other = (simulate(UCBE(), RACE, budget=60, num_runs=200, seed=s) for s in (seed, seed, seed ^ 8))
    assert_same(one, again)
    assert (one.recommended != other.recommended).any()


def test_the_high_word_of_the_seed_counts():
    low, high = (simulate(UCBE(), RACE, budget=60, num_runs=200, seed=s) for s in (3, 3 + 2**32))
    assert (low.recommended != high.recommended).any()


@pytest.mark.parametrize(("policy", "sampling"), [(UCBE(), "shared"), (SequentialHalving(), "independent")])
def test_runs_do_not_depend_on_the_chunks_they_are_replayed_in(policy, sampling):
    sizes = {}

    def replay(name, num_runs, **settings):
        sizes[name] = []
        report = sizes[name].append
        return simulate(policy, RACE, budget=61, num_runs=num_runs, sampling=sampling, on_progress=report, **settings)

    whole, pieces = replay("whole", 45), replay("pieces", 45, memory_bytes=1)
    assert_same(whole, pieces)
    assert sizes["whole"] == [45]
    # At the least a run per device.
    assert sizes["pieces"] == [jax.device_count()] * (45 // jax.device_count()) + [45 % jax.device_count()]
    assert_same(whole, replay("alone", 1), num_runs=1)


def test_more_runs_than_a_chunk_holds_begin_with_those_of_a_smaller_number():
    sizes = []
    many = simulate(Uniform(), RACE, budget=30, num_runs=2_500, on_progress=sizes.append)
    assert sum(sizes) == 2_500
    assert len(sizes) > 1
    assert_same(many, simulate(Uniform(), RACE, budget=30, num_runs=100), num_runs=100)


PRINT_DIGEST = """
import sys
import jax
jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
sys.path.insert(0, sys.argv[2])
from test_simulate import digest_of_some_runs
assert jax.device_count() == int(sys.argv[1])
print(digest_of_some_runs())
"""


def digest_of_some_runs():
    digest = hashlib.sha256()
    for policy in (Uniform(), UCBE()):
        runs = simulate(policy, RACE, budget=61, num_runs=45, with_digests=policy == UCBE())
        for array in (runs.recommended, runs.pulls, runs.model_loads, runs.cost_seconds):
            digest.update(array.tobytes())
        digest.update("".join(runs.decision_digests or ()).encode())
    return digest.hexdigest()


@pytest.mark.parametrize("num_devices", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_the_number_of_devices_does_not_change_a_byte(num_devices):
    assert jax.device_count() == 2
    command = [sys.executable, "-c", PRINT_DIGEST, str(num_devices), os.path.dirname(__file__)]  # noqa: PTH120
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest_of_some_runs()


# --- policies that misbehave


@dataclass(frozen=True)
class Script(TallyOnly):
    """Makes one ask over and over, whatever it comes to."""

    models: tuple[int, ...]
    num_queries: tuple[int, ...]
    max_queries: int = 3
    repeats: int = 1
    sampling: ClassVar[str] = "shared"

    def plan(self, problem):
        return (Stage(len(self.models), self.max_queries, self.repeats),)

    def ask(self, rng_key, step, tally, memory):
        return Ask(jnp.asarray(self.models, jnp.int32), jnp.asarray(self.num_queries, jnp.int32))

    def recommend(self, rng_key, problem, tally, memory):
        return tally.correct


@pytest.mark.parametrize(
    ("script", "rule"),
    [
        (Script((0, 1, 2), (3, 3, 3), repeats=2), "more pulls than the budget"),
        (Script((0,), (3,), repeats=5), None),
        (Script((2, 1, 2), (1, 1, 1)), "one model twice"),
        (Script((0, 4), (1, 1)), "does not exist"),
        (Script((-1,), (1,)), "does not exist"),
        (Script((0, 1), (4, 1)), "more queries of a model than its stage allows"),
        (Script((0, 1), (-1, 1)), "fewer than none"),
    ],
)
def test_a_broken_contract_is_an_error_that_names_policy_and_rule(script, rule):
    """4 models x 7 queries, budget 15. The second script asks one model for 15, and gets the 7 that there are."""
    race = random_race(4, 7)
    if rule is None:
        runs = simulate(script, race, budget=15, num_runs=3)
        assert (runs.pulls == 7).all()
        return
    with pytest.raises(ContractError, match=f"policy Script broke the contract in run 0: .*{rule}"):
        simulate(script, race, budget=15, num_runs=3)
