"""What the answers of a search say, checked by hand on answers small enough to count."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy.stats import binomtest

from gembench.confidence import accuracy_intervals
from gembench.findings import (
    bound_on_regret,
    card_models,
    chance_of_a_gem,
    find_base,
    is_among,
    is_best_within,
    margin,
    most_downloaded,
    tallies,
    verify,
)
from gembench.paired_difference import difference_interval
from gembench.pulls import NOT_ASKED, UNGRADED, Reply

R, W, U, N = 1, 0, UNGRADED, NOT_ASKED


def answers_of(*rows):
    """Each row as text: 1 right, 0 wrong, u ungraded, anything else not asked."""
    return np.array([[{"1": R, "0": W, "u": U}.get(each, N) for each in row] for row in rows], np.int8)


def test_only_graded_answers_are_tallied():
    num_asked, num_correct = tallies(answers_of("110u..", "uu....", "......", "000000"))
    assert num_asked.tolist() == [3, 0, 0, 6]
    assert num_correct.tolist() == [2, 0, 0, 0]


def kept_totals(num_asked, num_correct, num_queries, error):
    """Which numbers of right answers over all queries stay: prior over posterior under 1 / error, in exact numbers."""
    draws = [
        Fraction(
            comb(num_correct_of_all, num_correct) * comb(num_queries - num_correct_of_all, num_asked - num_correct)
        )
        for num_correct_of_all in range(num_queries + 1)
    ]
    mean = sum(draws) / (num_queries + 1)
    return [number for number, draw in enumerate(draws) if draw and mean / draw < 1 / Fraction(error)]


def test_each_model_of_the_card_has_an_interval_that_holds_with_all_others():
    answers = answers_of("1101.........", "1111111110000", "0u..........1", ".............")
    names, facts = ["a", "b", "c", "d"], [{}, {}, {}, {}]
    shown = card_models(answers, [1, 0, 2, 3], names, facts, num_shown=4, confidence=0.95)
    assert [one.model for one in shown] == ["b", "a", "c", "d"]
    assert [one.num_asked for one in shown] == [13, 4, 2, 0]
    assert [one.accuracy for one in shown] == [9 / 13, 3 / 4, 1 / 2, None]
    # The truth of b is known; nothing is of d.
    assert shown[0].interval == (9 / 13, 9 / 13)
    assert shown[3].interval == (0.0, 1.0)
    for one, (num_asked, num_correct) in zip(shown[1:3], [(4, 3), (2, 1)], strict=True):
        kept = kept_totals(num_asked, num_correct, 13, Fraction(5, 100) / 4)
        assert one.interval == pytest.approx((kept[0] / 13, kept[-1] / 13))
        assert one.interval[0] < one.accuracy < one.interval[1]


def test_those_that_failed_are_no_part_of_the_statement():
    answers = answers_of("1101.........", "0101.........", ".............")
    (alone,) = card_models(answers, [0], ["a", "b", "c"], [{}, {}, {}], num_shown=9, confidence=0.95)
    kept = kept_totals(4, 3, 13, Fraction(5, 100))
    assert alone.interval == pytest.approx((kept[0] / 13, kept[-1] / 13))


def test_the_card_shows_the_first_with_what_is_known_of_them():
    facts = [
        {},
        {
            "downloads": 0,
            "license": "mit",
            "parent": "org/p",
            "base": "org/b",
            "num_parameters": 7,
            "revision": "f00",
            "likes": 3,
        },
    ]
    shown = card_models(answers_of("1.", "1."), [1, 0], ["x", "y"], facts, num_shown=1, confidence=0.9)
    (first,) = shown
    assert (first.model, first.downloads, first.license, first.parent) == ("y", 0, "mit", "org/p")
    assert (first.base, first.num_parameters, first.revision) == ("org/b", 7, "f00")
    _, second = card_models(answers_of("1.", "1."), [1, 0], ["x", "y"], facts, num_shown=2, confidence=0.9)
    assert (second.model, second.downloads, second.license, second.parent) == ("x", None, "", "")
    assert (second.base, second.num_parameters, second.revision) == ("", None, "")


def test_of_chosen_queries_everything_is_said_that_is_possible_and_no_more():
    answers = answers_of("1101......", "1u.0......", "0000011111")
    shown = card_models(answers, [0, 1, 2], ["a", "b", "c"], [{}, {}, {}], num_shown=3, confidence=None)
    assert [one.interval for one in shown] == [(0.3, 0.9), (0.1, 0.9), (0.5, 0.5)]
    assert [one.num_asked for one in shown] == [4, 2, 10]
    assert bound_on_regret(answers, [0, 1, 2], shares_queries=True, confidence=None) == pytest.approx(0.6)
    assert bound_on_regret(answers, [2, 0, 1], shares_queries=True, confidence=None) == pytest.approx(0.4)
    found = margin("base", 0, 2, "c", answers, shares_queries=True, confidence=None)
    # On the four that both answered, three are right of the first alone.
    assert (found.difference, found.num_common) == (0.75, 4)
    assert found.interval == pytest.approx((-0.2, 0.4))


@pytest.mark.parametrize("shares_queries", [True, False])
def test_what_is_known_for_good_bounds_the_regret_exactly(shares_queries):
    answers = answers_of("1111100000", "1111110000", "0000000000")
    settings = {"shares_queries": shares_queries, "confidence": 0.95}
    assert bound_on_regret(answers, [1, 0, 2], **settings) == 0.0
    assert bound_on_regret(answers, [0, 1, 2], **settings) == 0.1
    assert bound_on_regret(answers, [2, 1], **settings) == 0.6
    # Who is left out has failed, and is no rival.
    assert bound_on_regret(answers, [0, 2], **settings) == 0.0
    assert is_best_within(0.1, answers, [0, 1, 2], **settings)
    assert not is_best_within(0.09, answers, [0, 1, 2], **settings)


def test_models_that_meet_the_same_queries_are_compared_pair_by_pair():
    # Alike on all of the first 150 of 200 queries: they can differ by what is left, which single intervals do not see.
    row = np.where(np.arange(200) < 150, np.arange(200) % 2, NOT_ASKED)
    answers = np.stack([row, row]).astype(np.int8)
    paired = bound_on_regret(answers, [0, 1], shares_queries=True, confidence=0.95)
    alone = bound_on_regret(answers, [0, 1], shares_queries=False, confidence=0.95)
    assert paired < alone / 2
    assert is_best_within(paired, answers, [0, 1], shares_queries=True, confidence=0.95)
    assert not is_best_within(paired, answers, [0, 1], shares_queries=False, confidence=0.95)


NAMES = ["org/base@main", "ann/one", "bob/two@v2", "org/other", "cat/three", "dan/four"]
FACTS = [
    {"base": ""},
    {"base": "org/base", "parent": "bob/two"},
    {"base": "org/base@0123"},
    {"base": ""},
    {"base": "org/other"},
    {},
]
EVERYBODY = [4, 2, 1, 0, 3, 5]


@pytest.mark.parametrize(
    ("winner", "wanted", "expected"),
    [
        (1, None, 0),  # its own base, in whatever revision
        (2, None, 0),
        (4, None, 3),
        (1, "org/other", 3),  # the user's comes before its own
        (1, "org/base", 0),
        (1, "bob/two@main", 2),
        (1, "ann/one", 1),
        (1, "nobody/here", None),
        (5, None, 0),  # knows of no base: that of most models
        (3, None, 0),
        (0, None, 3),  # is that itself: the next most common
    ],
)
def test_the_winner_is_held_against(winner, wanted, expected):
    assert find_base(winner, EVERYBODY, NAMES, FACTS, wanted) == expected


def test_where_its_base_is_not_among_the_models_the_parent_is_and_then_the_base_of_most_models():
    without_base = [4, 2, 1, 3]
    assert find_base(1, without_base, NAMES, FACTS, None) == 2
    assert find_base(2, without_base, NAMES, FACTS, None) == 3
    assert find_base(1, [1, 2], NAMES, FACTS, None) == 2
    assert find_base(2, [1, 2], NAMES, FACTS, None) is None
    assert find_base(0, [0, 1], [*"ab"], [{}, {}], None) is None


def test_a_winner_that_is_the_only_base_is_held_against_itself():
    assert find_base(0, [0, 1, 2], NAMES, FACTS, None) == 0


def test_of_two_revisions_the_one_that_is_named_is_meant_and_else_the_better():
    names, facts = ["org/a@v1", "org/a@v2", "org/a@v3", "ann/x"], [{}, {}, {}, {"base": "org/a"}]
    ranked = [3, 1, 0, 2]
    assert [find_base(3, ranked, names, facts, f"org/a@v{number}") for number in (1, 2, 3)] == [0, 1, 2]
    assert find_base(3, ranked, names, facts, "org/a") == 1
    assert find_base(3, ranked, names, facts, None) == 1


def test_a_model_is_named_with_or_without_its_revision():
    assert is_among("org/base", NAMES)
    assert is_among("org/base@v9", NAMES)
    assert is_among("ann/one@main", NAMES)
    assert not is_among("org/bas", NAMES)


def test_the_most_downloaded_is_among_those_whose_downloads_are_known():
    facts = [{}, {"downloads": 5}, {"downloads": 9}, {"downloads": None}, {"downloads": 7}]
    assert most_downloaded([0, 1, 3, 4], facts) == 4
    assert most_downloaded([4, 3, 2, 1, 0], facts) == 2
    assert most_downloaded([0, 3], facts) is None


def test_a_margin_is_counted_on_the_queries_that_both_answered():
    answers = answers_of("11101u1.110.", "1000.011....", "............")
    # Both answered queries 0 to 3 and 6; only the winner has 1 and 2 right, and nothing is right of the other alone.
    found = margin("base", 0, 1, "org/base", answers, shares_queries=True, confidence=0.95)
    assert (found.against, found.model) == ("base", "org/base")
    assert found.num_common == 5
    assert found.difference == 2 / 5
    low, high = difference_interval(5, 2, 0, 12, error=0.05 / 3)
    assert found.interval == pytest.approx((float(low), float(high)))
    assert found.interval[0] < 2 / 5 < found.interval[1]
    turned = margin("base", 1, 0, "x", answers, shares_queries=True, confidence=0.95)
    assert turned.difference == -2 / 5
    assert turned.interval == (-found.interval[1], -found.interval[0])


def test_a_margin_over_all_queries_is_known():
    found = margin("most_downloaded", 1, 0, "x", answers_of("1100", "1011"), shares_queries=True, confidence=0.95)
    assert (found.difference, found.interval, found.num_common) == (0.25, (0.25, 0.25), 4)


def test_without_a_common_query_there_is_no_margin():
    found = margin("base", 0, 1, "x", answers_of("11..", "..00"), shares_queries=True, confidence=0.95)
    assert (found.difference, found.interval, found.num_common) == (None, (-1.0, 1.0), 0)


def downloads_of(*numbers):
    return [{} if number is None else {"downloads": number} for number in numbers]


def test_whether_a_model_is_a_gem_is_known_when_everything_is():
    answers = answers_of("1111", "1110", "1000", "0000")
    assert chance_of_a_gem(answers, [0, 1, 2, 3], downloads_of(3, 9, 0, 0)) == (1.0, "")
    # The winner is the most downloaded itself, or ties with that.
    assert chance_of_a_gem(answers, [0, 1, 2, 3], downloads_of(9, 3, 0, 0)) == (0.0, "")
    assert chance_of_a_gem(answers, [0, 1, 2, 3], downloads_of(9, 9, 0, 0)) == (0.0, "")
    # The first of the ranked models counts, and those that failed do not.
    assert chance_of_a_gem(answers, [1, 2, 3], downloads_of(9, 3, 4, 0)) == (1.0, "")
    assert chance_of_a_gem(answers, [2, 1, 3], downloads_of(9, 3, 4, 0)) == (0.0, "")


def test_where_downloads_are_not_known_it_says_of_how_many():
    answers = np.ones((1200, 1), np.int8)
    chance, reason = chance_of_a_gem(answers, range(1200), downloads_of(*[None] * 1100, *[5] * 100))
    assert (chance, reason) == (None, "the downloads of 1,100 of 1,200 models are not known")
    # A model that failed need not be known.
    assert chance_of_a_gem(answers[:3], [0, 2], downloads_of(5, None, 1))[1] == ""


def test_where_nothing_was_ever_downloaded_nothing_is_hidden():
    chance, reason = chance_of_a_gem(answers_of("1", "0"), [0, 1], downloads_of(0, 0))
    assert (chance, reason) == (None, "none of the models was ever downloaded")


class Recorded:
    """Answers from rows of text, as `answers_of`; remembers what it was asked. Some models fail after so many."""

    def __init__(self, *rows, fails_after=None):
        self._rows = answers_of(*rows)
        self._fails_after = fails_after or {}
        self.asked = []

    def __call__(self, wanted):
        self.asked.append({model: queries.tolist() for model, queries in wanted})
        return {model: self._reply(model, queries) for model, queries in wanted}

    def _reply(self, model, queries):
        answers = self._rows[model, queries]
        answers[self._fails_after.get(model, len(queries)) :] = N
        return Reply(answers, has_failed=model in self._fails_after)


def verified(answer, answers, order, num_queries, confidence=0.95):
    order = np.array(order, np.int32)
    return verify(answer, answers, order, 0, 1, "org/base", num_queries, confidence=confidence)


def test_a_verification_takes_the_next_queries_that_neither_has_seen_in_their_order():
    answer = Recorded("1" * 8, "0" * 8)
    answers = answers_of(".1......", "...0....")
    found = verified(answer, answers, [6, 1, 3, 0, 7, 2, 5, 4], 4)
    assert answer.asked == [{0: [6, 0, 7, 2], 1: [6, 0, 7, 2]}]
    assert found.num_queries == 4
    assert (answers == answers_of("11" + "1...11", "0.00..00")).all()


def test_a_verification_counts_pairs_and_tests_their_signs():
    #                 only winner ****** , only base *, both, none
    answer = Recorded("1111110" + "110", "0000001" + "110")
    found = verified(answer, answers_of("." * 10, "." * 10), range(10), 10)
    assert (found.model, found.num_queries, found.num_only_winner, found.num_only_other) == ("org/base", 10, 6, 1)
    assert found.difference == 5 / 10
    # Six or more heads of seven.
    assert found.p_value == pytest.approx((7 + 1) / 2**7) == binomtest(6, 7, alternative="greater").pvalue
    assert not found.confirmed
    # All that neither had seen are asked, so that the lead is known.
    assert found.interval == (0.5, 0.5)


def test_a_winner_is_confirmed_where_chance_is_improbable_enough():
    of_unseen = answers_of("." * 30, "." * 30)
    five = verified(Recorded("1" * 30, "0" * 5 + "1" * 25), of_unseen.copy(), range(30), 10)
    assert five.p_value == pytest.approx(1 / 2**5)
    assert five.confirmed
    low, high = difference_interval(10, 5, 0, 30, error=0.05)
    assert five.interval == pytest.approx((float(low), float(high)))
    four = verified(Recorded("1" * 30, "0" * 4 + "1" * 26), of_unseen.copy(), range(30), 10)
    assert four.p_value == pytest.approx(1 / 2**4)
    assert not four.confirmed
    assert verified(Recorded("1" * 30, "0" * 4 + "1" * 26), of_unseen.copy(), range(30), 10, confidence=0.9).confirmed
    worse = verified(Recorded("0" * 30, "1" * 30), of_unseen.copy(), range(30), 10)
    assert (worse.difference, worse.p_value, worse.confirmed) == (-1.0, 1.0, False)


def test_the_interval_is_of_the_queries_that_neither_had_seen():
    answers = answers_of("1" * 10 + "." * 10, "0" * 8 + "." * 12)
    found = verified(Recorded("1" * 20, "0" * 20), answers, range(20), 4)
    low, high = difference_interval(4, 4, 0, 10, error=0.05)
    assert found.interval == pytest.approx((float(low), float(high)))


def test_models_that_are_alike_are_not_told_apart():
    found = verified(Recorded("1100", "1100"), answers_of("....", "...."), range(4), 4)
    assert (found.difference, found.p_value, found.confirmed) == (0.0, 1.0, False)


def test_a_pair_of_which_one_cannot_be_graded_is_left_out():
    found = verified(Recorded("1u11", "0010"), answers_of("....", "...."), range(4), 4)
    assert (found.num_queries, found.num_only_winner, found.num_only_other) == (3, 2, 0)
    assert verified(Recorded("uu11", "00uu"), answers_of("....", "...."), range(4), 4) is None


def test_where_fewer_queries_are_left_those_are_asked():
    answer = Recorded("1111", "0000")
    found = verified(answer, answers_of("1...", ".0.."), range(4), 100)
    assert answer.asked == [{0: [2, 3], 1: [2, 3]}]
    assert found.num_queries == 2


def test_where_no_query_is_left_nobody_is_asked():
    answer = Recorded("1111", "0000")
    assert verified(answer, answers_of("11..", "..0u"), range(4), 4) is None
    assert answer.asked == []


@pytest.mark.parametrize("failing", [0, 1])
def test_a_model_that_fails_cannot_be_verified(failing):
    answers = answers_of("1...", "0...")
    assert verified(Recorded("1111", "0000", fails_after={failing: 2}), answers, range(4), 4) is None
    # What it answered was paid for.
    assert (answers[failing] != N).tolist() == [True, True, True, False]


def test_models_with_orders_of_their_own_are_compared_by_their_means():
    """Three of four right against one of two: the interval is the one's ends less the other's, at half the error."""
    answers = answers_of("111.0...", ".....01.")
    found = margin("base", 0, 1, "x", answers, shares_queries=False, confidence=0.9)
    assert (found.difference, found.num_common) == (0.25, 0)
    (low, high), (low_other, high_other) = accuracy_intervals([4, 2], [3, 1], 8, error=0.1 / 2 / 2)
    assert found.interval == (low - high_other, high - low_other)
    silent = margin("base", 0, 1, "x", answers_of("11", ".."), shares_queries=False, confidence=0.9)
    assert silent.difference is None
