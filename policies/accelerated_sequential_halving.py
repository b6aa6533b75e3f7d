"""Accelerated sequential halving: shared queries, a hard first cut, nothing paid for is forgotten.

All survivors meet the same unseen queries, so that the luck of the draw is common to them and cancels in comparisons.
The first elimination keeps a fixed 100 models; from there the pool halves each round. The running tally decides.

Source: Kahana, Horwitz and Hoshen, "Discovering Hidden Gems in Model Repositories", arXiv 2601.22157, section 4. How
the budget is split over the rounds is not published; the split is ours.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from gembench.elimination import Elimination, Round, halving_sizes, rounds_of_shares
from gembench.errors import PolicySettingError
from gembench.policy import Problem, Sampling


@dataclass(frozen=True)
class AcceleratedSequentialHalving(Elimination):
    """Accelerated sequential halving.

    Attributes:
        first_cut: how many models the first elimination keeps; a smaller pool is halved from the start.
        first_share: the share of the budget that the round before the first cut may spend, in (0, 1); 0 lets the
            depth of the cut decide, see `cut_share`.

    Raises:
        PolicySettingError: a hyper-parameter is out of range.
    """

    first_cut: int = 100
    first_share: float = 0.0

    sampling: ClassVar[Sampling] = "shared"

    def __post_init__(self) -> None:
        if self.first_cut < 2:
            raise PolicySettingError(f"first_cut must keep at least 2 models, got {self.first_cut}.")
        if not 0 <= self.first_share < 1:
            raise PolicySettingError(f"first_share must be at least 0 and under 1, got {self.first_share}.")

    def rounds(self, problem: Problem) -> tuple[Round, ...]:
        """The first round spends its share; the later ones share what is left equally, round by round.

        What a round leaves over, because models come in whole numbers or have no unseen query left, goes to the next.
        """
        has_cut = problem.num_models > self.first_cut
        sizes = halving_sizes(min(problem.num_models, self.first_cut))
        sizes = (problem.num_models, *sizes) if has_cut else sizes
        shares = [1 / num_left for num_left in range(len(sizes), 0, -1)]
        if has_cut:
            shares[0] = self.first_share or cut_share(problem.num_models / self.first_cut, len(sizes) - 1)
        return rounds_of_shares(problem, sizes, shares)


def cut_share(ratio: float, num_rounds_after: int) -> float:
    """The share of the budget for a cut to one in `ratio`, when so many equal rounds come after it.

    The cut stands for h = log2(ratio) halvings, which would have h shares. But it must find the best 2^-h of the models
    in one round, not the better half in each of h, so it has 0.6 h^2: a quarter to two fifths of the budget on the
    embedded trees, and three fifths where 100 are kept of 2,212 unrelated models, where a smaller share loses the best.
    """
    weight = 0.6 * math.log2(ratio) ** 2
    return weight / (weight + num_rounds_after)
