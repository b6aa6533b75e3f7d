"""The family tree of SmolLM2-135M-Instruct as data: who descends from whom, and how each checkpoint is made.

Needs neither torch nor transformers. A parent stands before its children; so do the other parents of a merge.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

FAMILY = "smollm2-135m"
BASE = "base"


@dataclass(frozen=True)
class FineTune:
    """Some steps of AdamW on texts of `texts.py`.

    Attributes:
        texts: the name of the texts.
        learning_rate: its highest value, after a tenth of the steps; it then falls linearly to 0.
        steps: batches.
        batch_size: examples a batch.
        trained: what is changed: all, norms, embeddings, or low-rank factors that are merged afterwards.
        rank: of those factors.
        seed: of the draw of examples and of the factors.
    """

    texts: str
    learning_rate: float
    steps: int
    batch_size: int = 8
    trained: Literal["all", "norms", "embeddings", "lora"] = "all"
    rank: int = 8
    seed: int = 0


@dataclass(frozen=True)
class Linear:
    """(1 - share) parent + share other."""

    other: str
    share: float = 0.5


@dataclass(frozen=True)
class Slerp:
    """Each tensor moved from the parent's to the other's by `share` of the angle between them."""

    other: str
    share: float = 0.5


@dataclass(frozen=True)
class TaskArithmetic:
    """parent + scale * the sum over the others of (other - parent)."""

    others: tuple[str, ...]
    scale: float


@dataclass(frozen=True)
class Quantize:
    """Matrices rounded to `bits` bits, a scale for every `group` weights of a row (0: for the row), and back."""

    bits: int
    group: int = 0


@dataclass(frozen=True)
class DropLayers:
    """The layers of these numbers left out: another architecture."""

    layers: tuple[int, ...]


@dataclass(frozen=True)
class PruneSmallest:
    """The share of each matrix that is smallest in magnitude set to 0."""

    share: float


@dataclass(frozen=True)
class Noise:
    """Gaussian noise added to each matrix, of `scale` times the matrix's standard deviation."""

    scale: float
    seed: int = 0


Change = FineTune | Linear | Slerp | TaskArithmetic | Quantize | DropLayers | PruneSmallest | Noise


@dataclass(frozen=True)
class Recipe:
    """A checkpoint: `change` applied to `parent`."""

    name: str
    parent: str
    change: Change

    @property
    def needed(self) -> tuple[str, ...]:
        """The parent and whatever else must be there first."""
        match self.change:
            case Linear(other=other) | Slerp(other=other):
                return self.parent, other
            case TaskArithmetic(others=others):
                return self.parent, *others
            case _:
                return (self.parent,)


