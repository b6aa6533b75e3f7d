"""The plans of the policies that play in rounds, a round a line as one would write them out by hand.

A line is (models, queries of each).
"""

from fractions import Fraction

import pytest

from gembench.policies.accelerated_sequential_halving import AcceleratedSequentialHalving
from gembench.policies.bayes_elim import BayesElim
from gembench.policies.sequential_halving import SequentialHalving
from gembench.policies.successive_rejects import SuccessiveRejects
from gembench.policies.uniform import Uniform
from gembench.policy import Problem

PLENTY = 10_000


def rounds(policy, num_models, budget, num_queries=PLENTY):
    plan = policy.plan(Problem(num_models, num_queries, budget))
    assert all(stage.repeats == 1 for stage in plan)
    return [(stage.num_models, stage.max_queries) for stage in plan]


@pytest.mark.parametrize("policy", [SequentialHalving(), BayesElim()])
@pytest.mark.parametrize(
    ("num_models", "budget", "num_queries", "expected"),
    [
        # 96 pulls over 4 rounds of 24.
        (16, 96, PLENTY, [(16, 1), (8, 3), (4, 6), (2, 12)]),
        # Odd pools keep the greater half: 11, 6, 3, 2; 4 rounds of 66.
        (11, 264, PLENTY, [(11, 6), (6, 11), (3, 22), (2, 33)]),
        # 7, 4, 2: 3 rounds of 100 / 3 pulls: 33.3 / 7, 33.3 / 4, 33.3 / 2.
        (7, 100, PLENTY, [(7, 4), (4, 8), (2, 16)]),
        (3, 20, PLENTY, [(3, 3), (2, 5)]),
        (2, 9, PLENTY, [(2, 4)]),
        (1, 5, PLENTY, [(1, 5)]),
        # One over and one under a power of two: 9, 5, 3, 2 and 8, 4, 2.
        (9, 360, PLENTY, [(9, 10), (5, 18), (3, 30), (2, 45)]),
        (8, 240, PLENTY, [(8, 10), (4, 20), (2, 40)]),
        # The first two rounds cannot pay a query each: nobody is asked, and chance decides who stays.
        (16, 16, PLENTY, [(16, 0), (8, 0), (4, 1), (2, 2)]),
        # 96 pulls again, but only 8 queries: 1 + 3 are seen, 4 are left of the 6 due, then none of the 12.
        (16, 96, 8, [(16, 1), (8, 3), (4, 4), (2, 0)]),
        (2, 100, 8, [(2, 8)]),
    ],
)
def test_halving_spends_an_equal_share_of_the_budget_in_each_round(policy, num_models, budget, num_queries, expected):
    assert rounds(policy, num_models, budget, num_queries) == expected


@pytest.mark.parametrize(
    ("settings", "num_models", "budget", "num_queries", "expected"),
    [
        # No more models than the first cut keeps: halves from the start. 40 pulls, a third is 13; then 32, a half is
        # 16; then 16. Each round's remainder goes to the next.
        ({}, 8, 40, PLENTY, [(8, 1), (4, 4), (2, 8)]),
        # A quarter of 1000 is 250: 1 query of 150 models, 150 pulls. 850 are left for 100, 50, 25, 13, 7, 4, 2:
        # 850/7 = 121 -> 1 x 100; 750/6 = 125 -> 2 x 50; 650/5 = 130 -> 5 x 25; 525/4 = 131 -> 10 x 13;
        # 395/3 = 131 -> 18 x 7; 269/2 = 134 -> 33 x 4; 137 -> 68 x 2.
        (
            {"first_share": 0.25},
            150,
            1000,
            PLENTY,
            [(150, 1), (100, 1), (50, 2), (25, 5), (13, 10), (7, 18), (4, 33), (2, 68)],
        ),
        # The cut is a setting. Half of 60 is 30: 3 x 9 = 27; 33 left for 4 and 2: 16 -> 4 x 4; 17 -> 8 x 2.
        ({"first_cut": 4, "first_share": 0.5}, 9, 60, PLENTY, [(9, 3), (4, 4), (2, 8)]),
        # A cut to one in 8 stands for 3 halvings: 0.6 * 9 = 5.4, and 2 rounds come after it, so 5.4 / 7.4 of 320, 233:
        # 7 x 32 = 224; 96 left: 48 -> 12 x 4; 48 -> 24 x 2.
        ({"first_cut": 4}, 32, 320, PLENTY, [(32, 7), (4, 12), (2, 24)]),
        # Just as many models as the cut keeps: no cut. 5, 3, 2: 31/3 = 10 -> 2 x 5; 21/2 = 10 -> 3 x 3; 12 -> 6 x 2.
        ({"first_cut": 5}, 5, 31, PLENTY, [(5, 2), (3, 3), (2, 6)]),
        # One more model than that: a quarter of 31 is 7 -> 1 x 6; 25/3 = 8 -> 1 x 5; 20/2 = 10 -> 3 x 3; 11 -> 5 x 2.
        ({"first_cut": 5, "first_share": 0.25}, 6, 31, PLENTY, [(6, 1), (5, 1), (3, 3), (2, 5)]),
        # A share that cannot pay one query each pays one all the same: 8 of 13; then 5 pay one of 4; 1 is lost on 2.
        ({}, 8, 13, PLENTY, [(8, 1), (4, 1), (2, 0)]),
        # Only as many queries as there are: 8/8 and 12/4 spent of 100, 3 more of 2, all 7 seen.
        ({}, 8, 55, 7, [(8, 2), (4, 4), (2, 1)]),
        ({}, 3, 9, PLENTY, [(3, 1), (2, 3)]),
        ({}, 2, 9, PLENTY, [(2, 4)]),
        ({}, 1, 5, PLENTY, [(1, 5)]),
    ],
)
def test_accelerated_halving_cuts_first_and_rolls_over_what_a_round_leaves(
    settings, num_models, budget, num_queries, expected
):
    assert rounds(AcceleratedSequentialHalving(**settings), num_models, budget, num_queries) == expected


