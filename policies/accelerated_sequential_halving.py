"""Accelerated sequential halving: shared queries, a hard first cut, nothing paid for is forgotten.

All survivors meet the same unseen queries, so that the luck of the draw is common to them and cancels in comparisons.
The first elimination keeps a fixed 100 models; from there the pool halves each round. The running tally decides.

Source: Kahana, Horwitz and Hoshen, "Discovering Hidden Gems in Model Repositories", arXiv 2601.22157, section 4. How
the budget is split over the rounds is not published; `first_share` is ours.
"""

from dataclasses import dataclass
from typing import ClassVar

from jax import Array

from gembench.elimination import Elimination, Round, halving_sizes
from gembench.errors import PolicySettingError
from gembench.lanes import take
from gembench.policy import Problem, Sampling, Tally


@dataclass(frozen=True)
class AcceleratedSequentialHalving(Elimination):
    """Accelerated sequential halving.

    Attributes:
        first_cut: how many models the first elimination keeps; a smaller pool is halved from the start.
        first_share: the share of the budget that the round before the first cut may spend, in (0, 1).

    Raises:
        PolicySettingError: a hyper-parameter is out of range.
    """

    first_cut: int = 100
    first_share: float = 0.25

    sampling: ClassVar[Sampling] = "shared"

    def __post_init__(self) -> None:
        if self.first_cut < 2:
            raise PolicySettingError(f"first_cut must keep at least 2 models, got {self.first_cut}.")
        if not 0 < self.first_share < 1:
            raise PolicySettingError(f"first_share must lie strictly between 0 and 1, got {self.first_share}.")

    def rounds(self, problem: Problem) -> tuple[Round, ...]:
        """The first round spends its share; the later ones share what is left equally, round by round.

        What a round leaves over, because models come in whole numbers or have no unseen query left, goes to the next.
        """
        has_cut = problem.num_models > self.first_cut
        sizes = halving_sizes(min(problem.num_models, self.first_cut))
        sizes = (problem.num_models, *sizes) if has_cut else sizes
        rounds = []
        pulls_left, unseen = problem.budget, problem.num_queries
        for number, num_models in enumerate(sizes):
            share = self.first_share if has_cut and number == 0 else 1 / (len(sizes) - number)
            affordable = min(pulls_left // num_models, unseen)
            num_queries = min(max(1, int(share * pulls_left) // num_models), affordable)
            pulls_left -= num_queries * num_models
            unseen -= num_queries
            rounds.append(Round(num_models, num_queries))
        return tuple(rounds)

    def counted(self, num_correct: Array, tally: Tally, models: Array) -> Array:
        """Everything that the models have answered."""
        del num_correct
        return take(tally.correct, models)
