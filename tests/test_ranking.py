"""Picking the best: right against a sort, fair among equals.

Every statistical test rejects below p = 1e-6.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from uniformity import assert_equally_often

from gembench.prng import make_key
from gembench.ranking import best_first, best_model, best_models, best_of_distinct, top_models


def top_of_few_points(rng_key, scores, num_models):
    """`top_models` where points and tickets fit one float."""
    return top_models(rng_key, scores.astype(jnp.int32), num_models, max_points=100)


def top_of_many_points(rng_key, scores, num_models):
    """`top_models` where they do not."""
    return top_models(rng_key, scores.astype(jnp.int32), num_models, max_points=2**24 - 2)


NUM_DRAWS = 100_000
ONE_MODEL = (best_model, best_of_distinct)


@functools.partial(jax.jit, static_argnums=(0, 3))
def draw(rule, rng_keys, scores, num_models):
    """[N, num_models] what a rule picks under each of N keys."""
    if rule in ONE_MODEL:
        return jax.vmap(lambda key: rule(key, scores)[None])(rng_keys)
    return jax.vmap(lambda key: rule(key, scores, num_models))(rng_keys)


def picks(rule, scores, num_models=1, num_draws=NUM_DRAWS, dtype=jnp.float32):
    keys = jax.random.split(make_key(0), num_draws)
    return np.asarray(draw(rule, keys, jnp.asarray(scores, dtype), num_models))


TOP_MODELS = [top_of_few_points, top_of_many_points]
RULES = [best_model, best_first, *TOP_MODELS]
FLOAT_RULES = [best_model, best_first]
CONTINUOUS_RULES = [*FLOAT_RULES, best_of_distinct]


@pytest.mark.parametrize("rule", CONTINUOUS_RULES)
@pytest.mark.parametrize("size", [1, 2, 33])
def test_distinct_scores_are_ranked_as_a_sort_ranks_them(rule, size):
    rng = np.random.default_rng(size)
    num_models = 1 if rule in ONE_MODEL else min(size, 7)
    for _ in range(20):
        scores = rng.normal(size=size).astype(np.float32) * 10.0 ** rng.integers(-30, 30, size).astype(np.float32)
        picked = picks(rule, scores, num_models, num_draws=3)
        np.testing.assert_array_equal(picked, np.tile(np.argsort(-scores)[:num_models], (3, 1)))


@pytest.mark.parametrize("rule", [best_model, best_first])
def test_integers_beyond_the_precision_of_float32_are_told_apart(rule):
    scores = np.array([2**31 - 2, 2**24, 2**31 - 1, 2**24 + 1, -(2**31) + 1, 0], np.int32)
    num_models = 1 if rule in ONE_MODEL else 6
    picked = picks(rule, scores, num_models, num_draws=50, dtype=jnp.int32)
    np.testing.assert_array_equal(picked, np.tile([2, 0, 3, 1, 5, 4][:num_models], (50, 1)))


def test_points_up_to_the_bound_are_told_apart_by_top_models():
    for rule, most in ((top_of_few_points, 100), (top_of_many_points, 2**24 - 2)):
        points = np.array([most, most - 1, 5, 4, 0, -1], np.int32)
        np.testing.assert_array_equal(
            picks(rule, points, 6, num_draws=50, dtype=jnp.int32), np.tile(np.arange(6), (50, 1))
        )


@pytest.mark.parametrize("rule", CONTINUOUS_RULES)
def test_infinities_and_negative_scores_stand_where_they_belong(rule):
    num_models = 1 if rule in ONE_MODEL else 5
    scores = [-3.0, -np.inf, -0.5, np.inf, 1e-38]
    np.testing.assert_array_equal(
        picks(rule, scores, num_models, num_draws=50), np.tile([3, 4, 2, 0, 1][:num_models], (50, 1))
    )


@pytest.mark.parametrize("rule", [best_first])
@pytest.mark.parametrize(
    ("dtype", "lowest"), [(jnp.float32, -np.inf), (jnp.int32, -(2**31) + 1)], ids=["float32", "int32"]
)
def test_no_model_is_picked_twice_even_where_all_that_is_left_has_the_lowest_score_there_is(rule, dtype, lowest):
    picked = picks(rule, np.array([lowest, 5, lowest, lowest]), 4, num_draws=200, dtype=dtype)
    np.testing.assert_array_equal(np.sort(picked), np.tile(np.arange(4), (200, 1)))


@pytest.mark.parametrize("rule", FLOAT_RULES)
def test_zero_and_negative_zero_are_equals(rule):
    first = picks(rule, [-0.0, 0.0])[:, 0]
    assert_equally_often(np.bincount(first, minlength=2))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [2, 5, 33])
def test_among_equals_everyone_is_first_equally_often(rule, size):
    assert_equally_often(np.bincount(picks(rule, np.zeros(size))[:, 0], minlength=size))


@pytest.mark.parametrize("rule", [*RULES, best_of_distinct])
@pytest.mark.parametrize("size", [3, 5, 7, 20])
def test_two_equals_among_others_win_equally_often_wherever_they_stand(rule, size):
    """Of two neighbours a cyclic shift favours the first."""
    for one in range(2):
        scores = np.zeros(size)
        scores[[one, one + 1]] = 1
        first = picks(rule, scores)[:, 0]
        assert_equally_often(np.bincount(first, minlength=size)[[one, one + 1]])


@pytest.mark.parametrize("rule", [best_first, *TOP_MODELS])
@pytest.mark.parametrize("size", [4, 7])
def test_of_equals_every_pair_is_picked_equally_often_in_either_order(rule, size):
    picked = picks(rule, np.zeros(size), 2)
    counts = np.bincount(picked[:, 0] * size + picked[:, 1], minlength=size * size).reshape(size, size)
    assert (np.diag(counts) == 0).all()
    assert_equally_often(counts[~np.eye(size, dtype=bool)])


@pytest.mark.parametrize("rule", [best_first, *TOP_MODELS])
def test_the_last_place_is_drawn_fairly_among_those_who_tie_for_it(rule):
    picked = picks(rule, [1, 3, 1, 2, 1, 1, 0], 3)
    np.testing.assert_array_equal(picked[:, :2], np.tile([1, 3], (NUM_DRAWS, 1)))
    assert_equally_often(np.bincount(picked[:, 2], minlength=7)[[0, 2, 4, 5]])


MANY = [(200, 150, 7), (200, 199, 2**14 - 2), (100, 65, 1), (200, 20, 7), (300, 250, 2**20)]
"""Models, how many stay, and the bound of their points: many for a heap, and few; and more points than words hold."""


@pytest.mark.parametrize(("size", "num_models", "max_points"), MANY)
def test_the_best_of_many_are_those_that_a_sort_has_first(size, num_models, max_points):
    rng = np.random.default_rng(size)
    keys = jax.random.split(make_key(1), 20)
    for _ in range(5):
        points = rng.integers(-1, max_points, size, endpoint=True)
        points[rng.permutation(size)[:2]] = -1, max_points
        picked = np.asarray(
            jax.vmap(
                lambda key, points=points: best_models(key, jnp.asarray(points, jnp.int32), num_models, max_points)
            )(keys)
        )
        for row in picked:
            assert len(set(row.tolist())) == num_models
            np.testing.assert_array_equal(np.sort(points[row]), np.sort(points)[size - num_models :])


def test_among_many_equals_everyone_stays_equally_often_and_every_two_together():
    """Of 40 equals 20 stay. Drawn without replacement, counts spread less than the chi-square test allows for.

    Two of them stay together in 20 * 19 of 40 * 39 draws: 5.2 standard errors, twice in ten million for each pair.
    """
    points = np.tile([5, 2, 5, 2, 5], 20)
    num_draws, equals = 20_000, np.flatnonzero(points == 2)
    rule = functools.partial(best_models, max_points=9)
    keys = jax.random.split(make_key(2), num_draws)
    picked = np.asarray(jax.jit(jax.vmap(lambda key: rule(key, jnp.asarray(points, jnp.int32), 80)))(keys))
    stays = (picked[:, :, None] == equals).any(axis=1)
    assert (stays.sum(axis=1) == 20).all()
    assert_equally_often(stays.sum(axis=0))
    chance = 20 * 19 / (40 * 39)
    for one, other in [(0, 1), (0, 39), (17, 18)]:
        together = (stays[:, one] & stays[:, other]).mean()
        assert abs(together - chance) < 5.2 * np.sqrt(chance * (1 - chance) / num_draws)


def test_of_12000_equals_the_first_and_the_last_win_equally_often():
    """The mean position of the winner: 5 standard errors, one in two million."""
    position = picks(best_model, np.zeros(12_000), num_draws=20_000)[:, 0] / 11_999
    assert abs(position.mean() - 0.5) < 5 * np.sqrt(1 / 12 / position.size)


def test_the_highest_of_12000_distinct_scores_is_found_though_they_share_a_sign_and_an_exponent():
    """14 bits of the 32 hold the position: 18 are left to tell scores apart, 9 of them of the mantissa."""
    scores = np.random.default_rng(5).permutation(np.linspace(1, 1.99, 12_000).astype(np.float32))
    scores[7_000] = np.float32(1.995)
    assert (picks(best_of_distinct, scores, num_draws=200) == 7_000).all()
    assert (picks(best_of_distinct, -1 / scores, num_draws=200) == 7_000).all()
