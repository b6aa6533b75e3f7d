"""The rounds of small cuts: by hand, and what must hold of them for any race."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gembench.policy import Problem
from gembench.shrinking import shrinking_rounds


@given(
    num_models=st.integers(1, 500),
    num_queries=st.integers(1, 400),
    each=st.floats(1, 60),
    keep=st.floats(0.05, 0.95),
    steepness=st.floats(0.2, 3),
)
def test_rounds_spend_the_budget_but_for_less_than_the_last_ones_models(num_models, num_queries, each, keep, steepness):
    budget = min(int(each * num_models), num_models * num_queries)
    rounds = shrinking_rounds(Problem(num_models, num_queries, budget), keep, steepness)
    sizes = [each.num_models for each in rounds]
    asked = sum(each.num_queries for each in rounds)
    spent = sum(each.num_models * each.num_queries for each in rounds)
    assert sizes[0] == num_models
    assert all(later < earlier for earlier, later in itertools.pairwise(sizes))
    assert rounds[0].num_queries >= 1
    assert all(each.num_queries >= 0 for each in rounds)
    assert spent <= budget
    assert asked == num_queries or spent > budget - sizes[-1]


def test_models_fall_as_one_over_queries():
    """With t0 = 10 and a cut at each halving, 80 models are left at 40, 20, 10 and 5 after 10, 30, 70 and 150."""
    pulls = 80 * 10 + 40 * 20 + 20 * 40 + 10 * 80
    rounds = shrinking_rounds(Problem(80, 10_000, pulls + 5 * 160 + 2 * 1_000), 0.5, 1.0)
    for each, size in zip(rounds, (80, 40, 20, 10), strict=False):
        assert each.num_models == pytest.approx(size, rel=0.05)
    pulls = [each.num_models * each.num_queries for each in rounds[:4]]
    assert max(pulls) == pytest.approx(min(pulls), rel=0.15)


def test_steeper_curves_spend_more_on_the_many():
    problem = Problem(300, 3000, 15_000)
    first = [shrinking_rounds(problem, 0.75, steepness)[0].num_queries for steepness in (0.8, 1.0, 1.3)]
    assert first == sorted(first)
    assert first[0] < first[-1]
