"""Compiled programs: what is kept between processes, and that how they are compiled changes nothing."""

from dataclasses import dataclass

import jax
import numpy as np
import pytest

from gembench import program
from gembench.policies.catalog import make_policy
from gembench.policies.uniform import Uniform
from gembench.race import Race
from gembench.simulate import simulate


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


def test_a_program_that_was_kept_gives_what_a_traced_one_gives(kept, monkeypatch):
    traced = replay(make_policy("ucb"))
    assert len(kept()) == 1
    program._compiled.cache_clear()
    monkeypatch.setattr(program, "_replay", None)  # Tracing again would fail.
    assert replay(make_policy("ucb")) == traced


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
