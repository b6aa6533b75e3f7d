"""Whether a history foresees the answers: factor models that are right or turned around, on answers of one."""

import jax.numpy as jnp
import numpy as np
import pytest

from gembench.factor_model import FactorModel
from gembench.weighted_tally import evidence_of_history

NUM_QUERIES = 60
LOADINGS = np.where(np.arange(NUM_QUERIES)[:, None] % 3 == 0, -0.3, 0.3)
"""Who is right on most queries is wrong on every third: a plain tally foresees little of it, the factor all."""


def evidence(loadings, num_models=40):
    rng = np.random.default_rng(0)
    chance = 0.5 + LOADINGS @ rng.choice([-1.0, 1.0], (1, num_models))
    right = (rng.random((NUM_QUERIES, num_models)) < chance).T
    model = FactorModel(jnp.full(NUM_QUERIES, 0.5), jnp.asarray(loadings, jnp.float32), jnp.full(NUM_QUERIES, 0.16))
    # The first ones are all of the third kind; all that comes after is of the other.
    order = np.argsort(np.arange(NUM_QUERIES) % 3, kind="stable")
    return float(
        evidence_of_history(model, jnp.asarray(order, jnp.int32), jnp.asarray(right[:, order], jnp.float32), 20)
    )


@pytest.mark.parametrize("num_models", [40, 400])
def test_a_round_is_one_witness_however_many_models_play_it(num_models):
    assert evidence(LOADINGS, num_models) == 1
    assert evidence(np.abs(LOADINGS), num_models) == -1


def test_factors_that_say_nothing_are_nearly_as_good_as_a_tally_that_does_not():
    """Where a tally misleads, not to look at it foresees better."""
    assert 0 < evidence(np.zeros_like(LOADINGS)) <= 1
