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

from gembench.errors import PolicySettingError
from gembench.optimism import Optimism
from gembench.policy import Sampling


@dataclass(frozen=True)
class UCB(Optimism):
    """UCB1.

    Attributes:
        exploration: c, the factor on ln t; 2 in the source.

    Raises:
        PolicySettingError: `exploration` is not positive.
    """

    exploration: float = 2.0

    sampling: ClassVar[Sampling] = "independent"

    def __post_init__(self) -> None:
        if not self.exploration > 0:
            raise PolicySettingError(f"exploration must be positive, got {self.exploration}.")

    def width(self, pulls: Array, mean: Array) -> Array:
        """The part of the width that is the model's own."""
        del mean
        return jnp.sqrt(self.exploration / pulls)

    def growth(self, num_pulls: Array) -> Array:
        """The square root of ln t."""
        return jnp.sqrt(jnp.log(num_pulls.astype(jnp.float32)))
