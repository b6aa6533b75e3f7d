"""Each policy in the simulator against its slow twin: the same law of what is recommended, paid for and loaded.

Every comparison is a two-sample chi-square test that rejects below p = 1e-6. The file makes under 300 of them: on sound
code, a fresh draw of all seeds would fail one of 3,000 times. What the tests can see is shown below them, on twins that
were broken on purpose.
"""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from references import (
    accelerated_sequential_halving,
    bayes_elim,
    sequential_halving,
    successive_rejects,
    thompson,
    ttts,
    ucb,
    ucb_e,
    ucb_stddev,
    uniform,
)
from references.replay import Replay
from scipy.stats import chi2_contingency

from gembench.policies.catalog import make_policy
from gembench.race import Race
from gembench.simulate import simulate

REJECT_BELOW = 1e-6
NUM_RECOMMENDED = 3
NUM_SIMULATED_RUNS = 4_000


def model_tree(num_models: int, num_queries: int, seed: int) -> NDArray[np.bool_]:
    """[M, Q] answers of fine-tunes that kept about half of their base's answers."""
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(0.0, 1.0, num_queries)
    skill = rng.normal(0.0, 0.8, num_models)
    base = rng.random(num_queries) < 1 / (1 + np.exp(difficulty))
    own = rng.random((num_models, num_queries)) < 1 / (1 + np.exp(difficulty - skill[:, None]))
    return np.where(rng.random((num_models, num_queries)) < 0.5, base, own)


def clear_cut(num_models: int, num_queries: int, seed: int) -> NDArray[np.bool_]:
    """[M, Q] answers of models so far apart that a policy comes to dwell on the best, and to exhaust it."""
    rng = np.random.default_rng(seed)
    return rng.random((num_models, num_queries)) < np.linspace(0.4, 0.8, num_models)[:, None]


@dataclass(frozen=True, eq=False)
class Setting:
    """A tensor and a budget; the budgets leave a remainder when shared out evenly."""

    correct: NDArray[np.bool_]
    budget: int


SMALL, MIDDLE, LARGE = model_tree(24, 40, seed=1), model_tree(37, 80, seed=2), model_tree(130, 60, seed=3)
SMALL_RICH, MIDDLE_POOR = Setting(SMALL, 8 * 24 + 7), Setting(MIDDLE, 3 * 37 + 9)
SMALL_POOR, MIDDLE_RICH = Setting(SMALL, 3 * 24 + 7), Setting(MIDDLE, 8 * 37 + 9)
CLEAR = Setting(clear_cut(8, 60, seed=4), 200)
LARGE_POOR, LARGE_RICH = Setting(LARGE, 3 * 130 + 50), Setting(LARGE, 8 * 130 + 50)


@dataclass(frozen=True)
class Case:
    """A policy as the catalog names it, its twin, and how many runs of the twin are affordable."""

    spec: str
    twin: ModuleType
    twin_settings: dict[str, Any] = field(default_factory=dict)
    sampling: str = "independent"
    num_runs: int = 4_000


ONE_AT_A_TIME = [
    Case("ucb", ucb, num_runs=1_000),
    Case("ucb_stddev", ucb_stddev, num_runs=1_000),
    Case("ucb_e", ucb_e, num_runs=1_000),
    Case("thompson", thompson, num_runs=600),
    Case("ttts", ttts, num_runs=600),
]
ONE_AT_A_TIME_OTHERWISE = [
    Case("ucb:exploration=2.0", ucb, {"exploration": 2.0}, num_runs=1_000),
    Case("ucb_e:exploration=0.25", ucb_e, {"exploration": 0.25}, "shared", num_runs=1_000),
    Case("ttts:leader_probability=0.8", ttts, {"leader_probability": 0.8}, num_runs=600),
]
IN_ROUNDS = [
    Case("uniform", uniform),
    Case("successive_rejects", successive_rejects, num_runs=1_500),
    Case("sequential_halving", sequential_halving),
    Case("bayes_elim", bayes_elim),
    Case("accelerated_sequential_halving", accelerated_sequential_halving, sampling="shared"),
]
IN_ROUNDS_OTHERWISE = [
    Case("uniform", uniform, sampling="shared"),
    Case("sequential_halving", sequential_halving, sampling="shared"),
    Case("accelerated_sequential_halving", accelerated_sequential_halving, sampling="independent"),
]
FIRST_CUT = Case("accelerated_sequential_halving", accelerated_sequential_halving, sampling="shared")
FIRST_CUT_OTHERWISE = Case(
    "accelerated_sequential_halving:first_share=0.5", accelerated_sequential_halving, {"first_share": 0.5}, "shared"
)


