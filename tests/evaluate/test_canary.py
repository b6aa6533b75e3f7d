import math

import pytest

from gembench.evaluate.canary import Canary, agree
from gembench.evaluate.evaluator import Answer


def test_the_first_swap_and_every_third_are_checked():
    canary = Canary(every=3)
    checked = [canary.swapped("llama", f"m{i}") for i in range(1, 10)]
    assert checked == [True, False, True, False, False, True, False, False, True]


def test_with_every_zero_the_first_swap_alone_is_checked():
    canary = Canary(every=0)
    assert [canary.swapped("llama", f"m{i}") for i in range(4)] == [True, False, False, False]


def test_each_architecture_has_its_own_count():
    canary = Canary(every=100)
    assert canary.swapped("llama", "a")
    assert not canary.swapped("llama", "b")
    assert canary.swapped("qwen", "c")


def test_after_a_disagreement_the_rows_since_the_last_agreement_are_recorded_again_and_swaps_end():
    canary = Canary(every=3)
    canary.swapped("llama", "a")
    canary.agreed("llama")
    canary.swapped("llama", "b")
    canary.swapped("llama", "c")
    assert canary.unchecked("llama") == ("b", "c")
    assert canary.disagreed("llama") == ("b", "c")
    assert not canary.may_swap("llama")
    assert canary.may_swap("qwen")
    assert canary.unchecked("llama") == ()


def test_a_negative_distance_is_refused():
    with pytest.raises(ValueError, match="every"):
        Canary(every=-1)


def test_equal_texts_and_likelihoods_within_the_tolerance_of_their_length_agree():
    left = [Answer(text="yes"), Answer(log_likelihood=-3.0, prompt_tokens=10)]
    right = [Answer(text="yes"), Answer(log_likelihood=-3.0009, prompt_tokens=10)]
    assert agree(left, right, tolerance=1e-4)
    assert not agree(left, right, tolerance=5e-5)


@pytest.mark.parametrize(
    "other",
    [
        Answer(text="no"),
        Answer(text="yes", is_greedy=True),
        Answer(text="yes", is_too_long=True),
        Answer(text="yes", log_likelihood=-1.0),
    ],
)
def test_any_other_difference_is_a_disagreement(other):
    assert not agree([Answer(text="yes")], [other], tolerance=1.0)


def test_different_lengths_do_not_agree():
    assert not agree([Answer()], [], tolerance=1.0)
    weighed = Answer(log_likelihood=-3.0, prompt_tokens=10)
    assert not agree([weighed], [Answer(log_likelihood=-3.0, prompt_tokens=11)], tolerance=1.0)


def test_nan_agrees_with_nothing():
    nan = Answer(log_likelihood=math.nan, prompt_tokens=1)
    assert not agree([nan], [nan], tolerance=1.0)
