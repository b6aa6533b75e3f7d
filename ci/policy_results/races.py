"""The races of the page: whole tensors, halves whose other half is the history, and families of a large tensor.

A race goes by a name, from which any process finds it again: `qwen2.5-3b`, `qwen2.5-3b/half`, `mmlu_pro/half`,
`openllm_mmlu_pro_resampled/300/100`.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from search_power import cut

from gembench.data.embedded import EMBEDDED
from gembench.load_race import load_race
from gembench.query_policy import Background
from gembench.race import Race

REAL = {
    "mmlu_pro": "MMLU-Pro's published model outputs",
    "zeroeval_crux": "ZeroEval's published outputs on CRUX",
    "zeroeval_math_l5": "ZeroEval's published outputs on MATH, level 5",
}
"""File name in the folder, without `.npz`: what it holds."""
LARGE = "openllm_mmlu_pro_resampled"
FAMILY_SIZES = (300, 800)
FAMILIES = (100, 101, 102)
"""Seeds, neither of those that hyper-parameters are chosen on nor of those that ci/search_power.py tests on."""
NO_HISTORY, TRUE_HISTORY = "none", "true"


def find_race(name: str, history: str, folder: Path | None) -> tuple[Race, Background | None]:
    """The race of that name; of families, the history may be spoiled as ci/search_power.py does."""
    source, *part = name.split("/")
    if source == LARGE:
        size, seed = map(int, part)
        race, background = cut(_large_tensor(folder), seed, size, history)
    elif part:
        race, background = _half(_whole(source, folder))
    else:
        return _whole(source, folder), None
    return race, None if history == NO_HISTORY else background


def _whole(source: str, folder: Path | None) -> Race:
    return load_race(source if source in EMBEDDED else str(folder / f"{source}.npz")).race


@lru_cache(maxsize=1)
def _large_tensor(folder: Path) -> np.ndarray:
    return np.load(folder / f"{LARGE}.npz")["correct"]


def _half(whole: Race) -> tuple[Race, Background]:
    """A random half of the models, and the others, but for those that answer all just as one of the race does."""
    shuffled = np.random.default_rng(0).permutation(len(whole.correct))
    racing, others = np.split(shuffled, [len(shuffled) // 2])
    race = Race(whole.correct[racing], whole.load_seconds[racing], whole.query_seconds[racing])
    racers = {row.tobytes() for row in race.correct}
    history = np.array([row for row in whole.correct[others] if row.tobytes() not in racers], np.int8)
    return race, Background(history, np.full(len(racing), np.nan, np.float32))