def every(cases: list[Case], settings: list[Setting]) -> list[Any]:
    """Each case in each setting, by name."""
    return [
        pytest.param(
            case,
            setting,
            id=f"{case.spec}-{case.sampling}-{'x'.join(map(str, setting.correct.shape))}-{setting.budget}",
        )
        for case in cases
        for setting in settings
    ]


Observed = dict[str, NDArray[np.int64]]
"""By name of the statistic, its value in each run."""


def observed(
    setting: Setting, recommended: NDArray[np.int64], pulls: NDArray[np.int64], loads: NDArray[np.int64]
) -> Observed:
    accuracy = setting.correct.mean(axis=1)
    rank = 1 + (accuracy[None, :] > accuracy[:, None]).sum(axis=1)
    by_place = {f"rank of recommendation {place + 1}": rank[recommended[:, place]] for place in range(NUM_RECOMMENDED)}
    return {**by_place, "pulls": pulls, "model loads": loads}


def observe_twin(
    twin: ModuleType, setting: Setting, sampling: str, num_runs: int, seed: int = 0, **settings: Any
) -> Observed:
    recommended, pulls, loads = [], [], []
    for run in range(num_runs):
        rng = np.random.default_rng([seed, run])
        table = Replay(setting.correct, sampling, rng, setting.budget)
        scores = twin.run(table, setting.budget, rng, **settings)
        recommended.append(np.argsort(-scores)[:NUM_RECOMMENDED])
        pulls.append(len(table.history))
        loads.append(table.num_loads())
    return observed(setting, np.array(recommended), np.array(pulls), np.array(loads))


def observe_simulator(spec: str, setting: Setting, sampling: str) -> Observed:
    num_models = setting.correct.shape[0]
    race = Race(setting.correct.astype(np.uint8), np.zeros(num_models), np.zeros(num_models))
    runs = simulate(
        make_policy(spec),
        race,
        budget=setting.budget,
        num_runs=NUM_SIMULATED_RUNS,
        seed=0,
        sampling=sampling,
        num_recommended=NUM_RECOMMENDED,
    )
    return observed(setting, runs.recommended, runs.pulls, runs.model_loads)


def p_value_of_one_law(first: NDArray[np.int64], second: NDArray[np.int64], most_bins: int = 20) -> float:
    """Two-sample chi-square test on neighbouring values pooled into at most `most_bins` bins, 10 expected in each."""
    smaller_share = min(first.size, second.size) / (first.size + second.size)
    least = max(10 / smaller_share, (first.size + second.size) / most_bins)
    values, counts = np.unique(np.concatenate([first, second]), return_counts=True)
    edges, in_bin = [], 0
    for value, count in zip(values, counts, strict=True):
        in_bin += count
        if in_bin >= least:
            edges.append(value)
            in_bin = 0
    if in_bin > 0 and edges:
        edges.pop()
    bins = len(edges) + (in_bin > 0)
    table = [np.bincount(np.searchsorted(edges, sample), minlength=bins) for sample in (first, second)]
    occupied = np.array(table)[:, np.sum(table, axis=0) > 0]
    if occupied.shape[1] < 2:
        return 1.0
    return float(chi2_contingency(occupied, correction=False).pvalue)


