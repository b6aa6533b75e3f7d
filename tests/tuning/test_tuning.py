"""A whole tuning: with made-up ranks where it is about what is measured when, and with the simulator itself."""

import dataclasses

import numpy as np
import pytest
from toy import BEST, Noisy, make_loaded

from gembench.experiment import make_policies
from gembench.policies import catalog
from gembench.tuning.question import Plan, Question, make_plan
from gembench.tuning.ratios import Ratio
from gembench.tuning.report import to_jsonable, tuning_from
from gembench.tuning.space import NumberRange, Space
from gembench.tuning.splits import FamilySize, split_families
from gembench.tuning.study import Trial, open_study
from gembench.tuning.tune import NUM_CANDIDATES, Limits, best_of, tune

SPACE = Space("gem", (NumberRange("keep", 0.5, 0.9, False),))
REFERENCE = "accelerated_sequential_halving"


class Watcher:
    def __init__(self):
        self.trials = []

    def tried(self, trial, best):
        self.trials.append(trial)

    def begins(self, part, policy):
        pass


@dataclasses.dataclass
class MadeUp:
    """A yardstick that replays nothing, and notes what it is asked. In validation and test a high keep is best."""

    splits: object
    reference: str = REFERENCE
    queries_per_model: tuple = (10, 50)
    asked: list = dataclasses.field(default_factory=list)

    def part_of(self, seed):
        return next(name for name, part in self.splits.parts.items() if part.seed == seed)

    def mean_rank(self, policy, part):
        if policy == REFERENCE:
            return 10.0
        ((_, made),) = make_policies([policy]).items()
        return 10 * (1 + made.keep if part == "training" else 2 - made.keep)

    def log_ratio(self, policy, race, seed):
        self.asked.append((self.part_of(seed), policy, race.tensor))
        return float(np.log(self.mean_rank(policy, self.part_of(seed)) / 10))

    def ranks(self, policy, part):
        name = self.part_of(part.seed)
        self.asked += [(name, policy, race.tensor) for race in part.races]
        return np.full((len(part.races), 2, 3), self.mean_rank(policy, name))


@pytest.fixture
def plan():
    splits = split_families([make_loaded(num_models=200)], FamilySize(8, 12), seed=0)
    return Plan({"policy": "gem", "seed": 0}, SPACE, (), splits, MadeUp(splits))


def go(plan, path=None, num_trials=12, **limits):
    with open_study(path, plan.space, 0, plan.asked) as study:
        return tune(plan, study, Limits(num_trials, **limits), Watcher())


def test_trials_see_the_training_races_alone_and_validation_decides_between_the_best_and_the_default(plan):
    tuning, _ = go(plan)
    asked = plan.yardstick.asked
    best = [trial.policy for trial in best_of(tuning.choice.trials)[:NUM_CANDIDATES]]
    assert {race for part, _, race in asked if part == "training"} == {f"tree#{number}" for number in range(1, 5)}
    in_validation = {(policy, race) for part, policy, race in asked if part == "validation"}
    assert in_validation == {(policy, race) for policy in (*best, "gem", REFERENCE) for race in ("tree#5", "tree#6")}
    # In training a low keep is best, in validation a high one: so the highest of the lowest five, or the default's .75.
    assert tuning.choice.winner == "gem"
    assert [candidate.policy for candidate in tuning.choice.candidates] == [
        "gem",
        *sorted(best, key=lambda policy: -float(policy.partition("=")[2])),
    ]
    assert tuning.choice.candidates[0].training.value == pytest.approx(1.75)
    assert tuning.choice.candidates[0].validation.value == pytest.approx(2 - 0.75)


def test_the_test_races_are_met_last_and_once_by_the_winner_the_default_and_the_reference(plan):
    plan = dataclasses.replace(plan, space=Space("gem", (NumberRange("keep", 0.8, 0.9, False),)))
    tuning, was_known = go(plan)
    assert not was_known
    assert tuning.is_changed
    asked = plan.yardstick.asked
    first = next(place for place, (part, _, _) in enumerate(asked) if part == "test")
    assert {part for part, _, _ in asked[first:]} == {"test"}
    assert sorted((policy, race) for _, policy, race in asked[first:]) == sorted(
        (policy, race) for policy in (tuning.choice.winner, "gem", REFERENCE) for race in ("tree#7", "tree#8")
    )


def test_a_study_whose_test_was_used_gives_what_it_gave_and_measures_nothing_more(plan, tmp_path):
    first, _ = go(plan, tmp_path / "study")
    plan.yardstick.asked.clear()
    again, was_known = go(plan, tmp_path / "study", num_trials=100)
    assert was_known
    assert again == first
    assert plan.yardstick.asked == []


