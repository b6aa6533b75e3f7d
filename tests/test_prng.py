"""The hash generator under `jax.random`: uniform words, keys without relatives, the laws that it is asked for.

Every statistical test rejects below p = 1e-6.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom, kstest
from uniformity import REJECT_BELOW, assert_equally_often, assert_uniform_pair

from gembench.prng import hash_counter, make_key, mix

NUM_WORDS = 1 << 20


def bits(key, shape=(NUM_WORDS,), dtype=jnp.uint32):
    return np.asarray(jax.random.bits(key, shape, dtype))


def first_word(keys):
    """The first random word of each of many keys."""
    return np.asarray(jax.jit(jax.vmap(lambda key: jax.random.bits(key, (), jnp.uint32)))(keys))


def unit(words):
    return words / 2.0**32


@pytest.mark.parametrize("seed", [0, 1, 2**31])
def test_the_bytes_of_a_stream_are_uniform(seed):
    stream = bits(make_key(jnp.uint32(seed)))
    for shift in (0, 8, 16, 24):
        assert_equally_often(np.bincount((stream >> shift) & 0xFF, minlength=256))


@pytest.mark.parametrize("distance", [1, 2, 3, 64, 1024])
def test_words_of_a_stream_are_independent(distance):
    stream = bits(make_key(3))
    assert_uniform_pair(unit(stream[:-distance]), unit(stream[distance:]))
    # The low bits too, for which the order of the words is turned round.
    low = (stream & 0xFFFF) / 2.0**16
    assert_uniform_pair(low[:-distance], low[distance:])


def assert_half_of_the_bits_flip(before, after):
    """Each of 32 output bits flips like a fair coin; false-alarm rate 1e-6 over all of them."""
    flips = ((before ^ after)[:, None] >> np.arange(32, dtype=np.uint32)) & 1
    tail = binom.sf(np.abs(flips.sum(axis=0) - len(before) / 2) + len(before) / 2, len(before), 0.5)
    assert tail.min() * 64 > REJECT_BELOW, f"output bits {flips.mean(axis=0).round(3)}"


@pytest.mark.parametrize("bit", range(32))
def test_a_bit_of_the_seed_or_of_the_folded_number_flips_half_of_the_bits_drawn(bit):
    numbers = np.random.default_rng(0).integers(2**32, size=20_000, dtype=np.uint32)
    flipped = numbers ^ np.uint32(1 << bit)
    for child in (jax.vmap(make_key), jax.vmap(jax.random.fold_in, (None, 0))):
        before, after = (
            first_word(child(jnp.asarray(number)) if child.__name__ == "make_key" else child(make_key(5), number))
            for number in (numbers, flipped)
        )
        assert_half_of_the_bits_flip(before, after)


def test_mix_is_a_bijection_where_it_can_be_seen():
    """No two of 2**22 words meet; of random functions one in e**2000 would do that."""
    words = np.asarray(mix(jnp.arange(1 << 22, dtype=jnp.uint32)))
    assert np.unique(words).size == 1 << 22


@pytest.mark.parametrize("bit", range(32))
def test_every_bit_of_either_key_word_changes_every_word_drawn(bit):
    """Counter and key word enter by bijections, so that no change can be lost."""
    rng = np.random.default_rng(1)
    first, second, counter = map(jnp.asarray, rng.integers(2**32, size=(3, 10_000), dtype=np.uint32))
    flip = np.uint32(1 << bit)
    drawn = hash_counter(first, second, counter)
    for other in (hash_counter(first ^ flip, second, counter), hash_counter(first, second ^ flip, counter)):
        assert (other != drawn).all()


def children(of):
    """[512, 512] keys, neighbours along both axes."""
    counter = jnp.arange(512, dtype=jnp.uint32)
    if of == "fold_in of fold_in":
        runs = jax.vmap(jax.random.fold_in, (None, 0))(make_key(1), counter)
        return jax.vmap(jax.vmap(jax.random.fold_in, (None, 0)), (0, None))(runs, counter)
    if of == "split of split":
        return jax.vmap(lambda key: jax.random.split(key, 512))(jax.random.split(make_key(1), 512))
    if of == "split of fold_in":
        runs = jax.vmap(jax.random.fold_in, (None, 0))(make_key(1), counter)
        return jax.vmap(lambda key: jax.random.split(key, 512))(runs)
    if of == "split in two dimensions":
        return jax.random.split(make_key(1), (512, 512))
    if of == "fold_in of neighbouring seeds":
        return jax.vmap(jax.vmap(jax.random.fold_in, (None, 0)), (0, None))(jax.vmap(make_key)(counter), counter)
    raise AssertionError(of)


FAMILIES = [
    "fold_in of fold_in",
    "split of split",
    "split of fold_in",
    "split in two dimensions",
    "fold_in of neighbouring seeds",
]


@pytest.mark.parametrize("of", FAMILIES)
def test_neighbouring_keys_draw_independently(of):
    keys = children(of)
    drawn = np.asarray(jax.jit(jax.vmap(jax.vmap(lambda key: jax.random.uniform(key, (2,)))))(keys), np.float64)
    assert_uniform_pair(drawn[:-1, :, 0], drawn[1:, :, 0])
    assert_uniform_pair(drawn[:, :-1, 0], drawn[:, 1:, 0])
    assert_uniform_pair(drawn[:-1, :-1, 0], drawn[1:, 1:, 1])
    assert_uniform_pair(drawn[:, :, 0], drawn[:, :, 1])


@pytest.mark.parametrize("of", FAMILIES)
def test_no_two_of_many_keys_are_equal(of):
    """Of 2**18 keys of 64 bits, two are equal once in 5e8."""
    data = np.asarray(jax.random.key_data(children(of))).reshape(-1, 2)
    assert np.unique(data, axis=0).shape == data.shape
    # Either word is random by itself: 8 of its values are expected to come twice; 40 are 11 standard errors more.
    for word in data.T:
        assert np.unique(word).size > len(word) - 40


def test_split_and_fold_in_give_different_children():
    key = make_key(4)
    split = jax.random.key_data(jax.random.split(key, 1000))
    folded = jax.random.key_data(jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(1000, dtype=jnp.uint32)))
    assert not set(map(tuple, np.asarray(split).tolist())) & set(map(tuple, np.asarray(folded).tolist()))


@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.uint16, jnp.uint32])
def test_bits_of_every_width_fill_it_evenly(dtype):
    drawn = bits(make_key(6), dtype=dtype)
    assert drawn.dtype == dtype
    for shift in range(0, 8 * drawn.itemsize, 8):
        assert_equally_often(np.bincount((drawn >> shift) & 0xFF, minlength=256))


def test_bits_of_64_are_two_independent_words():
    with jax.enable_x64(True):
        drawn = bits(make_key(6), dtype=jnp.uint64)
    assert drawn.dtype == np.uint64
    assert_uniform_pair((drawn >> np.uint64(32)) / 2.0**32, (drawn & np.uint64(0xFFFFFFFF)) / 2.0**32)


@pytest.mark.parametrize("law", ["uniform", "norm"])
def test_draws_follow_their_law(law):
    draw = {"uniform": jax.random.uniform, "norm": jax.random.normal}[law]
    drawn = np.asarray(draw(make_key(8), (200_000,)), np.float64)
    assert kstest(drawn, law).pvalue > REJECT_BELOW


def test_vmap_draws_what_each_key_draws_alone():
    keys = jax.random.split(make_key(9), 5)
    together = np.asarray(jax.vmap(lambda key: jax.random.bits(key, (7,), jnp.uint32))(keys))
    alone = np.stack([bits(key, (7,)) for key in keys])
    np.testing.assert_array_equal(together, alone)


def test_permutations_and_choices_of_jax_work_with_the_key():
    assert sorted(jax.random.permutation(make_key(2), 50).tolist()) == list(range(50))
    drawn = np.asarray(jax.random.randint(make_key(2), (100_000,), 0, 10))
    assert_equally_often(np.bincount(drawn, minlength=10))
