"""What is certain of accuracies: by trying every way in which the answers that were not given could have come out."""

from itertools import product

import numpy as np
import pytest

from gembench.possible import possible_accuracies, possible_lead, possible_regret, were_drawn
from gembench.pulls import NOT_ASKED, UNGRADED

ANSWERS = np.array(
    [
        [1, 0, NOT_ASKED, UNGRADED, 1, 0],
        [1, NOT_ASKED, NOT_ASKED, 0, NOT_ASKED, 0],
        [0, 0, 0, 0, 1, NOT_ASKED],
        [0, 1, 0, 1, 1, 1],
    ],
    np.int8,
)


def completions(row):
    """All rows of 0 and 1 that agree with what is known."""
    return [np.array(each) for each in product(*([answer] if answer >= 0 else [0, 1] for answer in row.tolist()))]


def test_the_possible_accuracies_are_those_of_all_ways_to_complete_the_answers():
    for row, (low, high) in zip(ANSWERS, possible_accuracies(ANSWERS), strict=True):
        means = [complete.mean() for complete in completions(row)]
        assert (low, high) == pytest.approx((min(means), max(means)))


@pytest.mark.parametrize("first", range(4))
def test_the_possible_regret_and_leads_are_those_of_all_ways_to_complete_the_answers(first):
    others = [model for model in range(4) if model != first]
    leads = {
        other: [a.mean() - b.mean() for a, b in product(completions(ANSWERS[first]), completions(ANSWERS[other]))]
        for other in others
    }
    for other in others:
        low, high = possible_lead(ANSWERS[first], ANSWERS[other])
        assert (low, high) == pytest.approx((min(leads[other]), max(leads[other])))
    largest = max(-min(of_other) for of_other in leads.values())
    assert possible_regret(ANSWERS[[first, *others]]) == pytest.approx(max(0, largest))


def test_alone_a_model_has_no_regret():
    assert possible_regret(ANSWERS[:1]) == 0.0


def test_only_the_first_queries_of_an_order_count_as_drawn():
    orders = {0: np.array([2, 0, 1, 3]), 1: np.array([3, 1, 0, 2])}
    answers = np.array([[1, UNGRADED, 0, NOT_ASKED], [NOT_ASKED, 0, NOT_ASKED, 1]], np.int8)
    assert were_drawn(answers, [0, 1], orders.get)
    # Queries 0 and 1 are not the first two of model 0's order; nor is a later query alone of model 1's.
    answers[0, 2] = NOT_ASKED
    assert not were_drawn(answers, [0, 1], orders.get)
    assert were_drawn(answers, [1], orders.get)
    answers[1, 3] = NOT_ASKED
    assert not were_drawn(answers, [1], orders.get)
    answers[:] = NOT_ASKED
    assert were_drawn(answers, [0, 1], orders.get)