def p_values(first: Observed, second: Observed) -> dict[str, float]:
    return {name: p_value_of_one_law(first[name], second[name]) for name in first}


def assert_one_law(case: Case, setting: Setting, statistics: set[str]) -> None:
    twin = observe_twin(case.twin, setting, case.sampling, case.num_runs, **case.twin_settings)
    simulator = observe_simulator(case.spec, setting, case.sampling)
    # No policy leaves the total to chance, so that it needs no statistics.
    assert np.unique(simulator["pulls"]).tolist() == np.unique(twin["pulls"]).tolist()
    p_by_name = {name: p for name, p in p_values(twin, simulator).items() if name in statistics}
    means = {name: (twin[name].mean(), simulator[name].mean()) for name in p_by_name}
    assert min(p_by_name.values()) > REJECT_BELOW, f"p-values {p_by_name}; means of twin and simulator {means}"


RANKS = {f"rank of recommendation {place + 1}" for place in range(NUM_RECOMMENDED)}


@pytest.mark.parametrize(("case", "setting"), every(ONE_AT_A_TIME, [SMALL_RICH]))
def test_a_policy_of_single_pulls_follows_the_law_of_its_twin(case, setting):
    assert_one_law(case, setting, RANKS | {"model loads"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "setting"),
    every(ONE_AT_A_TIME, [CLEAR, SMALL_POOR, MIDDLE_POOR, MIDDLE_RICH])
    + every(ONE_AT_A_TIME_OTHERWISE, [CLEAR, SMALL_RICH, SMALL_POOR, MIDDLE_POOR, MIDDLE_RICH]),
)
def test_a_policy_of_single_pulls_follows_the_law_of_its_twin_elsewhere_too(case, setting):
    assert_one_law(case, setting, RANKS | {"model loads"})


@pytest.mark.parametrize(("case", "setting"), [*every(IN_ROUNDS, [SMALL_RICH]), *every([FIRST_CUT], [LARGE_POOR])])
def test_a_policy_of_rounds_follows_the_law_of_its_twin(case, setting):
    """Whom a round asks first is nobody's rule, so that the loads are left out."""
    assert_one_law(case, setting, RANKS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "setting"),
    every(IN_ROUNDS, [SMALL_POOR, MIDDLE_POOR, MIDDLE_RICH])
    + every(IN_ROUNDS_OTHERWISE, [SMALL_RICH, SMALL_POOR, MIDDLE_POOR, MIDDLE_RICH])
    + every([FIRST_CUT], [LARGE_RICH])
    + every([FIRST_CUT_OTHERWISE], [LARGE_POOR, LARGE_RICH]),
)
def test_a_policy_of_rounds_follows_the_law_of_its_twin_elsewhere_too(case, setting):
    assert_one_law(case, setting, RANKS)


ALWAYS_AND_NEVER_RIGHT = np.array([[True], [False]]).repeat(100, axis=1)


@pytest.mark.parametrize(
    ("spec", "twin", "settings", "budget"),
    [
        ("ucb", ucb, {}, 7),
        ("ucb", ucb, {}, 53),
        ("ucb_stddev:exploration=8", ucb_stddev, {"exploration": 8.0}, 6),
        ("ucb_stddev:exploration=8", ucb_stddev, {"exploration": 8.0}, 29),
        ("ucb_e", ucb_e, {}, 14),
    ],
)
def test_a_bound_returns_to_a_model_that_is_never_right_at_the_very_pull_of_its_twin(spec, twin, settings, budget):
    """Nothing is random here. At these budgets the loads would differ with ln(t - 1) for ln t (7, 6) or with ln(t + 1)
    (53, 29), and UCB-E returns with its last pull: 1 + sqrt(2 / 12) < sqrt(2).
    """
    race = Race(ALWAYS_AND_NEVER_RIGHT.astype(np.uint8), np.zeros(2), np.zeros(2))
    runs = simulate(make_policy(spec), race, budget=budget, num_runs=8, seed=0, sampling="shared")
    table = Replay(ALWAYS_AND_NEVER_RIGHT, "shared", np.random.default_rng(0), budget)
    twin.run(table, budget, np.random.default_rng(0), **settings)
    assert runs.model_loads.tolist() == [table.num_loads()] * 8
    assert runs.recommended[:, 0].tolist() == [0] * 8


