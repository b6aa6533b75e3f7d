r"""What the Thompson sampling policies share: posterior samples of every model's accuracy, cheap enough for each pull.

Under a uniform prior the posterior of a model with s right answers of n is Beta(s + 1, n - s + 1). A Beta variate costs
two rejection samplers, and a run needs one for every model at every pull. But the log-odds of the Beta's quantile at
$\Phi(z)$ is a smooth function of z, nearly a polynomial: a quintic through six points is off by at most 0.005 in z for
all z in [-2, 4], so the law of the highest of a thousand models, which lives in the upper tail, is right too. Only the
model that has just answered needs new coefficients; a sample of all models is a normal variate and five
multiplications each. Whose log-odds are highest is whose accuracy is.

Up to 200 answers the coefficients come from a table of exact quantiles; beyond, from the Cornish-Fisher expansion of
the log-odds, a difference of two log-gamma variates, to fourth order (Abramowitz and Stegun 26.2.49): off by at most
0.02 in z, or 0.11 for a model with fewer than ten right, or ten wrong, of more than 200 answers.
"""

import math
from collections.abc import Iterable
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr

from gembench.lanes import take

_DEGREE = 5
_LARGEST_TABLED = 200
_FEW = 4
# Chebyshev points of [-2.85, 4.35]: the upper tail decides who is sampled highest.
_NODES = 0.75 + 3.6 * np.cos((2 * np.arange(_DEGREE + 1) + 1) / (2 * (_DEGREE + 1)) * np.pi)

# Minimax polynomials, constant first, for the odd b < 2**32 over 2**33 as the tail probability p of a normal variate.
# With w the word of the float b and m its mantissa in [1, 2), -2 ln p - 0.365 is this w and a quartic of m; the variate
# is a quartic of its square root. The shift by 0.365 is the one under which that one is best.
_WORD_FACTOR = np.float32(-2 * math.log(2) / 2**23)
_MANTISSA_TERM = (223.539, -4.25605, 2.93988, -0.894357, 0.113144)
_DISTANCE = (-1.36354, 1.42826, -0.0880032, 0.00967692, -0.000429832)


def prior(num_models: int) -> Array:
    """The belief before any answer: coefficients [6, M] float32, constant first; see `sample`."""
    nothing = jnp.zeros(num_models, jnp.int32)
    return _coefficients(nothing, nothing)


def update(belief: Array, models: Array, pulls: Array, correct: Array, num_queries: int) -> Array:
    """The belief after `models` [S] have come to these tallies [S]; an exhausted model is never sampled highest."""
    new = _coefficients(pulls, correct)
    new = new.at[0].set(jnp.where(pulls < num_queries, new[0], -jnp.inf))
    return belief.at[:, models].set(new, mode="promise_in_bounds", wrap_negative_indices=False)


def exclude(belief: Array, is_out: Array) -> Array:
    """The belief in which models, `is_out` [M] bool, are never sampled highest."""
    return belief.at[0].set(jnp.where(is_out, -jnp.inf, belief[0]))


def sample(rng_key: Array, belief: Array) -> Array:
    """One joint posterior sample: the log-odds of every model's accuracy, [M] float32."""
    return _polynomial(belief, _normal(rng_key, belief.shape[1:]))


def _normal(rng_key: Array, shape: tuple[int, ...]) -> Array:
    """Standard normal variates, off by under 0.001 and nowhere beyond 6.4.

    A third of the time of `jax.random.normal`, which a policy that samples every model at every pull feels.
    """
    bits = jax.random.bits(rng_key, shape, jnp.uint32)
    # The odd number over 2**33 is the tail probability in (0, 1/2], the last bit the side. As a float its own word is
    # its exponent and, less a polynomial of its mantissa, its logarithm.
    word = lax.bitcast_convert_type((bits | np.uint32(1)).astype(jnp.float32), jnp.int32)
    mantissa = lax.bitcast_convert_type((word & np.int32(0x7FFFFF)) | np.int32(0x3F800000), jnp.float32)
    shifted = word.astype(jnp.float32) * _WORD_FACTOR + _polynomial(_MANTISSA_TERM, mantissa)
    distance = _polynomial(_DISTANCE, jnp.sqrt(shifted))
    return jnp.where(bits & 1 == 1, distance, -distance)


