"""Reading and writing a few entries of an array, without the bounds arithmetic that plain indexing adds.

Each lowers to a single gather or scatter. An index out of range is the caller's mistake: XLA then reads the nearest
entry and writes nothing.
"""

from jax import Array


def take(values: Array, positions: Array) -> Array:
    """`values[positions]` along the first axis."""
    return values.at[positions].get(mode="promise_in_bounds", wrap_negative_indices=False)


def put(values: Array, positions: Array, entries: Array) -> Array:
    """`values` with `entries` at distinct `positions` of the first axis."""
    return values.at[positions].set(entries, mode="promise_in_bounds", wrap_negative_indices=False)


def add(values: Array, positions: Array, entries: Array) -> Array:
    """`values` with `entries` added at `positions` of the first axis."""
    return values.at[positions].add(entries, mode="promise_in_bounds", wrap_negative_indices=False)
