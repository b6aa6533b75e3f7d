"""A policy that is scored again agrees with what was published of it, or the first difference is named."""

import dataclasses

import numpy as np
import pytest
from boards import make_benchmark, make_published

from gembench.errors import UsageError
from gembench.leaderboard.verification import choose, verify_result

BENCHMARK = make_benchmark(("oak", "ash"), (10, 50), runs=50)
RANKS = np.random.default_rng(0).integers(1, 9, (4, 50))


def result_of(ranks=RANKS, name="in_turn", **changes):
    return dataclasses.replace(make_published(BENCHMARK, name, ranks).result, **changes)


REFERENCE = result_of(np.roll(RANKS, 7, axis=1), name="reference")


def verified(published, again):
    return verify_result(BENCHMARK, published, again, REFERENCE)


def test_the_same_runs_are_the_same_bits_wherever_they_were_made():
    for changes in ({}, {"platform": "another"}):
        made = verified(result_of(), result_of(**changes))
        assert (made.agreement, made.difference) == ("same bits", "")
        assert made.published == made.again


def test_another_rank_differs_and_its_run_is_named():
    ranks = RANKS.copy()
    ranks[2, 17] = 30
    made = verified(result_of(), result_of(ranks))
    assert made.agreement == "differs"
    assert made.difference == f"rank in run 17 of ash at N = 10: {RANKS[2, 17]} published, 30 now"


@pytest.mark.parametrize(
    "changes", [{"platform": "another"}, {"versions": {"jax": "another"}}, {"versions": {}, "platform": "another"}]
)
def test_elsewhere_a_number_within_the_interval_agrees(changes):
    ranks = RANKS.copy()
    ranks[2, 17] += 1
    made = verified(result_of(**changes), result_of(ranks))
    assert made.agreement == "within interval"
    # One of 50 ranks in one of four cells is one more: the geometric mean of the means is so much larger.
    assert made.again / made.published == pytest.approx((1 + 1 / RANKS[2].sum()) ** 0.25)


def test_elsewhere_a_number_beyond_the_interval_differs():
    made = verified(result_of(platform="another"), result_of(RANKS * 2))
    assert made.agreement == "differs"
    assert made.again == pytest.approx(2 * made.published)
    assert made.again > made.interval[1]


def test_another_file_differs():
    made = verified(result_of(file_sha256="0" * 64), result_of(file_sha256="1" * 64))
    assert (made.agreement, made.difference) == ("differs", "its file")


def test_a_policy_that_cannot_be_scored_any_more_differs():
    made = verified(result_of(), "policy.py: line 3: NameError: x")
    assert (made.agreement, made.again, made.difference) == ("differs", None, "policy.py: line 3: NameError: x")


def test_the_reference_is_verified_like_any_other():
    assert verified(REFERENCE, REFERENCE).agreement == "same bits"
    assert verified(REFERENCE, REFERENCE).published == 1
    made = verified(REFERENCE, result_of(np.roll(RANKS, 7, axis=1) * 2, name="reference"))
    assert made.agreement == "differs"
    assert made.again == pytest.approx(2)


def test_policies_are_chosen_by_name_once_each_and_all_by_default():
    published = [make_published(BENCHMARK, name, 3) for name in ("oak_first", "ash_first")]
    assert [each.card.name for each in choose(published, ())] == ["oak_first", "ash_first"]
    assert [each.card.name for each in choose(published, ("ash_first", "ash_first"))] == ["ash_first"]
    with pytest.raises(UsageError, match="did you mean oak_first"):
        choose(published, ("oak_frist",))
