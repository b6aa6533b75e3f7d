"""The keyed permutation: exact at every size, and without a bias that a million keys would show.

Every statistical test rejects below p = 1e-6.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uniformity import assert_equally_often, assert_uniform_pair, assert_uniform_permutations

from gembench.permutation import permute

NUM_KEYS = 1_000_000
# The sizes of a race, of its query list, and ones that fit no rectangle: primes and the numbers next to squares.
BIG_SIZES = [3_000, 11_999, 12_011, 12_032, 110 * 110 - 1, 110 * 110 + 1]

permute_jit = jax.jit(permute, static_argnames="size")


def key_words(num_keys, seed=0):
    """[2, num_keys] random key words."""
    return np.random.default_rng(seed).integers(2**32, size=(2, num_keys), dtype=np.uint32)


def images(size, num_keys, elements=None, seed=0):
    """[num_keys, elements] where the elements (by default all) go under random keys."""
    first, second = key_words(num_keys, seed)[:, :, None]
    element = np.arange(size, dtype=np.int32) if elements is None else np.asarray(elements, np.int32)
    return np.asarray(permute_jit(first, second, element[None, :], size=size))


def test_every_size_up_to_200_is_permuted_exactly_under_every_key():
    first, second = key_words(40)[:, :, None]
    # One shape for all sizes, so that nothing is compiled anew: elements beyond the size are cut off afterwards.
    element = jnp.arange(200, dtype=jnp.int32)[None, :]
    for size in range(1, 201):
        image = np.asarray(permute(jnp.asarray(first), jnp.asarray(second), element, size))[:, :size]
        np.testing.assert_array_equal(np.sort(image, axis=1), np.tile(np.arange(size), (40, 1)), err_msg=f"size {size}")


@pytest.mark.parametrize("size", BIG_SIZES)
def test_big_sizes_are_permuted_exactly_under_every_key(size):
    np.testing.assert_array_equal(np.sort(images(size, 100)), np.tile(np.arange(size), (100, 1)))


@given(size=st.integers(1, 5_000), first=st.integers(0, 2**32 - 1), second=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_any_size_is_permuted_exactly_under_any_key(size, first, second):
    # Again one shape for all sizes.
    element = jnp.arange(5_000, dtype=jnp.int32)
    image = np.asarray(permute(jnp.uint32(first), jnp.uint32(second), element, size))
    np.testing.assert_array_equal(np.sort(image[:size]), np.arange(size))


def test_an_element_beyond_the_size_has_some_valid_image():
    image = np.asarray(permute(jnp.uint32(1), jnp.uint32(2), jnp.arange(300, dtype=jnp.int32), 7))
    assert image.min() >= 0
    assert image.max() < 7


@pytest.mark.parametrize("size", [2, 3, 5, 7, 12, 13])
def test_every_element_goes_everywhere_equally_often(size):
    assert_uniform_permutations(images(size, NUM_KEYS // 5))


@pytest.mark.parametrize("size", [3, 4, 5])
def test_all_permutations_of_a_few_elements_are_equally_frequent(size):
    codes = images(size, NUM_KEYS) @ size ** np.arange(size)
    possible = [np.array(image) @ size ** np.arange(size) for image in itertools.permutations(range(size))]
    counts = [(codes == code).sum() for code in possible]
    assert sum(counts) == NUM_KEYS
    assert_equally_often(counts)


# 0 and 1 are neighbours in a row of the network's rectangle of 50 or 60 columns; 0 and 60 share a column.
@pytest.mark.parametrize("pair", [(0, 1), (0, 55), (17, 2_983)])
def test_two_of_3000_elements_go_anywhere_independently(pair):
    """That two elements cannot meet moves a cell of the 16 x 16 table by 1/200 of itself, a third of its error."""
    image = images(3_000, NUM_KEYS, pair) / 3_000
    assert_uniform_pair(image[:, 0], image[:, 1])


@pytest.mark.parametrize("pair", [(0, 1), (0, 55), (17, 2_983)])
def test_the_distance_of_two_of_3000_images_is_uniform(pair):
    image = images(3_000, NUM_KEYS, pair)
    distance = (image[:, 1] - image[:, 0]) % 3_000
    assert (distance > 0).all()
    # 2,999 distances, all equally likely.
    assert_equally_often(np.bincount(distance, minlength=3_000)[1:])


@pytest.mark.parametrize("pair", list(itertools.combinations(range(7), 2)))
def test_any_two_of_7_elements_go_to_any_two_places_equally_often(pair):
    image = images(7, NUM_KEYS // 5, pair)
    counts = np.bincount(image[:, 0] * 7 + image[:, 1], minlength=49).reshape(7, 7)
    assert (np.diag(counts) == 0).all()
    assert_equally_often(counts[~np.eye(7, dtype=bool)])


def test_one_bit_of_the_key_makes_another_permutation():
    """The image of an element under the two keys is equal once in 3,000: fewer than 5 standard errors from that."""
    first, second = key_words(2_000)[:, :, None]
    element = np.arange(0, 3_000, 300, dtype=np.int32)[None, :]
    image = np.asarray(permute_jit(first, second, element, size=3_000))
    for bit in range(32):
        for flipped in ((first ^ np.uint32(1 << bit), second), (first, second ^ np.uint32(1 << bit))):
            num_equal = (np.asarray(permute_jit(*flipped, element, size=3_000)) == image).sum()
            expected = image.size / 3_000
            assert abs(num_equal - expected) < 5 * np.sqrt(expected) + 5, f"bit {bit}: {num_equal} for {expected:.1f}"
