r"""How probable it is that a model is the best, under a Beta belief about each model's accuracy.

$P(m\ \text{is best}) = \int f_m(x) \prod_{l \ne m} F_l(x)\,dx$ with densities f and distribution functions F, by the
midpoint rule on a fixed grid, in logarithms: hopeless models have tiny probabilities too, and they rank.

Shapes: M models, P points of the grid.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.special import betaln

_LEAST_VARIANCE = 1e-6
_FLOOR = 1e-30


def log_best_probability(mean: Array, variance: Array, num_points: int = 128) -> Array:
    """The logarithm of each model's probability to be the best, [..., M] float32, up to a common constant.

    Args:
        mean: [..., M] float32, of each belief, in (0, 1).
        variance: [..., M] float32; the belief is the Beta distribution of this mean and variance.
        num_points: P.
    """
    grid = ((np.arange(num_points) + 0.5) / num_points).astype(np.float32)
    log_grid, log_rest = (np.expand_dims(each, tuple(range(mean.ndim))) for each in (np.log(grid), np.log1p(-grid)))
    # A product with this is the mass up to the middle of each cell.
    up_to = ((np.tri(num_points) - np.eye(num_points) / 2) / num_points).astype(np.float32)
    strength = mean * (1 - mean) / jnp.maximum(variance, _LEAST_VARIANCE) - 1
    alpha, beta = (mean * strength)[..., None], ((1 - mean) * strength)[..., None]
    log_density = (alpha - 1) * log_grid + (beta - 1) * log_rest - betaln(alpha, beta)
    density = jnp.exp(log_density)
    below = jnp.matmul(density, up_to.T, precision=lax.Precision.HIGHEST)
    log_below = jnp.log(jnp.clip(below, _FLOOR, 1))
    log_others = log_below.sum(axis=-2, keepdims=True) - log_below
    return jax.nn.logsumexp(log_density + log_others, axis=-1)


def entropy(log_weights: Array) -> Array:
    """The entropy, in nats, of the distribution with these logarithms [..., M], up to a constant: [...] float32."""
    log_probability = jax.nn.log_softmax(log_weights, axis=-1)
    return -(jnp.exp(log_probability) * log_probability).sum(axis=-1)
