"""A counter-based random generator for JAX keys that costs three multiplications a word.

Policies draw with the ordinary `jax.random` functions; only the bits behind the key differ. JAX's default generator
takes longer on a CPU than the replay it serves: a Thompson sampling policy draws one number per model per pull.

Each word is a 32-bit integer hash (xor-shifts and odd multiplications) of counter and key, made for simulation, not for
secrets. The constants are those of `triple32` and `lowbias32` in C. Wellons' hash-prospector (public domain), which
found them by searching for the least avalanche bias.
"""

import math
from collections.abc import Sequence
from typing import Any, overload

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.random import define_prng_impl
from jax.random import key as jax_key
from numpy.typing import NDArray

_GOLDEN = np.uint32(0x9E3779B9)


@overload
def mix(word: Array) -> Array: ...
@overload
def mix(word: NDArray[np.uint32]) -> NDArray[np.uint32]: ...
def mix(word: Any) -> Any:
    """A bijection of 32-bit words in which every input bit moves about half of the output bits (`lowbias32`).

    NumPy's words, known before anything is traced, are mixed there and then.
    """
    word = (word ^ (word >> 16)) * np.uint32(0x7FEB352D)
    word = (word ^ (word >> 15)) * np.uint32(0x846CA68B)
    return word ^ (word >> 16)


def hash_counter(first: Array, second: Array, counter: Array) -> Array:
    """Random words, one per element of `counter` (uint32), under a key of two words (`triple32`, keyed in between)."""
    word = counter + first
    word = (word ^ (word >> 17)) * np.uint32(0xED5AD4BB)
    word = (word ^ (word >> 11) ^ second) * np.uint32(0xAC4C1B51)
    word = (word ^ (word >> 15)) * np.uint32(0x31848BAB)
    return word ^ (word >> 14)


def _seed(seed: Array) -> Array:
    low = seed.astype(jnp.uint32)
    return jnp.stack([mix(low ^ _GOLDEN), mix(mix(low) + _GOLDEN)])


def _fold_in(key: Array, data: Array | int) -> Array:
    word = jnp.asarray(data).astype(jnp.uint32)
    return jnp.stack([hash_counter(key[0], key[1], word), hash_counter(key[1], ~key[0], word)])


def _split(key: Array, shape: Sequence[int]) -> Array:
    counter = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(tuple(shape))
    children = [hash_counter(key[0], key[1] ^ _GOLDEN, counter), hash_counter(key[1], ~key[0] ^ _GOLDEN, counter)]
    return jnp.stack(children, axis=-1)


def _random_bits(key: Array, bit_width: int, shape: Sequence[int]) -> Array:
    counter = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(tuple(shape))
    words = hash_counter(key[0], key[1], counter)
    if bit_width <= 32:
        return (words >> (32 - bit_width)).astype(f"uint{bit_width}")
    more = hash_counter(~key[1], key[0], counter)
    return (words.astype(jnp.uint64) << 32) | more.astype(jnp.uint64)


_HASH_PRNG = define_prng_impl(
    key_shape=(2,),
    seed=_seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="gembench_hash",
    tag="gem",
)


def make_key(seed: int | Array) -> Array:
    """A typed JAX key of this generator, for use with `jax.random`."""
    return jax_key(seed, impl=_HASH_PRNG)
