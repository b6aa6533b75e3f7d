r"""Item response theory: the log-odds that a model answers a query right are $a \cdot \theta + c$.

The ability $\theta$ belongs to the model; discrimination a and ease c, which is minus the difficulty, to the query. All
are posterior modes under normal priors. The curvature of the logistic likelihood is at most 1/4 everywhere, so that one
matrix, inverted once, serves for all models or all queries and every step; each step raises the posterior density.

Source: the multidimensional two-parameter logistic model, Reckase, "Multidimensional Item Response Theory", 2009; the
bound from Böhning and Lindsay, "Monotonicity of quadratic-approximation algorithms", Annals of the Institute of
Statistical Mathematics 40, 1988.

Shapes: M models, Q queries, D dimensions.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from gembench.past_answers import share_right
from gembench.query_policy import UNSEEN

_EASE_PRECISION = 0.1
_STEPS_PER_TURN = 4


class Items(NamedTuple):
    """The queries: `discrimination` [Q, D] and `ease` [Q], float32."""

    discrimination: Array
    ease: Array


def log_odds(abilities: Array, items: Items) -> Array:
    """Of right answers, [M, Q], for `abilities` [M, D]."""
    return _product(abilities, items.discrimination.T) + items.ease[None]


def fit_items(answers: Array, first_abilities: Array, num_turns: int) -> Items:
    """Items and abilities by turns, from the given abilities [M, D] on; `answers` are [M, Q] int8."""
    num_models, num_dimensions = first_abilities.shape
    precision = jnp.diag(jnp.ones(num_dimensions + 1).at[-1].set(_EASE_PRECISION))
    share = share_right(answers)
    items = Items(jnp.zeros((answers.shape[1], num_dimensions)), jnp.log(share / (1 - share)))

    def turn(_: Array, state: tuple[Items, Array]) -> tuple[Items, Array]:
        items, abilities = state
        features = jnp.concatenate([abilities, jnp.ones((num_models, 1))], axis=1)
        step_size = jnp.linalg.inv(_product(features.T, features) / 4 + precision)

        def step(_: Array, items: Items) -> Items:
            both = jnp.concatenate([items.discrimination, items.ease[:, None]], axis=1)
            slope = _product(_surprise(answers, abilities, items).T, features) - _product(both, precision)
            both = both + _product(slope, step_size)
            return Items(both[:, :-1], both[:, -1])

        items = lax.fori_loop(0, _STEPS_PER_TURN, step, items)
        return items, fit_abilities(answers, items, ability_step(items), abilities, _STEPS_PER_TURN)

    fitted: tuple[Items, Array] = lax.fori_loop(0, num_turns, turn, (items, first_abilities))
    return fitted[0]


def ability_step(items: Items) -> Array:
    """What turns a slope into a step of `fit_abilities`, [D, D]."""
    num_dimensions = items.discrimination.shape[1]
    curvature = _product(items.discrimination.T, items.discrimination) / 4 + jnp.eye(num_dimensions)
    return jnp.asarray(jnp.linalg.inv(curvature))


def fit_abilities(answers: Array, items: Items, step_size: Array, start: Array, num_steps: int) -> Array:
    """The abilities of models from their answers, under a standard normal prior: [M, D].

    Args:
        answers: [M, Q] int8, 1 right, 0 wrong, `UNSEEN`.
        items: the queries.
        step_size: [D, D], of `ability_step`.
        start: [M, D], where to begin.
        num_steps: how many steps; each raises the posterior density.
    """

    def step(_: Array, abilities: Array) -> Array:
        slope = _product(_surprise(answers, abilities, items), items.discrimination) - abilities
        return abilities + _product(slope, step_size)

    fitted: Array = lax.fori_loop(0, num_steps, step, start)
    return fitted


def _surprise(answers: Array, abilities: Array, items: Items) -> Array:
    """By how much each answer exceeds what was expected, [M, Q]; 0 where there is none."""
    right = (answers == 1).astype(jnp.float32)
    return jnp.where(answers == UNSEEN, 0, right - jax.nn.sigmoid(log_odds(abilities, items)))


def _product(left: Array, right: Array) -> Array:
    product: Array = jnp.matmul(left, right, precision=lax.Precision.HIGHEST)
    return product
