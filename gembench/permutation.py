"""A keyed permutation of [0, n), computed at any element: no table, no sort.

Construction: a generalized Feistel network over the digits (left, right) of an element in base (a, b), with
cycle-walking where a*b exceeds n (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002, sections 3
and 5). It shuffles for simulation, and keeps no secrets.
"""

import math
from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jax import Array


def permute(first: Array, second: Array, element: Array, size: int) -> Array:
    """Where each `element` (int32 in [0, size)) goes under the key words `first` and `second` (uint32).

    The three broadcast against each other; the result is int32. Exactly a permutation under every key. For an element
    beyond the size the result is some valid one.
    """
    base = _base(size)
    image = _network(first, second, element.astype(jnp.uint32), base, _num_rounds(size))
    # A walk leaves the excess elements after at most as many steps as there are of them.
    for _ in range(base[0] * base[1] - size):
        image = jnp.where(image < size, image, _network(first, second, image, base, _num_rounds(size)))
    return jnp.minimum(image, np.uint32(size - 1)).astype(jnp.int32)


@lru_cache
def _base(size: int) -> tuple[int, int]:
    """(a, b) with a*b >= size and neither far from its root: the least excess first, since each costs one more walk."""
    root = math.isqrt(size - 1) + 1
    candidates = range(min(root, max(2, root // 2)), root + 1)
    return min(((a, -(-size // a)) for a in candidates), key=lambda base: (base[0] * base[1], -base[0]))


def _num_rounds(size: int) -> int:
    """Enough that no bias shows in a million keys: digits of small numbers mix slowly."""
    return 6 if size >= 1024 else 16 if size >= 64 else 40


def _network(first: Array, second: Array, element: Array, base: tuple[int, int], num_rounds: int) -> Array:
    """One pass over [0, a*b)."""
    radix = (np.uint32(base[0]), np.uint32(base[1]))
    left, right = element // radix[1], element % radix[1]
    for number in range(num_rounds):
        modulus = radix[number % 2]
        word = (right + first + np.uint32(number * 0x3C6EF372 & 0xFFFFFFFF)) * np.uint32(0x7FEB352D)
        word = ((word ^ (word >> 15)) + second) * np.uint32(0x846CA68B)
        # The high 16 bits, scaled to [0, modulus): no division in the loop.
        shifted = left + (((word >> 16) * modulus) >> 16)
        left, right = right, jnp.where(shifted >= modulus, shifted - modulus, shifted)
    return left * radix[1] + right
