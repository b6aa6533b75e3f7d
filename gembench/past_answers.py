"""What policies read off a history before anything else: how hard each query is, and its gaps filled.

Shapes: H models of the history, Q queries.
"""

import jax.numpy as jnp
from jax import Array

from gembench.query_policy import UNSEEN


def share_right(history: Array) -> Array:
    """The share of the history that answers each query right, by the rule of succession: [Q] float32.

    Args:
        history: [H, Q] int8, 1 right, 0 wrong, `UNSEEN`; without models, every share is a half.
    """
    num_right = (history == 1).sum(axis=0, dtype=jnp.int32)
    num_known = (history != UNSEEN).sum(axis=0, dtype=jnp.int32)
    return (num_right + 1).astype(jnp.float32) / (num_known + 2).astype(jnp.float32)


def fill_unknown(history: Array) -> Array:
    """The history [H, Q] as float32, the share of right answers to its query in place of each unknown one."""
    return jnp.where(history == UNSEEN, share_right(history)[None], history.astype(jnp.float32))