def lengths_of_the_source(num_models, budget):
    """n_1 ... n_{M-1} of successive rejects, as the paper's figure 2 writes them, in exact numbers."""
    log_bar = Fraction(1, 2)
    for i in range(2, num_models + 1):
        log_bar += Fraction(1, i)
    lengths = []
    for k in range(1, num_models):
        exact = (1 / log_bar) * Fraction(budget - num_models, num_models + 1 - k)
        lengths.append(-(-exact.numerator // exact.denominator))
    return lengths


def survivors_at_each_pull_count(lengths, num_models, num_queries):
    """{n: how many models are brought to at least n queries}: M + 1 - k in round k."""
    reached = {}
    for k, length in enumerate(lengths, start=1):
        for n in range(1, min(length, num_queries) + 1):
            reached.setdefault(n, num_models + 1 - k)
    return reached


def test_the_lengths_of_successive_rejects_for_four_models_by_hand():
    """log_bar(4) = 1/2 + 1/2 + 1/3 + 1/4 = 19/12; (42 - 4) / (19/12) = 24: 24/4, 24/3, 24/2."""
    assert lengths_of_the_source(4, 42) == [6, 8, 12]
    plan = SuccessiveRejects().plan(Problem(4, PLENTY, 42))
    # The rounds are of similar width and share a stage: 4 x 6, 3 x 2, 2 x 4 queries.
    assert [(stage.num_models, stage.max_queries, stage.repeats) for stage in plan] == [(4, 6, 3)]


def test_successive_rejects_spends_a_budget_of_one_pull_a_model_where_the_source_asks_nothing():
    assert lengths_of_the_source(7, 7) == [0] * 6
    assert [(stage.num_models, stage.max_queries) for stage in SuccessiveRejects().plan(Problem(7, 9, 7))] == [(7, 1)]
    assert [(stage.num_models, stage.max_queries) for stage in SuccessiveRejects().plan(Problem(1, 9, 4))] == [(1, 4)]


@pytest.mark.parametrize("num_queries", [PLENTY, 9])
@pytest.mark.parametrize(
    ("num_models", "budget"),
    [(2, 3), (2, 9), (3, 11), (4, 42), (7, 8), (7, 50), (33, 400), (100, 1003)],
)
def test_the_stages_of_successive_rejects_hold_the_rounds_of_the_source(num_models, budget, num_queries):
    """Each round of the source that asks anything finds an ask in the plan that is wide and deep enough, in order."""
    reached = survivors_at_each_pull_count(lengths_of_the_source(num_models, budget), num_models, num_queries)
    widths = list(reached.values())
    due = [(width, widths.count(width)) for width in sorted(set(widths), reverse=True)]
    plan = SuccessiveRejects().plan(Problem(num_models, num_queries, budget))
    asks = [(stage.num_models, stage.max_queries) for stage in plan for _ in range(stage.repeats)]
    assert len(asks) == len(due)
    for (width, depth), (num_models_due, num_queries_due) in zip(asks, due, strict=True):
        assert width >= num_models_due
        assert depth >= num_queries_due
    # As deep as the deepest of their rounds, and as wide as the first.
    assert sum(width * depth for width, depth in due) <= budget


@pytest.mark.parametrize(
    ("num_models", "budget", "expected"),
    [(7, 21, [(7, 3)]), (7, 24, [(7, 3), (3, 1)]), (1, 4, [(1, 4)]), (5, 5, [(5, 1)])],
)
def test_uniform_shares_the_budget_and_draws_lots_for_the_remainder(num_models, budget, expected):
    assert rounds(Uniform(), num_models, budget) == expected
