"""The books, entry by entry, against books kept by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gembench.errors import ContractError
from gembench.ledger import grant, open_ledger, raise_on_faults, settle
from gembench.policy import Ask, Problem, Stage

STAGE_RULE, UNKNOWN_RULE, TWICE_RULE, BUDGET_RULE = 1, 2, 4, 8


def keep(entries, *, num_models=4, num_queries=5, budget=1000, max_queries=5):
    """The books after a list of asks, each a list of (model, queries, right answers)."""
    problem = Problem(num_models, num_queries, budget)
    ledger = open_ledger(num_models)
    granted_all = []
    for entry in entries:
        models, num_asked, num_correct = (jnp.asarray(column, jnp.int32) for column in zip(*entry, strict=True))
        asked = Ask(models, num_asked)
        granted = grant(ledger, asked, problem)
        granted_all.append(granted)
        stage = Stage(len(entry), max_queries)
        ledger = settle(ledger, asked, granted, jnp.minimum(num_correct, granted.num_queries), problem.budget, stage)
    return ledger, granted_all


def test_pulls_and_right_answers_add_up():
    ledger, _ = keep([[(0, 2, 1), (3, 1, 1)], [(3, 2, 0)], [(1, 0, 0), (0, 1, 1), (2, 4, 3)]])
    assert ledger.tally.pulls.tolist() == [3, 0, 4, 3]
    assert ledger.tally.correct.tolist() == [2, 0, 3, 1]
    assert ledger.spent == 10
    assert ledger.faults == 0


@pytest.mark.parametrize(
    ("entries", "loads", "loaded"),
    [
        ([], [0, 0, 0, 0], -1),
        ([[(2, 1, 0)]], [0, 0, 1, 0], 2),
        # Staying costs nothing, coming back does.
        ([[(2, 1, 0)], [(2, 1, 0)], [(0, 1, 0)], [(2, 1, 0)]], [1, 0, 2, 0], 2),
        # A model that is not asked is not loaded: 2 stays on over the middle ask.
        ([[(2, 1, 0)], [(1, 0, 0)], [(2, 1, 0)]], [0, 0, 1, 0], 2),
        ([[(2, 1, 0)], [(0, 0, 0), (1, 0, 0)], [(2, 1, 0)]], [0, 0, 1, 0], 2),
        # In an ask of many, each is loaded in turn, but for the one that is there already.
        ([[(0, 1, 0), (1, 1, 0), (2, 1, 0)], [(2, 1, 0), (0, 1, 0)]], [2, 1, 1, 0], 0),
        # What counts is who is asked, not who is named.
        ([[(3, 1, 0)], [(0, 0, 0), (3, 2, 0), (1, 1, 0), (2, 0, 0)], [(1, 1, 0)]], [0, 1, 0, 1], 1),
        # Model 1 is still there and answers first, whatever the order of the ask; then 0 is loaded, and stays.
        ([[(0, 1, 0), (1, 1, 0)], [(0, 1, 0), (1, 1, 0)], [(0, 1, 0)]], [2, 1, 0, 0], 0),
        # An exhausted model gets nothing, so it is not loaded.
        ([[(0, 5, 0)], [(1, 1, 0)], [(0, 1, 0)], [(1, 1, 0)]], [1, 1, 0, 0], 1),
    ],
)
def test_loads_are_counted_as_by_hand(entries, loads, loaded):
    ledger, _ = keep(entries)
    assert ledger.loads.tolist() == loads
    assert ledger.loaded == loaded
    assert ledger.faults == 0


def test_a_model_answers_from_its_first_unseen_query_and_no_more_than_it_has_left():
    _, granted = keep([[(1, 3, 0), (2, 0, 0)], [(2, 1, 0), (1, 4, 0)], [(1, 1, 0), (2, 5, 0)]])
    assert [entry.first.tolist() for entry in granted] == [[0, 0], [0, 3], [5, 1]]
    assert [entry.num_queries.tolist() for entry in granted] == [[3, 0], [1, 2], [0, 4]]


@pytest.mark.parametrize(
    ("entries", "faults"),
    [
        ([[(0, 5, 0), (1, 5, 0)]], 0),
        ([[(0, 3, 0)]], STAGE_RULE),
        ([[(0, -1, 0)]], STAGE_RULE),
        ([[(0, 1, 0), (1, -2, 0)]], STAGE_RULE),
        ([[(4, 1, 0)]], UNKNOWN_RULE),
        ([[(-1, 1, 0)]], UNKNOWN_RULE),
        ([[(0, 1, 0), (4, 1, 0)]], UNKNOWN_RULE),
        ([[(2, 1, 0), (1, 1, 0), (2, 1, 0)]], TWICE_RULE),
        # Twice and not asked at all harms nobody.
        ([[(2, 0, 0), (1, 1, 0), (2, 0, 0)]], 0),
        ([[(2, 1, 0), (1, 1, 0), (2, 0, 0)]], 0),
        # A rule once broken stays broken.
        ([[(4, 1, 0)], [(0, 1, 0)]], UNKNOWN_RULE),
    ],
)
def test_each_broken_rule_leaves_its_mark(entries, faults):
    max_queries = 2 if faults == STAGE_RULE else 5
    ledger, _ = keep(entries, max_queries=max_queries)
    assert ledger.faults & faults == faults
    # A model named twice or unknown may upset other counts, not the other way round.
    assert faults or ledger.faults == 0


def test_a_budget_spent_to_the_last_pull_is_kept_and_one_more_breaks_it():
    kept, _ = keep([[(0, 4, 0)], [(1, 4, 0)]], budget=8)
    broken, _ = keep([[(0, 4, 0)], [(1, 5, 0)]], budget=8)
    assert kept.faults == 0
    assert broken.faults == BUDGET_RULE


def test_what_an_exhausted_model_was_asked_beyond_its_queries_costs_nothing():
    ledger, _ = keep([[(0, 4, 0)], [(0, 5, 0)], [(1, 3, 0)]], budget=8)
    assert ledger.spent == 8
    assert ledger.faults == 0


def test_the_books_of_many_runs_are_kept_side_by_side():
    problem = Problem(3, 5, 100)
    ledgers = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (2, *leaf.shape)), open_ledger(3))
    asked = Ask(jnp.asarray([[0, 1], [1, 2]], jnp.int32), jnp.asarray([[1, 2], [0, 3]], jnp.int32))

    def one(ledger, asked):
        granted = grant(ledger, asked, problem)
        return settle(ledger, asked, granted, granted.num_queries, problem.budget, Stage(2, 3))

    ledgers = jax.vmap(one)(ledgers, asked)
    assert ledgers.spent.tolist() == [3, 3]
    assert ledgers.by_model[:, :, 0].tolist() == [[1, 2, 0], [0, 0, 3]]
    assert ledgers.by_model[:, :, 2].tolist() == [[1, 1, 0], [0, 0, 1]]


def test_faults_are_told_with_the_policy_the_run_and_every_rule():
    raise_on_faults(np.zeros(3, np.int32), "Good")
    with pytest.raises(ContractError, match=r"policy Bad .* in run 1: it named a model .* and asked for more pulls"):
        raise_on_faults(np.array([0, UNKNOWN_RULE | BUDGET_RULE, STAGE_RULE], np.int32), "Bad")
