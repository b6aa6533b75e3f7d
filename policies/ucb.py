r"""UCB: optimism for the least cumulative regret, used here to search.

Each pull goes to the model with the highest $\hat\mu_m + \sqrt{c \ln t / n_m}$ after $t$ pulls; the highest mean is
recommended.

Source: Auer, Cesa-Bianchi and Fischer, "Finite-time Analysis of the Multiarmed Bandit Problem", Machine Learning 47,
2002, figure 1 (UCB1, where c = 2).
"""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from gembench.optimism import Optimism
from gembench.policy import Sampling


@dataclass(frozen=True)
class UCB(Optimism):
    """UCB1."""

    sampling: ClassVar[Sampling] = "independent"

    def width(self, pulls: Array, mean: Array) -> Array:
        """The part of the width that is the model's own."""
        del mean
        return jnp.sqrt(self.exploration / pulls)
