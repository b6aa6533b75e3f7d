"""Elimination by paired tests against a slow twin that plays the race query by query."""

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
from query_play import play, related_models
from scipy.stats import chi2

from gembench.errors import PolicySettingError
from gembench.policies.paired_elimination import PairedElimination, passes
from gembench.policy import Problem


def leaves(leader, other, queries, level):
    """McNemar's test of two rows, query by query; it is one-sided, so that chi-square takes twice the level."""
    won = sum(leader[query] > other[query] for query in queries)
    lost = sum(leader[query] < other[query] for query in queries)
    return won > lost + 1 and (won - lost - 1) ** 2 / (won + lost) > chi2.isf(2 * level, 1)


def twin_race(correct, order, budget, plan, level, followed):
    """The race, in the stages of the plan; who is left after each batch, where `followed` is one of the ways it may go.

    Among equals any may lead: the twin takes the way that the policy went, if it is one of them.
    """
    num_models, num_queries = correct.shape
    survivors, seen, left, history = set(range(num_models)), 0, budget, []
    for stage in plan:
        for _ in range(stage.repeats):
            if left == 0:
                return history
            if not 2 <= len(survivors) <= stage.num_models:
                history.append((frozenset(), 0))
                continue
            batch = min(stage.max_queries, left // len(survivors), num_queries - seen)
            history.append((frozenset(survivors) if batch else frozenset(), batch))
            seen, left = seen + batch, left - batch * len(survivors)
            if batch == 0:
                continue
            queries = order[:seen]
            number = {model: sum(correct[model, query] for query in queries) for model in survivors}
            leaders = [model for model in survivors if number[model] == max(number.values())]
            ways = [
                {other for other in survivors if not leaves(correct[leader], correct[other], queries, level)}
                for leader in leaders
            ]
            survivors = next((way for way in ways if way == followed(len(history))), ways[0])
    return history


@pytest.mark.parametrize(
    ("num_models", "num_queries", "budget", "level"),
    [(9, 60, 9 * 20 + 5, 0.1), (9, 60, 9 * 20 + 5, 0.3), (20, 50, 20 * 12, 0.25), (2, 30, 31, 0.2), (3, 8, 20, 0.5)],
)
def test_the_race_is_the_twins(num_models, num_queries, budget, level):
    policy = PairedElimination(level=level, num_batches=5)
    plan = policy.plan(Problem(num_models, num_queries, budget))
    num_left = []
    for seed in range(6):
        correct = related_models(num_models, num_queries, seed)[0]
        run = play(policy, correct, budget, seed=seed)
        asked = [{m: q[q >= 0].tolist() for m, q in zip(t.models, t.queries, strict=True)} for t in run.turns]
        players = [frozenset(m for m, queries in each.items() if queries) for each in asked]
        twin = twin_race(
            correct,
            run.order.tolist(),
            budget,
            plan,
            level,
            lambda turn, players=players: next((set(each) for each in players[turn:] if each), None),
        )
        assert [players_twin for players_twin, _ in twin] == players
        seen = 0
        for each, (_, batch) in zip(asked, twin, strict=True):
            given = [queries for queries in each.values() if queries]
            assert all(queries == run.order[seen : seen + batch].tolist() for queries in given)
            seen += batch
        num_left.append(len(next(each for each in reversed(players) if each)))
    if num_models == 20:
        assert min(num_left) < 12  # A race in which nobody ever left would test nothing.


def test_the_statistic_is_mcnemars():
    """10 against 2 of 12: 49 / 12 = 4.08, past the 5% point 3.84 of chi-square, short of the 4% point 4.22."""
    assert chi2.isf(0.05, 1) < Fraction(49, 12) < chi2.isf(0.04, 1)
    margin, num_apart = jnp.int32([8, 8]), jnp.int32([12, 12])
    assert passes(margin, num_apart, chi2.isf(0.05, 1) ** 0.5).all()
    assert not passes(margin, num_apart, chi2.isf(0.04, 1) ** 0.5).any()
    # At a level of one half a model leaves at the second query, no sooner.
    assert passes(jnp.int32([0, 1, 2]), jnp.int32([0, 1, 2]), 0.0).tolist() == [False, False, True]


def test_an_equal_leaves_no_more_often_than_the_level_says():
    """Of 20,000 pairs of equal models after 40 queries under a tenth leave: the correction makes the test strict."""
    rng = np.random.default_rng(0)
    pairs = rng.random((2, 20_000, 40)) < 0.6
    margin = jnp.asarray(pairs[0].sum(axis=1) - pairs[1].sum(axis=1), jnp.int32)
    num_apart = jnp.asarray((pairs[0] != pairs[1]).sum(axis=1), jnp.int32)
    assert 0.02 < float(passes(margin, num_apart, chi2.isf(0.2, 1) ** 0.5).mean()) < 0.1


def test_who_stays_longer_is_ranked_higher_and_then_who_has_more_right():
    correct = related_models(12, 60, 7)[0]
    run = play(PairedElimination(level=0.3), correct, 12 * 16)
    pulls, right = (run.answers != -1).sum(axis=1), (run.answers == 1).sum(axis=1)
    assert len(set(pulls.tolist())) > 1
    for better, worse in zip(run.ranking, run.ranking[1:], strict=False):
        assert pulls[better] >= pulls[worse]
        is_last_batch = pulls[better] == pulls[worse] == pulls.max()
        assert right[better] >= right[worse] or pulls[better] > pulls[worse] or is_last_batch


def test_models_that_err_alike_are_told_apart_by_the_queries_on_which_they_differ():
    """Model 1 is right wherever model 0 is, and on a sixth more: without pairs 24 queries could not tell."""
    base = np.arange(60) % 2 == 0
    better = base | (np.arange(60) % 6 == 1)
    rest = np.random.default_rng(0).random((4, 60)) < 0.1
    for seed in range(5):
        run = play(PairedElimination(level=0.1), np.stack([base, better, *rest]), 6 * 24, seed=seed)
        assert run.ranking[:2] == [1, 0]


@pytest.mark.parametrize("settings", [{"level": 0.0}, {"level": 0.6}, {"num_batches": 0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(PolicySettingError, match=next(iter(settings))):
        PairedElimination(**settings)