def of_the_budget(twin: ModuleType, share: float) -> Any:
    """The twin, misinformed about its budget."""

    class Misinformed:
        @staticmethod
        def run(table, budget, rng):
            return twin.run(table, int(share * budget), rng)

    return Misinformed


FIRST_RANK = "rank of recommendation 1"


@pytest.mark.parametrize(
    ("right", "wrong", "settings", "setting", "num_runs", "seen_in"),
    [
        (ucb, ucb, {"exploration": 8.0}, SMALL_RICH, 300, "model loads"),
        (ucb_stddev, ucb_stddev, {"exploration": 8.0}, SMALL_RICH, 300, "model loads"),
        (ucb_e, ucb_e, {"exploration": 8.0}, SMALL_RICH, 300, "model loads"),
        (ucb, ucb_stddev, {}, SMALL_RICH, 300, "model loads"),
        (ttts, thompson, {}, CLEAR, 300, "model loads"),
        (ttts, ttts, {"leader_probability": 0.7}, CLEAR, 300, "model loads"),
        (successive_rejects, of_the_budget(successive_rejects, 0.95), {}, SMALL_RICH, 100, "pulls"),
        (uniform, of_the_budget(uniform, 0.95), {}, SMALL_RICH, 100, "pulls"),
        (sequential_halving, bayes_elim, {}, SMALL_RICH, 2_000, FIRST_RANK),
        (accelerated_sequential_halving, sequential_halving, {}, LARGE_RICH, 600, FIRST_RANK),
        (
            accelerated_sequential_halving,
            accelerated_sequential_halving,
            {"first_share": 0.5},
            LARGE_RICH,
            100,
            "pulls",
        ),
    ],
    ids=[
        "ucb explores four times as much",
        "ucb_stddev explores four times as much",
        "ucb_e explores four times as much",
        "ucb takes the empirical deviation",
        "ttts never looks for a challenger",
        "ttts asks the leader more often",
        "successive rejects loses a twentieth of its budget",
        "uniform loses a twentieth of its budget",
        "sequential halving keeps a running tally",
        "accelerated halving does not cut to one hundred",
        "accelerated halving spends half at first",
    ],
)
def test_a_broken_twin_would_be_found_out(right, wrong, settings, setting, num_runs, seen_in):
    """The test of the test: the mutation is rejected at the same level and with fewer runs than above."""
    sound = observe_twin(right, setting, "independent", num_runs)
    mutated = observe_twin(wrong, setting, "independent", num_runs, seed=1, **settings)
    assert p_values(sound, mutated)[seen_in] < REJECT_BELOW


@pytest.mark.slow
@pytest.mark.parametrize("twin", [uniform, sequential_halving, accelerated_sequential_halving])
def test_the_wrong_sampling_would_be_found_out(twin):
    shared = observe_twin(twin, MIDDLE_RICH, "shared", 4_000)
    independent = observe_twin(twin, MIDDLE_RICH, "independent", 4_000, seed=1)
    p_by_name = p_values(shared, independent)
    assert min(p_by_name[name] for name in RANKS) < REJECT_BELOW


def test_the_two_sample_test_rejects_equal_laws_as_seldom_as_it_says():
    """Of 2,000 pairs under one law about 1 % have p < 0.01: within 5 standard errors (4.45 each) of 20."""
    rng = np.random.default_rng(5)
    law = 0.8 ** np.arange(25) / sum(0.8 ** np.arange(25))
    rejected = sum(
        p_value_of_one_law(rng.choice(25, 600, p=law), rng.choice(25, 4_000, p=law)) < 0.01 for _ in range(2_000)
    )
    assert 0 < rejected < 20 + 5 * 4.45
