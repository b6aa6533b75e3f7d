"""Linear equations of a few unknowns, thousands at once.

`jnp.linalg` hands each of them to LAPACK, by threads that wait for each other: on several devices of one processor that
can hang, and for so small ones it takes longer than these loops.
"""

import jax.numpy as jnp
from jax import Array, lax


def solve(matrix: Array, vector: Array) -> Array:
    """The x [..., F] of `matrix` x = `vector`, by Gauss-Jordan elimination without a search for pivots.

    Args:
        matrix: [..., F, F] float32, symmetric and positive definite.
        vector: [..., F] float32.
    """
    return _eliminate(matrix, vector[..., None])[..., 0]


def inverse(matrix: Array) -> Array:
    """The inverse of `matrix` [..., F, F] float32, symmetric and positive definite, likewise."""
    return _eliminate(matrix, jnp.broadcast_to(jnp.eye(matrix.shape[-1]), matrix.shape))


def _eliminate(matrix: Array, right_sides: Array) -> Array:
    system = jnp.concatenate([matrix, right_sides], axis=-1)
    unknown = jnp.arange(matrix.shape[-1], dtype=jnp.int32)

    def eliminate(index: Array, system: Array) -> Array:
        row = lax.dynamic_index_in_dim(system, index, axis=-2)
        row = row / lax.dynamic_index_in_dim(row, index, axis=-1)
        column = lax.dynamic_index_in_dim(system, index, axis=-1)
        is_pivot = (unknown == index)[:, None]
        return jnp.where(is_pivot, row, system - column * row)

    solved: Array = lax.fori_loop(0, matrix.shape[-1], eliminate, system)
    return solved[..., matrix.shape[-1] :]
