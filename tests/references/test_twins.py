"""Each twin against a computation by hand from its paper."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import chisquare

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

ALWAYS, NEVER = [1] * 40, [0] * 40


def play(twin, answers, budget, seed=0, **settings):
    """The table after the run, and the models from best to worst."""
    table = Replay.in_order(answers, budget)
    score = twin.run(table, budget, np.random.default_rng(seed), **settings)
    return table, np.argsort(-score).tolist()


def test_uniform_gives_the_left_over_pulls_to_distinct_models_at_random():
    """8 pulls on 3 models: 2 each and 2 over. Each model misses the extra one a third of the time (p < 1e-6)."""
    without = [play(uniform, [ALWAYS, NEVER, NEVER], 8, seed)[0].pulls.index(2) for seed in range(900)]
    assert chisquare([without.count(model) for model in range(3)]).pvalue > 1e-6
    table, ranking = play(uniform, [NEVER, ALWAYS, NEVER], 8)
    assert sorted(table.pulls) == [2, 3, 3]
    assert ranking[0] == 1


def test_uniform_stops_where_the_queries_do():
    assert play(uniform, [[1, 0], [0, 0]], 7)[0].pulls == [2, 2]


def test_ucb_returns_to_the_losing_model_when_its_bound_is_the_higher_one():
    """Good at n pulls: 1 + sqrt(2 ln t / n). Bad at one pull: sqrt(2 ln t). With t = n + 1 the first t at which
    the bad one is ahead is 6: 1 + sqrt(3.584 / 5) = 1.847 < 1.893; at t = 5, 1 + sqrt(3.219 / 4) = 1.897 > 1.794.
    """
    table, ranking = play(ucb, [ALWAYS, NEVER], 8, exploration=2.0)
    assert sorted(table.history[:2]) == [0, 1]
    assert table.history[2:] == [0, 0, 0, 0, 1, 0]
    assert ranking == [0, 1]


def test_ucb_explores_more_when_told_to():
    """Exploration 8: t = 2, n = 1: 1 + sqrt(8 ln 2) = 3.355 > 2.355; t = 3, n = 2: 1 + sqrt(8.789 / 2) = 3.096 >
    2.965; t = 4, n = 3: 1 + sqrt(11.09 / 3) = 2.923 < 3.330.
    """
    assert play(ucb, [ALWAYS, NEVER], 5, exploration=8.0)[0].history[2:] == [0, 0, 1]


def test_ucb_e_returns_to_the_losing_model_after_twelve_right_answers():
    """1 + sqrt(2 / n) < sqrt(2) from n = 2 / (sqrt(2) - 1)^2 = 11.66 on."""
    table, ranking = play(ucb_e, [NEVER, ALWAYS], 15, exploration=2.0)
    assert table.history[2:] == [1] * 11 + [0, 1]
    assert ranking == [1, 0]


def test_ucb_stddev_returns_to_the_losing_model_at_the_eighteenth_pull():
    """Good at n: p(1 - p) = (n + 1) / (n + 2)^2; bad at 1: 2/9. Bound of the bad one at t = 18: sqrt(4/9 ln 18) =
    1.1334; of the good one at n = 17: 1 + sqrt(2 * 18/361 * ln 18 / 17) = 1.1302. At t = 17: 1.1222 < 1.1363.
    """
    table, ranking = play(ucb_stddev, [ALWAYS, NEVER], 20, exploration=2.0)
    assert table.history[2:18] == [0] * 16
    assert table.history[18:] == [1, 0]
    assert ranking == [0, 1]


@pytest.mark.parametrize("twin", [ucb, ucb_e, ucb_stddev, thompson, ttts])
def test_an_exhausted_model_is_not_asked_and_all_exhausted_ends_the_run(twin):
    table, ranking = play(twin, [[1, 1, 1], [0, 1, 0]], 9)
    assert table.pulls == [3, 3]
    assert ranking == [0, 1]


def test_successive_rejects_follows_the_schedule_of_the_paper():
    """M = 4, B = 24: logbar = 1/2 + 1/2 + 1/3 + 1/4 = 19/12; n_k = ceil(20 * 12/19 / (5 - k)) = 4, 5, 7. Pulls:
    4 + 5 + 7 + 7 = 23. The worst model goes first.
    """
    answers = [[0, 0, 1] * 10, ALWAYS, NEVER, [0, 1, 1] * 10]
    table, ranking = play(successive_rejects, answers, 24)
    assert table.pulls == [5, 7, 4, 7]
    assert ranking == [1, 3, 0, 2]


def test_successive_rejects_ranks_by_who_left_later_even_over_a_higher_mean():
    """n_k = 4, 5, 7 as above. Model 0 leaves at a mean of 3/5; model 3 survives it with 4/5, then falls to 4/7."""
    answers = [[0, 1, 0, 1, 1, 1, 1], [1] * 7, [0] * 7, [1, 1, 1, 1, 0, 0, 0]]
    table, ranking = play(successive_rejects, answers, 24)
    assert table.pulls == [5, 7, 4, 7]
    assert ranking == [1, 3, 0, 2]


def test_successive_rejects_never_asks_beyond_the_queries():
    assert play(successive_rejects, [[1, 1], [1, 0], [0, 0], [0, 0]], 24)[0].pulls == [2, 2, 2, 2]


def histories(twin, answers, budget, num_runs, **settings):
    return [tuple(play(twin, answers, budget, seed, **settings)[0].history) for seed in range(num_runs)]


def test_thompson_follows_the_exact_law_of_its_first_two_pulls():
    """First pull: 1/2 each. Then P(Beta(2, 1) > U) = 2/3 repeats a right model, P(Beta(1, 2) > U) = 1/3 a wrong one.

    At p < 1e-6 the test cries wolf once in a million.
    """
    seen = histories(thompson, [ALWAYS, NEVER], 2, 3_000)
    counts = [seen.count(history) for history in [(0, 0), (0, 1), (1, 0), (1, 1)]]
    assert chisquare(counts, np.array([1 / 3, 1 / 6, 1 / 3, 1 / 6]) * 3_000).pvalue > 1e-6


@pytest.mark.parametrize("leader_probability", [0.5, 0.8])
def test_ttts_follows_the_exact_law_of_its_second_pull(leader_probability):
    """Three models, the first asked was right: it leads with q = E[X^2] = 1/2 (X ~ Beta(2, 1)), the others with 1/4.
    It is asked with b q + (1 - b) (1 - q) q / (1 - 1/4) = b / 2 + (1 - b) / 3.

    At p < 1e-6 each of two tests cries wolf once in a million.
    """
    num_runs = 3_000
    seen = histories(ttts, [ALWAYS, ALWAYS, ALWAYS], 2, num_runs, leader_probability=leader_probability)
    again = sum(first == second for first, second in seen)
    share = leader_probability / 2 + (1 - leader_probability) / 3
    assert chisquare([again, num_runs - again], [share * num_runs, (1 - share) * num_runs]).pvalue > 1e-6


def test_sequential_halving_follows_the_schedule_of_the_paper():
    """M = 5, B = 60: 3 rounds; 60 // (5 * 3) = 4, 60 // (3 * 3) = 6, 60 // (2 * 3) = 10 fresh queries; 5, 3, 2, 1."""
    answers = [NEVER, [0, 0, 0, 1] * 10, ALWAYS, [0, 1, 1, 1] * 10, [0, 1] * 20]
    table, ranking = play(sequential_halving, answers, 60)
    assert table.pulls == [4, 4, 20, 20, 10]
    assert ranking == [2, 3, 4, 1, 0]


