"""What is published about four real model trees: the figures that the embedded trees are made to meet.

Source: Kahana, Horwitz and Hoshen, arXiv 2601.22157 (2026): Tables 1 and 2, section 2, and the accuracies that the
model-tree figures on the paper's project page show by colour (read to within about 0.002). Parameter counts, release
dates and licences are those of the four families' model cards.
"""

from dataclasses import dataclass, replace
from types import MappingProxyType

from gembench.errors import UsageError

TASKS = ("arc_challenge", "winogrande", "mmlu", "mbpp", "gsm8k")

TASK_SHARES = (0.15, 0.10, 0.45, 0.15, 0.15)
"""The share of the queries that each task has. The paper does not state its split; of all splits in steps of 5% this
one brings the weighted means of Table 1's five task columns nearest (least squares) to its overall column."""

SMALLEST_TREE = 20
SMALLEST_QUERIES, MOST_QUERIES = 100, 1_000_000


@dataclass(frozen=True)
class TreeFigures:
    """The figures that one generated model tree meets.

    Accuracies lie in [0, 1]. Two roots are made: the best base, and a second, weaker base.

    Attributes:
        name: of the tree, part of every model's id.
        num_models: K.
        mean_accuracy: over all models.
        best_accuracy: of the best model.
        best_base_accuracy: of the best base.
        best_base_rank: 1 = best; a rank that ends in one half says that one other model ties with the base.
        threshold: the accuracy above which `percentiles` speaks.
        share_above: share of the models above `threshold`.
        percentiles: pairs (percentile, accuracy) of the models above `threshold`, rising, from 0 to 100.
        base_task_accuracy: of the best base on each of `TASKS`.
        best_task_accuracy: of the best model on each of `TASKS`.
        num_parameters: of every model.
        license: of the bases.
        released: ISO date of the bases.
        num_queries: Q.

    Raises:
        UsageError: figures that no tree can meet.
    """

    name: str
    num_models: int
    mean_accuracy: float
    best_accuracy: float
    best_base_accuracy: float
    best_base_rank: float
    threshold: float
    share_above: float
    percentiles: tuple[tuple[float, float], ...]
    base_task_accuracy: tuple[float, ...]
    best_task_accuracy: tuple[float, ...]
    num_parameters: int
    license: str
    released: str
    num_queries: int = 3000

    def __post_init__(self) -> None:
        if self.num_models < SMALLEST_TREE or not SMALLEST_QUERIES <= self.num_queries <= MOST_QUERIES:
            raise UsageError(
                f"a generated tree needs at least {SMALLEST_TREE} models, and {SMALLEST_QUERIES} to {MOST_QUERIES:,} "
                f"queries, got {self.num_models} x {self.num_queries}."
            )
        if not 0 < self.threshold < self.best_base_accuracy < self.best_accuracy < 1:
            raise UsageError(
                f"tree {self.name!r}: need 0 < threshold < best base < best accuracy < 1, got "
                f"{self.threshold}, {self.best_base_accuracy}, {self.best_accuracy}."
            )
        points = [percentile for percentile, _ in self.percentiles]
        values = [accuracy for _, accuracy in self.percentiles]
        if points != sorted(set(points)) or values != sorted(values) or points[:1] != [0] or points[-1:] != [100]:
            raise UsageError(f"tree {self.name!r}: percentiles must rise from 0 to 100, got {self.percentiles}.")
        tasks_given = {len(self.base_task_accuracy), len(self.best_task_accuracy)}
        task_accuracies = (*self.base_task_accuracy, *self.best_task_accuracy)
        if tasks_given != {len(TASKS)} or not all(0 < accuracy < 1 for accuracy in task_accuracies):
            raise UsageError(f"tree {self.name!r}: need an accuracy between 0 and 1 for each of {', '.join(TASKS)}.")
        if not 2 <= self.best_base_rank <= self.num_above - 2:
            raise UsageError(
                f"tree {self.name!r}: the best base's rank must lie between 2 and {self.num_above - 2}, two under the "
                f"number of models above {self.threshold}, got {self.best_base_rank}."
            )

    @property
    def num_above(self) -> int:
        """How many models are more accurate than `threshold`."""
        return round(self.share_above * self.num_models)

    @property
    def num_above_base(self) -> int:
        """How many models are strictly more accurate than the best base."""
        return int(self.best_base_rank - 1)

    @property
    def num_tied_with_base(self) -> int:
        """How many models are exactly as accurate as the best base, itself included."""
        return round(2 * (self.best_base_rank - self.num_above_base)) - 1

    @property
    def queries_per_task(self) -> tuple[int, ...]:
        """How many of the queries each of `TASKS` has; they add up to `num_queries`."""
        others = [round(share * self.num_queries) for share in TASK_SHARES]
        largest = TASK_SHARES.index(max(TASK_SHARES))
        others[largest] += self.num_queries - sum(others)
        return tuple(others)

    def resized(self, *, num_models: int | None = None, num_queries: int | None = None) -> "TreeFigures":
        """The same accuracies for another number of models or queries; the best base keeps its relative rank.

        Raises:
            UsageError: too few models or queries.
        """
        rank = self.best_base_rank
        if num_models is not None and num_models != self.num_models:
            rank = max(2, 1 + round((rank - 1) * num_models / self.num_models))
        return replace(
            self,
            num_models=self.num_models if num_models is None else num_models,
            num_queries=self.num_queries if num_queries is None else num_queries,
            best_base_rank=rank,
        )


