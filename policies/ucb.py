r"""UCB: optimism for the least cumulative regret, used here to search.

Each pull goes to the model with the highest $\hat\mu_m + \sqrt{c \ln t / n_m}$ after $t$ pulls; the highest mean is
recommended.

Source: Auer, Cesa-Bianchi and Fischer, "Finite-time Analysis of the Multiarmed Bandit Problem", Machine Learning 47,
2002, figure 1 (UCB1, where c = 2). With c = 2 and tens of queries per model, all models are asked nearly equally often.
The default is the bound of the same paper's UCB1-TUNED (section 4), c = 1/4: the largest variance that right or wrong
answers can have, so that the width is $\sqrt{\ln t}$ standard errors of the least certain mean.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from gembench.optimism import Optimism
from gembench.policy import Sampling


@dataclass(frozen=True)
class UCB(Optimism):
    """UCB1, with a smaller constant."""

    exploration: float = 0.25

    sampling: ClassVar[Sampling] = "independent"

    def width(self, pulls: Array, mean: Array) -> Array:
        """The part of the width that is the model's own."""
        del mean
        return jnp.sqrt(self.exploration / pulls)
