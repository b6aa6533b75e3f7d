r"""UCB-StdDev: UCB with the model's own empirical standard deviation in the width.

Each pull goes to the model with the highest $\hat\mu_m + \hat\sigma_m \sqrt{c \ln t / n_m}$ after $t$ pulls; the
highest mean is recommended. A model that is nearly always right, or nearly always wrong, needs fewer queries to be
known.

Source: the baseline of that name in arXiv 2601.22157, which gives no formula; the form follows UCB1-NORMAL and
UCB1-TUNED of Auer, Cesa-Bianchi and Fischer, Machine Learning 47, 2002, section 4. The default c is half of
UCB1-TUNED's 1, because that finds better models on the embedded trees; docs/fidelity.md says more.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from gembench.optimism import Optimism
from gembench.policy import Sampling


@dataclass(frozen=True)
class UCBStdDev(Optimism):
    """UCB with empirical standard deviations."""

    exploration: float = 0.5

    sampling: ClassVar[Sampling] = "independent"

    def width(self, pulls: Array, mean: Array) -> Array:
        """The model's own part of the width.

        The deviation is that of the rule of succession, (right + 1) / (n + 2): the plain one is zero after one
        answer, and such a model would never be asked again, or always.
        """
        accuracy = (mean * pulls + 1) / (pulls + 2)
        return jnp.sqrt(self.exploration * accuracy * (1 - accuracy) / pulls)