def _polynomial(coefficients: Iterable[Array | float], at: Array) -> Array:
    """Its value; the coefficients, constant first, are numbers or one array per power."""
    *lower, value = coefficients
    for coefficient in reversed(lower):
        value = value * at + coefficient
    return jnp.asarray(value)


def posterior_mean(pulls: Array, correct: Array) -> Array:
    """The posterior mean accuracy [M] float32 under a uniform prior: the rule of succession."""
    return (correct + 1).astype(jnp.float32) / (pulls + 2).astype(jnp.float32)


def _coefficients(pulls: Array, correct: Array) -> Array:
    """The quintics [6, S] of models with these tallies [S]."""
    wrong = pulls - correct
    is_lopsided = jnp.minimum(correct, wrong) < _FEW
    use_table = (pulls <= _LARGEST_TABLED) | is_lopsided
    return jnp.where(use_table, _tabled(pulls, correct), _cornish_fisher(correct, wrong))


def _tabled(pulls: Array, correct: Array) -> Array:
    """From the table; beyond it, the largest tally in it with as many right (or wrong) answers, if few, is shifted."""
    num_tabled = jnp.minimum(pulls, _LARGEST_TABLED)
    few_right = jnp.minimum(correct, num_tabled)
    few_wrong = num_tabled - jnp.minimum(pulls - correct, num_tabled)
    right = jnp.where(correct < pulls - correct, few_right, few_wrong)
    quintic = take(jnp.asarray(_quantile_table()), num_tabled * (num_tabled + 1) // 2 + right).T
    return quintic.at[0].add(_middle(pulls, correct) - _middle(num_tabled, right))


def _middle(pulls: Array, correct: Array) -> Array:
    return jnp.log(correct.astype(jnp.float32) + 0.5) - jnp.log((pulls - correct).astype(jnp.float32) + 0.5)


@lru_cache(maxsize=1)
def _quantile_table() -> NDArray[np.float32]:
    """The quintics of all tallies up to 200 answers, row n (n + 1) / 2 + s: [20301, 6] float32."""
    pulls = np.repeat(np.arange(_LARGEST_TABLED + 1), np.arange(1, _LARGEST_TABLED + 2))
    correct = np.arange(pulls.size) - pulls * (pulls + 1) // 2
    right, wrong = correct[:, None] + 1.0, (pulls - correct)[:, None] + 1.0
    log_odds = np.log(betaincinv(right, wrong, ndtr(_NODES))) - np.log(betaincinv(wrong, right, ndtr(-_NODES)))
    powers = np.vander(_NODES, _DEGREE + 1, increasing=True)
    return np.linalg.solve(powers, log_odds.T).T.astype(np.float32)


def _cornish_fisher(num_right: Array, num_wrong: Array) -> Array:
    """The quintics [6, S] for many answers of either kind, from the first four cumulants of the log-odds."""
    # The cumulants of a log-gamma variate of shape a are the polygamma functions, to leading orders in a - 1/2.
    right = num_right.astype(jnp.float32) + 0.5
    wrong = num_wrong.astype(jnp.float32) + 0.5
    mean = jnp.log(right / wrong) + (right**-2 - wrong**-2) / 24
    variance = 1 / right + 1 / wrong
    deviation = jnp.sqrt(variance)
    skew = (wrong**-2 - right**-2) / (variance * deviation)
    kurtosis = 2 * (right**-3 + wrong**-3) / variance**2
    constant = mean - deviation * skew / 6
    linear = deviation * (1 - kurtosis / 8 + 5 * skew**2 / 36)
    quadratic = deviation * skew / 6
    cubic = deviation * (kurtosis / 24 - skew**2 / 18)
    nothing = jnp.zeros_like(constant)
    return jnp.stack([constant, linear, quadratic, cubic, nothing, nothing])
