"""What a number known of each model beforehand says of its accuracy, as far as the answers of the race bear it out.

Neither how much the number tells nor how far apart the accuracies are is known before the race. So beliefs are held
side by side, one for each correlation of number and accuracy, from none on, and each spread of the accuracies. To each
belief the accuracies are Gaussian, and every round's answers move them as Kalman's filter does.

A belief is judged by what it did not foresee of a round: how far the models of large numbers are above the others, and
those with many right answers before. Models of a race err alike, so that the answers to a query are not many witnesses
but hardly more than one: such a slope is as uncertain as it differs from query to query. Which models leave a race
follows from answers that every belief has counted, and tips no scale.

Shapes: M models, S models of a round, n queries of it, B beliefs.
"""

from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import ndtri

CORRELATIONS = {0.0: 0.7, 0.3: 0.15, 0.6: 0.1, 0.9: 0.05}
"""Of the number's normal score and the accuracy, with their weights before the race."""
SPREADS = (0.02, 0.05, 0.1, 0.2)
"""Standard deviations of the accuracies, of equal weights."""
_NOISE = 0.2
"""The variance of an answer: of one and the same, all queries weigh alike, and where a number tells nothing the means
stand as the tallies do."""
_LIKENESS, _QUERIES_OF_LIKENESS = 4.0, 4.0
_LEAST_SIZE = 1e-6


class Beliefs(NamedTuple):
    """What is believed of the models' accuracies, up to a constant that is the same for all of them.

    Attributes:
        score: [M] float32, normal scores of the prior; 0 where it is unknown.
        log_weight: [B] float32, not normalized.
        mean: [B, M] float32.
        variance: [B, M] float32.
        num_asked: float32, the queries of the rounds so far.
        share: [M] float32, of right answers among them, for who has answered them all.
        dispersion: [2] float32, the squared deviations of slopes that were met, by the score and by the share, in units
            of their variance if models erred independently.
        num_slopes: [2] float32, how many they are.
    """

    score: Array
    log_weight: Array
    mean: Array
    variance: Array
    num_asked: Array
    share: Array
    dispersion: Array
    num_slopes: Array


def normal_scores(prior: Array) -> Array:
    """The normal quantiles of a prior's ranks, [M] float32, NaN where unknown: only the order of the numbers counts.

    Equal numbers share the middle of their ranks. Source: the scores of van der Waerden (1952).

    Args:
        prior: [M] float32, NaN where unknown.
    """
    in_order = jnp.sort(prior)  # NaN comes last.
    is_known = ~jnp.isnan(prior)
    below, up_to = (jnp.searchsorted(in_order, prior, side=side) for side in ("left", "right"))
    quantile = (below + up_to + 1).astype(jnp.float32) / (2 * (is_known.sum() + 1)).astype(jnp.float32)
    return jnp.where(is_known, ndtri(quantile), jnp.nan)


def beliefs_before(scores: Array) -> Beliefs:
    """The beliefs before any answer, from normal scores [M], NaN where unknown."""
    score = jnp.nan_to_num(scores)
    correlation, spread = (jnp.asarray(each, jnp.float32)[:, None] for each in np.array(_pairs()).T)
    return Beliefs(
        score=score,
        log_weight=jnp.log(jnp.asarray([CORRELATIONS[each] for each, _ in _pairs()])),
        mean=correlation * spread * score[None, :],
        variance=spread**2 * (1 - jnp.where(jnp.isnan(scores)[None, :], 0.0, correlation**2)),
        num_asked=jnp.float32(0),
        share=jnp.zeros_like(score),
        dispersion=jnp.full(2, _LIKENESS * _QUERIES_OF_LIKENESS),
        num_slopes=jnp.full(2, _QUERIES_OF_LIKENESS),
    )


def beliefs_after(beliefs: Beliefs, models: Array, right: Array) -> Beliefs:
    """The beliefs once `models` [S] int32 answered the same n queries, however hard: `right` [S, n] bool."""
    num_queries = right.shape[1]
    if not num_queries:
        return beliefs
    answers = right.astype(jnp.float32)
    came = answers.mean(axis=1)
    mean, variance = beliefs.mean[:, models], beliefs.variance[:, models]
    surprise = came[None, :] - mean
    surprise -= surprise.mean(axis=1, keepdims=True)

    score, share = beliefs.score[models], beliefs.share[models]
    score -= score.mean()
    share -= share.mean()
    share -= score * (share @ score) / jnp.maximum(score @ score, _LEAST_SIZE)
    directions = jnp.stack([score, share])
    size = (directions**2).sum(axis=1)
    tells = size > _LEAST_SIZE
    size = jnp.maximum(size, _LEAST_SIZE)
    slopes = directions @ answers / size[:, None]
    if_independent = _NOISE / size
    deviations = ((slopes - slopes.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) / if_independent
    dispersion = beliefs.dispersion + jnp.where(tells, deviations, 0)
    num_slopes = beliefs.num_slopes + jnp.where(tells, num_queries - 1, 0)
    uncertainty = jnp.maximum(dispersion / num_slopes, 1) * if_independent / num_queries
    unforeseen = surprise @ directions.T / size[None, :]
    against = jnp.where(tells[None, :], unforeseen**2 / (2 * uncertainty)[None, :], 0).sum(axis=1)

    gain = variance / (variance + _NOISE / num_queries)
    num_asked = beliefs.num_asked + num_queries
    return Beliefs(
        score=beliefs.score,
        log_weight=beliefs.log_weight - against,
        mean=beliefs.mean.at[:, models].add(gain * surprise),
        variance=beliefs.variance.at[:, models].multiply(1 - gain),
        num_asked=num_asked,
        share=beliefs.share.at[models].add((came - beliefs.share[models]) * num_queries / num_asked),
        dispersion=dispersion,
        num_slopes=num_slopes,
    )


def believed_mean(beliefs: Beliefs) -> Array:
    """The posterior mean of the accuracies, [M] float32, up to a constant."""
    return jax.nn.softmax(beliefs.log_weight) @ beliefs.mean


def _pairs() -> list[tuple[float, float]]:
    return list(product(CORRELATIONS, SPREADS))
