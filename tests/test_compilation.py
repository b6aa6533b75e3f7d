"""How programs are compiled: as thoroughly as pays, and without a bit of the result depending on it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.export import export

from gembench import compilation, program
from gembench.policies.catalog import make_policy
from gembench.policy import Problem
from gembench.race import Race
from gembench.simulate import simulate


def replay(name):
    """What 20 runs on a small race come to, as bytes."""
    correct = np.random.default_rng(0).integers(2, size=(9, 21)).astype(np.uint8)
    race = Race(correct, np.full(9, 30.1), np.full(9, 0.1))
    runs = simulate(make_policy(name), race, budget=70, num_runs=20, seed=5, num_recommended=3, with_digests=True)
    return runs.recommended.tobytes(), runs.cost_seconds.tobytes(), runs.decision_digests


@pytest.mark.parametrize("name", ["ttts", "ucb_stddev", "uniform", "accelerated_sequential_halving"])
def test_however_thoroughly_a_program_is_compiled_it_makes_the_same_bits(name, monkeypatch):
    results = []
    for little, much in [(10**12, 10**12), (0, 10**12), (0, 0)]:
        monkeypatch.setattr(compilation, "_LITTLE_WORK", little)
        monkeypatch.setattr(compilation, "_MUCH_TO_LOOK_UP", much)
        program._compiled.cache_clear()
        results.append(replay(name))
    program._compiled.cache_clear()
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("name", "num_runs", "expected"),
    [
        ("sequential_halving", 100, "none"),
        ("sequential_halving", 1000, "most"),
        ("ucb", 100, "some"),
        ("ucb", 1000, "most"),
    ],
)
def test_the_work_to_be_done_decides_how_thoroughly_a_program_is_compiled(name, num_runs, expected):
    problem = Problem(467, 3000, 10 * 467)
    assert compilation.choose_effort(problem, make_policy(name).plan(problem), num_runs) == expected


@pytest.mark.parametrize(
    ("compute", "expected"),
    [
        (lambda x: jnp.where(x > 1, x / 3, 0), True),
        (lambda x: jax.lax.top_k(x, 3)[1], True),
        (lambda x: x * 2 + 1, False),  # Rounded once where the two are fused.
        (lambda x: jnp.log(x), False),  # A polynomial.
        (lambda x: x.sum(), False),  # In whatever order.
    ],
)
def test_a_program_may_stay_unoptimized_only_if_its_rounding_cannot_depend_on_that(compute, expected):
    exported = export(jax.jit(compute))(jax.ShapeDtypeStruct((8,), jnp.float32))
    assert compilation.rounds_alike(exported) == expected
