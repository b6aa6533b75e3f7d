"""In a live search a model may fail: the published policies that choose queries go on with the others."""

import pytest
from query_play import play, related_models

from gembench.policies.anchor_points import AnchorPoints
from gembench.policies.coda import CODA
from gembench.policies.doubly_robust import DoublyRobust
from gembench.policies.factorized_active_querying import FactorizedActiveQuerying
from gembench.policies.gp_irt import GPIRT
from gembench.policies.model_selector import ModelSelector
from gembench.policies.paired_elimination import PairedElimination
from gembench.policies.top_two_shared import TopTwoShared
from gembench.policies.ucb_e_lrf import UCBELRF

BY_LABEL = [AnchorPoints(), GPIRT(dimension=2), ModelSelector(), CODA(num_kinds=3)]
ADAPTIVE = [PairedElimination(num_batches=5), TopTwoShared(), UCBELRF(ensemble_size=3, block=4), DoublyRobust()]


@pytest.mark.parametrize("policy", ADAPTIVE, ids=lambda policy: type(policy).__name__)
def test_a_model_that_failed_is_asked_no_more_and_others_in_its_place(policy):
    """The budget is spent but for what does not divide among those in the race."""
    correct = related_models(6, 40, 2)[0]
    best = int(correct.sum(axis=1).argmax())
    run = play(policy, correct, 6 * 15, failing=best)
    assert all((turn.queries[turn.models == best] == -1).all() for turn in run.turns[1:])
    assert run.pulls > 6 * 15 - 5
    assert run.ranking[0] != best


@pytest.mark.parametrize("policy", BY_LABEL, ids=lambda policy: type(policy).__name__)
@pytest.mark.parametrize("num_histories", [0, 9])
def test_labels_go_on_for_the_others(policy, num_histories):
    correct, history = related_models(6, 40, 2, num_histories)
    best = int(correct.sum(axis=1).argmax())
    run = play(policy, correct, 6 * 9 + 2, history if num_histories else None, failing=best)
    pulls = (run.answers != -1).sum(axis=1)
    assert (pulls[[model for model in range(6) if model != best]] == 9).all()


@pytest.mark.parametrize("num_histories", [0, 9])
def test_factorized_active_querying_asks_the_others_as_many_as_before(num_histories):
    correct, history = related_models(6, 40, 2, num_histories)
    policy = FactorizedActiveQuerying(num_factors=2, exploring=0.5)
    run = play(policy, correct, 6 * 9, history if num_histories else None, failing=2)
    assert (run.answers != -1).sum(axis=1).tolist() == [9, 9, 1, 9, 9, 9]


def test_coda_takes_a_model_that_failed_for_hopeless():
    correct, history = related_models(6, 40, 2, 9)
    best = int(correct.sum(axis=1).argmax())
    assert play(CODA(num_kinds=3), correct, 6 * 9, history, failing=best).ranking[-1] == best