EARLY_LEAD = [[1, 1, 1, 1, 0, 0, 0, 0, 0], [1, 0, 0, 1, 1, 0, 0, 0, 0], [0] * 9, [0] * 9]
"""M = 4, B = 24: 2 rounds, of 3 and 6 queries. Round 1: 3, 1, 0, 0 right. Round 2: 1 against 2. In all: 4 against 3."""


@pytest.mark.parametrize(
    ("twin", "ranking"),
    [(sequential_halving, [1, 0]), (bayes_elim, [0, 1]), (accelerated_sequential_halving, [0, 1])],
)
def test_sequential_halving_forgets_earlier_rounds_and_its_kin_do_not(twin, ranking):
    table, ranked = play(twin, EARLY_LEAD, 24)
    assert table.pulls == [9, 9, 3, 3]
    assert ranked[:2] == ranking


@pytest.mark.parametrize("twin", [sequential_halving, bayes_elim, accelerated_sequential_halving])
def test_who_reached_a_later_round_ranks_before_a_better_score_that_did_not(twin):
    """Round 1: 3, 3, 2, 0 right of 3. Round 2: 1 and 0 of 6, so that the third, with 2 of 3, has the best mean."""
    answers = [[1, 1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 0] * 3, [0] * 9]
    assert play(twin, answers, 24)[1] == [0, 1, 2, 3]


