"""What right answers count by a factor model, and whether that foresees new answers better than a plain count does.

Shapes: S models, t queries that all of them were asked.
"""

import jax.numpy as jnp
from jax import Array

from gembench.factor_model import FactorModel
from gembench.lanes import take
from gembench.local_factors import posterior_covariance


def answer_weights(model: FactorModel, queries: Array, scale: float = 1.0) -> tuple[Array, Array]:
    """What a right answer to each of the asked `queries` [t] counts, [t], and what is added.

    The posterior mean of right answers to all queries is then the sum of the weights where the model is right, plus
    the constant. All queries are `scale` times as many as those of the factor model, and like them.
    """
    loadings, mean = take(model.loadings, queries), take(model.mean, queries)
    unasked = scale * model.loadings.sum(axis=0) - loadings.sum(axis=0)
    says = (loadings @ (posterior_covariance(model, queries) @ unasked)) / take(model.noise, queries)
    return 1 + says, scale * model.mean.sum() - mean.sum() - (says * mean).sum()


def evidence_of_history(model: FactorModel, queries: Array, right: Array, num_before: int) -> Array:
    """By how much the weighted tally of the answers before foresaw the new ones better than the plain one, as log odds.

    Models of a race err alike: however many they are, and however clear it seems, a round is one witness, and its
    evidence is from -1 to 1.

    `right` [S, t] are the answers to `queries` [t], of which the first `num_before` came before. Both tallies foresee
    how far a model's new answers are above or below those of all; the likelihoods are Gaussian.
    """
    before, after = right[:, :num_before], right[:, num_before:]
    old, new = queries[:num_before], take(model.loadings, queries[num_before:])
    towards = posterior_covariance(model, old) @ new.sum(axis=0)
    foreseen = before @ (take(model.loadings, old) @ towards / take(model.noise, old))
    mean = before.mean(axis=1)
    chance = jnp.clip(mean.mean() * (1 - mean.mean()), 0.02, 0.25) / num_before
    spread = jnp.maximum(mean.var() - chance, 1e-5)
    plain = after.shape[1] * spread / (spread + chance) * mean
    came = after.sum(axis=1)
    error_of_plain, error = _deviation(came - plain), _deviation(came - foreseen)
    return jnp.clip((error_of_plain - error) / (2 * jnp.maximum(came.var(), 0.05)), -1, 1)


def _deviation(values: Array) -> Array:
    return ((values - values.mean()) ** 2).sum()