def _percentiles(*accuracies: float) -> tuple[tuple[float, float], ...]:
    return tuple(zip((0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 100), accuracies, strict=True))


_PUBLISHED = (
    TreeFigures(
        name="qwen2.5-3b",
        num_models=467,
        mean_accuracy=0.588,
        best_accuracy=0.732,
        best_base_accuracy=0.716,
        best_base_rank=56.5,
        threshold=0.65,
        share_above=0.474,
        percentiles=_percentiles(
            *(0.651, 0.6578, 0.6692, 0.6859, 0.6968, 0.7048, 0.7089),
            *(0.7131, 0.715, 0.7157, 0.7201, 0.723, 0.7252, 0.7314),
        ),
        base_task_accuracy=(0.793, 0.660, 0.655, 0.686, 0.835),
        best_task_accuracy=(0.841, 0.671, 0.678, 0.733, 0.890),
        num_parameters=3_085_938_688,
        license="other",
        released="2024-09-19",
    ),
    TreeFigures(
        name="qwen2.5-7b",
        num_models=636,
        mean_accuracy=0.599,
        best_accuracy=0.791,
        best_base_accuracy=0.783,
        best_base_rank=30.0,
        threshold=0.60,
        share_above=0.558,
        percentiles=_percentiles(
            *(0.6037, 0.6204, 0.6392, 0.6786, 0.7118, 0.7246, 0.7291),
            *(0.7492, 0.7701, 0.7768, 0.7813, 0.7828, 0.7858, 0.7895),
        ),
        base_task_accuracy=(0.900, 0.671, 0.713, 0.809, 0.897),
        best_task_accuracy=(0.911, 0.725, 0.739, 0.821, 0.921),
        num_parameters=7_615_616_512,
        license="apache-2.0",
        released="2024-09-19",
    ),
    TreeFigures(
        name="mistral-7b",
        num_models=288,
        mean_accuracy=0.431,
        best_accuracy=0.696,
        best_base_accuracy=0.556,
        best_base_rank=62.0,
        threshold=0.50,
        share_above=0.354,
        percentiles=_percentiles(
            *(0.5031, 0.5329, 0.5415, 0.5568, 0.5574, 0.5663, 0.6271),
            *(0.6615, 0.6784, 0.6828, 0.6859, 0.6896, 0.6929, 0.6945),
        ),
        base_task_accuracy=(0.746, 0.564, 0.566, 0.470, 0.406),
        best_task_accuracy=(0.818, 0.669, 0.662, 0.588, 0.807),
        num_parameters=7_248_023_552,
        license="apache-2.0",
        released="2024-05-22",
    ),
    TreeFigures(
        name="llama-3.1-8b",
        num_models=541,
        mean_accuracy=0.601,
        best_accuracy=0.747,
        best_base_accuracy=0.713,
        best_base_rank=41.0,
        threshold=0.60,
        share_above=0.583,
        percentiles=_percentiles(
            *(0.6017, 0.6121, 0.6314, 0.6454, 0.6689, 0.6815, 0.6936),
            *(0.7016, 0.7062, 0.7114, 0.7125, 0.7137, 0.7186, 0.7459),
        ),
        base_task_accuracy=(0.809, 0.597, 0.641, 0.656, 0.832),
        best_task_accuracy=(0.860, 0.671, 0.716, 0.688, 0.960),
        num_parameters=8_030_261_248,
        license="llama3.1",
        released="2024-07-23",
    ),
)

PUBLISHED_FIGURES = MappingProxyType({figures.name: figures for figures in _PUBLISHED})
"""Tree name -> its published figures."""
