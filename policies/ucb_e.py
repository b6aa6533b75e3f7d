r"""UCB-E: the optimistic policy for fixed-budget best-arm identification.

Each pull goes to the model with the highest $\hat\mu_m + \sqrt{a / n_m}$; the highest mean is recommended.

Source: Audibert, Bubeck and Munos, "Best Arm Identification in Multi-Armed Bandits", COLT 2010, figure 1.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from gembench.errors import PolicySettingError
from gembench.optimism import Optimism
from gembench.policy import Sampling


@dataclass(frozen=True)
class UCBE(Optimism):
    """UCB-E.

    Attributes:
        exploration: a of the source, which suggests 25 (B - M) / (36 H_1) for a known hardness H_1.

    Raises:
        PolicySettingError: `exploration` is not positive.
    """

    exploration: float = 2.0

    sampling: ClassVar[Sampling] = "independent"

    def __post_init__(self) -> None:
        if not self.exploration > 0:
            raise PolicySettingError(f"exploration must be positive, got {self.exploration}.")

    def width(self, pulls: Array, mean: Array) -> Array:
        """The square root of a / n."""
        del mean
        return jnp.sqrt(self.exploration / pulls)