def test_a_test_that_was_interrupted_is_made_of_the_winner_that_was_chosen_and_of_no_other(plan, tmp_path):
    class Interrupted(MadeUp):
        def ranks(self, policy, part):
            if self.part_of(part.seed) == "test":
                raise KeyboardInterrupt
            return super().ranks(policy, part)

    with pytest.raises(KeyboardInterrupt):
        go(dataclasses.replace(plan, yardstick=Interrupted(plan.splits)), tmp_path / "study")
    tuning, was_known = go(plan, tmp_path / "study", num_trials=100)
    assert not was_known
    assert len(tuning.choice.trials) == 12
    assert {part for part, _, _ in plan.yardstick.asked} == {"test"}
    assert tuning == go(plan, None)[0]


def test_the_programs_of_a_trial_are_forgotten_after_it(plan, monkeypatch):
    forgotten = []
    monkeypatch.setattr("gembench.tuning.tune.forget_programs", lambda: forgotten.append(len(plan.yardstick.asked)))
    go(plan, num_trials=3)
    num_training = sum(part == "training" for part, _, _ in plan.yardstick.asked)
    assert len(forgotten) == 3
    assert 0 < forgotten[0] < forgotten[-1] < num_training


def test_more_trials_go_on_with_those_of_an_interrupted_command(plan, tmp_path):
    class Interrupted(Watcher):
        def tried(self, trial, best):
            if trial.number == 4:
                raise KeyboardInterrupt

    with open_study(tmp_path / "study", plan.space, 0, plan.asked) as study, pytest.raises(KeyboardInterrupt):
        tune(plan, study, Limits(12), Interrupted())
    assert go(plan, tmp_path / "study") == go(plan)


def test_no_trial_begins_after_the_time_but_one_is_always_made(plan):
    tuning, _ = go(plan, seconds=0)
    assert len(tuning.choice.trials) == 1


def test_the_report_has_all_numbers_of_queries_together_and_each(plan):
    tuning, _ = go(plan)
    assert [result.queries_per_model for result in tuning.test] == [None, 10, 50]
    for result in tuning.test:
        assert result.winner.value == pytest.approx(2 - 0.75)
        assert result.change.value == 1


def test_the_best_are_those_measured_on_all_races_each_once_and_the_earlier_of_equals_first():
    trials = [
        Trial(0, "b", (0.2, 0.4), is_stopped=False),
        Trial(1, "stopped", (-9.0,), is_stopped=True),
        Trial(2, "a", (0.1, 0.1), is_stopped=False),
        Trial(3, "b", (0.2, 0.4), is_stopped=False),
        Trial(4, "c", (0.4, 0.2), is_stopped=False),
    ]
    assert [(trial.policy, trial.number) for trial in best_of(trials)] == [("a", 2), ("b", 0), ("c", 4)]


@pytest.mark.parametrize(
    ("interval", "is_better", "is_worse"),
    [((0.8, 0.99), True, False), ((0.8, 1.0), False, False), ((1.01, 2.0), False, True), (None, False, False)],
)
def test_certain_is_an_interval_that_leaves_out_1(plan, interval, is_better, is_worse):
    tuning, _ = go(plan)
    change = Ratio(0.9, interval, 1.5)
    tuning = dataclasses.replace(tuning, test=(dataclasses.replace(tuning.test[0], change=change), *tuning.test[1:]))
    assert (tuning.is_better, tuning.is_worse) == (is_better, is_worse)


def test_a_tuning_survives_json(plan):
    tuning, _ = go(plan)
    assert tuning_from(to_jsonable(tuning)) == tuning


def test_with_the_simulator_the_setting_without_noise_is_found_and_is_better_on_fresh_families(monkeypatch):
    """The best setting is known (`toy.Noisy`). Of 14 at random none is so near with probability 0.7^14 = 0.007."""
    monkeypatch.setattr(catalog, "CATALOG", {**catalog.CATALOG, "noisy": Noisy})
    monkeypatch.setattr("gembench.tuning.question.load_races", lambda *args, **options: (make_loaded(num_models=200),))
    question = Question(
        ("tree",),
        "noisy",
        ranges=("target=0:1",),
        queries_per_model=(8,),
        family_size=FamilySize(8, 20),
        num_runs=40,
        reference="uniform",
    )
    plan = make_plan(question)
    tuning, _ = go(plan, num_trials=14)
    ((_, winner),) = make_policies([tuning.choice.winner]).items()
    assert winner.target == pytest.approx(BEST, abs=0.15)
    assert tuning.test[0].change.value < 0.6
    assert plan.splits.num_shared_models == 0
    assert plan.default == "noisy"