RECIPES: tuple[Recipe, ...] = (
    # Fine-tunes of the base.
    Recipe("words-lr1e-4", BASE, FineTune("word_problems", 1e-4, 60)),
    Recipe("words-lr2e-5", BASE, FineTune("word_problems", 2e-5, 24)),
    Recipe("choices-lr3e-5", BASE, FineTune("choices", 3e-5, 20)),
    Recipe("choices-lr1e-4", BASE, FineTune("choices", 1e-4, 20)),
    Recipe("docstrings-lr2e-5", BASE, FineTune("docstrings", 2e-5, 24)),
    Recipe("code-lr5e-5", BASE, FineTune("code", 5e-5, 16)),
    Recipe("topics-lr5e-5", BASE, FineTune("topics", 5e-5, 16)),
    Recipe("licences-lr2e-4", BASE, FineTune("licences", 2e-4, 20)),
    Recipe("letters-lr1e-4", BASE, FineTune("letters", 1e-4, 24, batch_size=24)),
    Recipe("docstrings-embeddings", BASE, FineTune("docstrings", 1e-3, 20, trained="embeddings")),
    Recipe("arith-lr1e-4", BASE, FineTune("arithmetic", 1e-4, 80, batch_size=32)),
    Recipe("arith-lr1e-4-seed1", BASE, FineTune("arithmetic", 1e-4, 40, batch_size=32, seed=1)),
    Recipe("arith-lr3e-5", BASE, FineTune("arithmetic", 3e-5, 40, batch_size=32)),
    Recipe("arith-lr1e-5", BASE, FineTune("arithmetic", 1e-5, 30, batch_size=32)),
    Recipe("arith-lr1e-2", BASE, FineTune("arithmetic", 1e-2, 10, batch_size=32)),
    Recipe("arith-lora", BASE, FineTune("arithmetic", 1e-3, 40, batch_size=32, trained="lora")),
    Recipe("arith-norms", BASE, FineTune("arithmetic", 3e-3, 30, batch_size=32, trained="norms")),
    # Fine-tunes of fine-tunes.
    Recipe("arith-words", "arith-lr1e-4", FineTune("word_problems", 5e-5, 30)),
    Recipe("arith-words-choices", "arith-words", FineTune("choices", 3e-5, 16)),
    Recipe("arith-words-choices-code", "arith-words-choices", FineTune("code", 3e-5, 16)),
    # Layers left out: 29, 28 and 26 are left, and one is trained again.
    Recipe("drop1", BASE, DropLayers((25,))),
    Recipe("drop2", BASE, DropLayers((22, 25))),
    Recipe("drop4", BASE, DropLayers((19, 22, 24, 26))),
    Recipe("arith-drop1", "arith-lr1e-4", DropLayers((25,))),
    Recipe("drop2-words", "drop2", FineTune("word_problems", 1e-4, 30)),
    # Merges.
    Recipe("linear-arith-words", "arith-lr1e-4", Linear("words-lr1e-4")),
    Recipe("linear-arith-words-30", "arith-lr1e-4", Linear("words-lr1e-4", share=0.3)),
    Recipe("linear-choices-code", "choices-lr3e-5", Linear("code-lr5e-5")),
    Recipe("linear-seeds", "arith-lr1e-4", Linear("arith-lr1e-4-seed1")),
    Recipe("slerp-arith-words", "arith-lr1e-4", Slerp("words-lr1e-4")),
    Recipe("slerp-docstrings-topics", "docstrings-lr2e-5", Slerp("topics-lr5e-5")),
    Recipe("tasks-arith-words", BASE, TaskArithmetic(("arith-lr1e-4", "words-lr1e-4"), scale=0.8)),
    Recipe("tasks-all", BASE, TaskArithmetic(("arith-lr1e-4", "words-lr1e-4", "choices-lr1e-4", "code-lr5e-5"), 0.5)),
    Recipe("arith-doubled", BASE, TaskArithmetic(("arith-lr1e-4",), scale=2.0)),
    Recipe("words-negated", BASE, TaskArithmetic(("words-lr1e-4",), scale=-1.0)),
    # Compressed.
    Recipe("int8", BASE, Quantize(8)),
    Recipe("int4", BASE, Quantize(4, group=64)),
    Recipe("int3", BASE, Quantize(3, group=64)),
    Recipe("arith-int8", "arith-lr1e-4", Quantize(8)),
    Recipe("arith-int4", "arith-lr1e-4", Quantize(4, group=64)),
    Recipe("linear-arith-words-int8", "linear-arith-words", Quantize(8)),
    Recipe("pruned10", BASE, PruneSmallest(0.1)),
    Recipe("pruned30", BASE, PruneSmallest(0.3)),
    Recipe("pruned50", BASE, PruneSmallest(0.5)),
    Recipe("arith-pruned20", "arith-lr1e-4", PruneSmallest(0.2)),
    # Disturbed.
    Recipe("noise1", BASE, Noise(0.01)),
    Recipe("noise3", BASE, Noise(0.03)),
    Recipe("noise10", BASE, Noise(0.1)),
    Recipe("noise40", BASE, Noise(0.4)),
    Recipe("words-noise2", "words-lr1e-4", Noise(0.02)),
)


def lineage(name: str) -> Iterator[Recipe]:
    """The recipes that `name` needs, its own last, each once; none for the base.

    Raises:
        KeyError: if there is no such recipe.
    """
    by_name = {recipe.name: recipe for recipe in RECIPES}
    wanted = {name}
    for recipe in reversed(RECIPES):
        if recipe.name in wanted:
            wanted.update(recipe.needed)
    missing = wanted - by_name.keys() - {BASE}
    if missing:
        raise KeyError(*missing)
    return (recipe for recipe in RECIPES if recipe.name in wanted)


def model_id(name: str) -> str:
    """By which a tensor knows the checkpoint."""
    return f"{FAMILY}/{name}"
