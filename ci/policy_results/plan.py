"""What is measured: sections of the page, each with its races, its policies and its Ns; the settings of the ablation.

What takes long is measured in fewer runs and at fewer Ns, see `SLOW` and `all_sections`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gembench.data.embedded import EMBEDDED, TREES
from gembench.policies.catalog import CATALOG, CHOOSING
from gembench.policies.gem import Gem
from gembench.query_policy import AnyPolicy, informed
from policy_results.races import FAMILIES, FAMILY_SIZES, LARGE, NO_HISTORY, REAL, TRUE_HISTORY

REFERENCE = "accelerated_sequential_halving"
ALL_N = (5, 10, 20, 50, 100, 200)
SOME_N = (10, 50, 200)
FEW_N = (10, 50)
BLIND = ("paired_elimination", "top_two_shared", "ucb_e_lrf")
"""Policies that choose queries, and make nothing of a history."""
NEEDY = ("anchor_points", "gp_irt", "factorized_active_querying")
"""Those that without a history ask at random."""
SLOW = ("paired_elimination", "top_two_shared", "ucb_e_lrf", "doubly_robust", "factorized_active_querying")
SLOW_N, SLOW_RUNS = FEW_N, 50


@dataclass(frozen=True)
class Row:
    """A line of a table: a policy with what is known beforehand. `name` is the catalog's."""

    label: str
    name: str
    policy: AnyPolicy
    history: str = NO_HISTORY

    @property
    def is_slow(self) -> bool:
        """Whether fewer runs at fewer Ns must do."""
        return self.name in SLOW


REFERENCE_ROW = Row(f"`{REFERENCE}`", REFERENCE, CATALOG[REFERENCE]())
COLD_GEM = Row("`gem`", "gem", Gem())
ABLATION = (
    replace(COLD_GEM, label="cold"),
    Row("cold, half leave in each round: `keep=0.5`", "gem", Gem(keep=0.5)),
    Row("cold, more for the many: `tilt=0.2`", "gem", Gem(tilt=0.2)),
    Row("warm", "gem", Gem(), TRUE_HISTORY),
    Row("warm, `num_factors=8`", "gem", replace(Gem().warm, num_factors=8), TRUE_HISTORY),
    Row("warm, `num_factors=0`: the intercept alone", "gem", replace(Gem().warm, num_factors=0), TRUE_HISTORY),
    Row("warm, `num_designed=0`: queries by weight alone", "gem", replace(Gem().warm, num_designed=0), TRUE_HISTORY),
    Row("warm, 20 models in the history", "gem", Gem(), "few"),
    Row("warm, history shuffled", "gem", Gem(), "shuffled"),
    Row("warm, history of random bits", "gem", Gem(), "bits"),
)
"""What each part of gem is worth: a row a setting."""


@dataclass(frozen=True)
class Section:
    """Some races that have one table together.

    Attributes:
        key: by which the command names it.
        title: over its tables.
        races: their names; with several, a cell is a mean over them.
        rows: the policies; the reference is the first.
        num_each: the Ns.
    """

    key: str
    title: str
    races: tuple[str, ...]
    rows: tuple[Row, ...]
    num_each: tuple[int, ...] = ALL_N


@dataclass(frozen=True)
class Cell:
    """One measurement: runs of a policy on a race."""

    race: str
    row: Row
    num_each: int
    runs: int
    seed: int

    @property
    def key(self) -> tuple:
        """What it depends on: the settings of the policy that is raced are in its text, defaults too."""
        raced = informed(self.row.policy, has_history=self.row.history != NO_HISTORY)
        return self.race, self.row.history, repr(raced), self.num_each, self.runs, self.seed


@dataclass(frozen=True)
class Plan:
    """Which cells there are.

    Attributes:
        sections: in the order of the page.
        runs: of all but the slow policies, which have half as many at most.
        seed: of the runs.
        is_full: whether slow policies are measured in as many runs, at as many Ns, as the others.
    """

    sections: tuple[Section, ...]
    runs: int
    seed: int
    is_full: bool = False

    def cells(self, section: Section, row: Row) -> Iterator[Cell]:
        """Those of a row: by N, then race, so that one compiled program after the other is used up."""
        for num_each in section.num_each:
            for race in section.races:
                cell = self.cell(race, row, num_each)
                if cell is not None:
                    yield cell

    def cell(self, race: str, row: Row, num_each: int) -> Cell | None:
        """One cell; None where the plan leaves it out."""
        if not row.is_slow or self.is_full:
            return Cell(race, row, num_each, self.runs, self.seed)
        return Cell(race, row, num_each, min(self.runs, SLOW_RUNS), self.seed) if num_each in SLOW_N else None


def all_sections(folder: Path | None, is_full: bool = False) -> tuple[Section, ...]:
    """The embedded tensors, and those real ones that the folder has.

    Unless it is full, large races with a history are at fewer Ns, and the largest without the slow policies.
    """
    of_large = ALL_N if is_full else SOME_N
    without = _rows((*CATALOG, *CHOOSING), NEEDY, NO_HISTORY)
    learning = _rows(CHOOSING, BLIND, TRUE_HISTORY)
    halves = (REFERENCE_ROW, COLD_GEM, *learning)
    sections = []
    for name in EMBEDDED:
        numbers = of_large if name in TREES else ALL_N
        title = f"Half of `{name}`; the other half is the history"
        sections += [
            Section(name, f"`{name}`", (name,), without),
            Section(f"{name}/half", title, (f"{name}/half",), halves, numbers),
        ]
    in_folder = [] if folder is None else [path.stem for path in folder.glob("*.npz")]
    for name, title in REAL.items():
        if name in in_folder:
            sections += [
                Section(name, title, (name,), without),
                Section(f"{name}/half", f"Half of {title}; the other half is the history", (f"{name}/half",), halves),
            ]
    if LARGE in in_folder:
        for size in FAMILY_SIZES:
            races = tuple(f"{LARGE}/{size}/{seed}" for seed in FAMILIES)
            title = f"{len(races)} families of {size} models; 900 other models are the history"
            rows, numbers = (*without, *learning), ALL_N
            if size == max(FAMILY_SIZES):
                rows, numbers = tuple(row for row in rows if is_full or not row.is_slow), of_large
            sections.append(Section(f"families-{size}", title, races, rows, numbers))
        races = tuple(f"{LARGE}/{min(FAMILY_SIZES)}/{seed}" for seed in FAMILIES)
        sections.append(
            Section("ablation", "The parts of gem, on the smaller families", races, (REFERENCE_ROW, *ABLATION), FEW_N)
        )
    return tuple(sections)


def _rows(names, but, history) -> tuple[Row, ...]:
    """The policies of these names, the reference first."""
    everyone = {**CATALOG, **CHOOSING}
    kept = sorted((name for name in names if name not in but), key=lambda name: name != REFERENCE)
    ending = "" if history == NO_HISTORY else ", with history"
    return tuple(Row(f"`{name}`{ending}", name, everyone[name](), history) for name in kept)