@pytest.mark.parametrize(("prior_correct", "prior_wrong"), [(9.0, 1.0), (0.5, 20.0)])
def test_the_prior_of_bayesian_elimination_changes_nothing_among_equally_asked_models(prior_correct, prior_wrong):
    _, ranked = play(bayes_elim, EARLY_LEAD, 24, prior_correct=prior_correct, prior_wrong=prior_wrong)
    assert ranked[:2] == [0, 1]


def test_a_round_without_queries_keeps_a_random_half():
    """M = 5, B = 14: 14 // 15 = 0 queries keep 3 of 5 at random; then 14 // 9 = 1 and 14 // 6 = 2.

    The always right model wins if and only if it is kept: 3/5 (p < 1e-6).
    """
    for twin in (sequential_halving, bayes_elim):
        plays = [play(twin, [ALWAYS, NEVER, NEVER, NEVER, NEVER], 14, seed) for seed in range(1_000)]
        assert {tuple(sorted(table.pulls)) for table, _ in plays} == {(0, 0, 1, 3, 3)}
        won = sum(ranking[0] == 0 for _, ranking in plays)
        assert chisquare([won, 1_000 - won], [600, 400]).pvalue > 1e-6


def test_halving_is_capped_by_the_queries_left():
    """M = 4, B = 40: 5 and 10 queries, of which a model has 7 in all."""
    for twin in (sequential_halving, bayes_elim):
        table, _ = play(twin, [[1] * 7, [1] * 7, [0] * 7, [0] * 7], 40)
        assert table.pulls == [7, 7, 5, 5]


@pytest.mark.parametrize(
    ("num_models", "sizes"),
    [
        (1, [1]),
        (2, [2]),
        (3, [3, 2]),
        (24, [24, 12, 6, 3, 2]),
        (37, [37, 19, 10, 5, 3, 2]),
        (100, [100, 50, 25, 13, 7, 4, 2]),
        (130, [130, 100, 50, 25, 13, 7, 4, 2]),
        (1000, [1000, 100, 50, 25, 13, 7, 4, 2]),
    ],
)
def test_accelerated_halving_cuts_to_one_hundred_and_then_in_half(num_models, sizes):
    assert accelerated_sequential_halving.round_sizes(num_models) == sizes


def pulls_by_round(table):
    """How many pulls each survivor of a round had in it, worked out from the falling numbers of pulls."""
    levels = sorted(set(table.pulls))
    return [levels[0], *(later - earlier for earlier, later in pairwise(levels))]


def test_accelerated_halving_spends_a_quarter_first_and_equal_parts_of_the_rest_afterwards():
    """M = 130, B = 1300: 325 / 130 = 2 queries (260 spent); of the 1040 left a seventh, 148 / 100 = 1 (360); a sixth of
    940, 156 / 50 = 3 (510); 158 / 25 = 6 (660); 160 / 13 = 12 (816); 161 / 7 = 23 (977); 161 / 4 = 40; 163 / 2 = 81.
    """
    table, ranking = play(accelerated_sequential_halving, [[0] * 200] * 129 + [[1] * 200], 1300, first_share=0.25)
    assert pulls_by_round(table) == [2, 1, 3, 6, 12, 23, 40, 81]
    assert sum(table.pulls) == 260 + 100 + 150 + 150 + 156 + 161 + 160 + 162
    assert ranking[0] == 129


def test_accelerated_halving_gives_one_query_where_the_share_pays_none_but_the_budget_does():
    """M = 24, B = 72, 5 rounds: 72/5 = 14 < 24 but 72 >= 24: 1 query each; then 48/4, 36/3, 24/2 and 12/1 = 12 pulls:
    1, 2, 4 and 6 queries each.
    """
    table, _ = play(accelerated_sequential_halving, [ALWAYS] * 24, 72)
    assert pulls_by_round(table) == [1, 1, 2, 4, 6]
    assert sorted(table.pulls) == [1] * 12 + [2] * 6 + [4] * 3 + [8] + [14] * 2


def test_accelerated_halving_is_capped_by_the_queries_left():
    table, _ = play(accelerated_sequential_halving, [[1] * 5, [1] * 5, [0] * 5, [0] * 5], 16)
    assert table.pulls == [5, 5, 2, 2]
