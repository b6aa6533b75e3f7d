"""What a tuning is asked, and what it needs to answer: checked before anything runs."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gembench.errors import UsageError
from gembench.experiment import Settings
from gembench.load_race import LoadedRace, load_races
from gembench.policy import Sampling
from gembench.tuning.ratios import Yardstick
from gembench.tuning.space import Space, read_space
from gembench.tuning.splits import FamilySize, Splits, split_families, split_tensors


@dataclass(frozen=True)
class Question:
    """What a tuning is asked: all that its trials depend on.

    Attributes:
        tensors: embedded tensors' names, paths or URLs.
        policy: `NAME[:KEY=VALUE,...]`, what is tuned; what is given stays as it is.
        ranges: `KEY=LOW:HIGH[:log]` texts.
        choices: `KEY=A,B,...` texts.
        queries_per_model: the Ns.
        family_size: of the families that are cut out of the tensors; None where the tensors are the races.
        num_runs: R, of each policy on each race at each N.
        reference: the policy whose mean ranks are 1.
        sampling: for all policies that do not choose the queries themselves; None for what each policy's source uses.
        seed: of the settings, the families and the runs.
        min_coverage: models and queries with a smaller share of answered cells are left out.
    """

    tensors: tuple[str, ...]
    policy: str
    ranges: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    queries_per_model: tuple[float, ...] = (10, 50)
    family_size: FamilySize | None = None
    num_runs: int = 100
    reference: str = "accelerated_sequential_halving"
    sampling: Sampling | None = None
    seed: int = 0
    min_coverage: float = 0.5


@dataclass(frozen=True, eq=False)
class Plan:
    """A question, ready to be answered.

    Attributes:
        asked: the question in JSON, names made canonical, with the tensors' digests in place of where they lie.
        space: what is tuned.
        races: the tensors' races.
        splits: the races to tune, choose and test on.
        yardstick: what measures.
    """

    asked: Mapping[str, Any]
    space: Space
    races: tuple[LoadedRace, ...]
    splits: Splits
    yardstick: Yardstick

    @property
    def default(self) -> str:
        """The policy before it is tuned."""
        return self.space.base


def make_plan(question: Question, memory_bytes: int | None = None) -> Plan:
    """Read the tensors, cut and split them, and plan every policy that may come.

    Args:
        question: what is asked.
        memory_bytes: what the arrays of the runs may take; None for the simulator's own default.

    Raises:
        UsageError: a text cannot be read, a policy refuses a setting that may come or cannot be raced, the tensors are
            too few or too small, or there is a history that nobody can use.
        TensorError: a tensor is not there, or cannot be read.
    """
    space = read_space(question.policy, question.ranges, question.choices)
    races = load_races(question.tensors, min_coverage=question.min_coverage)
    size = question.family_size
    splits = split_tensors(races, question.seed) if size is None else split_families(races, size, question.seed)
    settings = Settings(num_runs=question.num_runs, top_k=(1,), memory_bytes=memory_bytes)
    yardstick = Yardstick(question.reference, question.queries_per_model, question.sampling, splits.known, settings)
    _check_contests(space, splits, yardstick)
    asked = {
        **asdict(question),
        "policy": space.base,
        "reference": yardstick.reference,
        "queries_per_model": yardstick.queries_per_model,
        "digests": [loaded.digest for loaded in races],
    }
    del asked["tensors"]  # They may have moved.
    return Plan(json.loads(json.dumps(asked)), space, races, splits, yardstick)


def _check_contests(space: Space, splits: Splits, yardstick: Yardstick) -> None:
    """Plan the reference, the default, and every combination of ends on a race of each shape."""
    races = {race.race.correct.shape: race for part in splits.parts.values() for race in part.races}
    tuned = dict.fromkeys([space.base, *(policy for policy, _ in space.corners())])
    contests = [contest for race in races.values() for policy in tuned for contest in yardstick.plan(policy, race)]
    for race in races.values():
        yardstick.plan(yardstick.reference, race)
    if splits.known and not any(contest.known for contest in contests):
        raise UsageError(f"policy {space.base} learns nothing from a history; leave it out.")
