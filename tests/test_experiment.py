import dataclasses
import threading

import numpy as np
import pytest
from knowing import CORRECT, HISTORY, MODELS, AskWhereOthersWereRight, IsPrimed, WarmsUp

from gembench.background import History, LoadedBackground
from gembench.errors import BudgetError, ContractError
from gembench.experiment import Settings, compare_results, make_policies, plan_contests, run_contests
from gembench.load_race import LoadedRace
from gembench.policies.uniform import Uniform
from gembench.query_policy import Background
from gembench.race import Race
from gembench.runs import Runs


def make_race(name="tree", num_models=4, num_queries=20):
    correct = (np.arange(num_queries) < 5 * np.arange(num_models)[:, None]).astype(np.uint8)
    return LoadedRace(
        tensor=name,
        digest="sha256:0",
        min_coverage=0.5,
        models=tuple(f"model-{model}" for model in range(num_models)),
        race=Race(correct, np.ones(num_models), np.ones(num_models)),
        cost_source="recorded",
        left_out_models=(),
        num_left_out_queries=0,
    )


def runs_of(num_runs, num_recommended):
    return Runs(
        recommended=np.tile(np.arange(num_recommended, dtype=np.int32), (num_runs, 1)),
        pulls=np.ones(num_runs, np.int64),
        model_loads=np.ones(num_runs, np.int64),
        cost_seconds=np.ones(num_runs),
        best_pulls=np.ones(num_runs, np.int64),
        best_correct=np.ones(num_runs, np.int64),
        distinct_queries=np.full(num_runs, 2.0),
    )


def test_contests_go_by_race_then_budget_then_policy():
    contests = plan_contests([make_race("oak"), make_race("ash")], make_policies(["ucb", "uniform"]), [10, 5])
    assert [(each.loaded.tensor, each.queries_per_model, each.budget, each.specification) for each in contests] == [
        (tensor, num_each, 4 * num_each, policy)
        for tensor in ("oak", "ash")
        for num_each in (10, 5)
        for policy in ("ucb", "uniform")
    ]


def test_each_policy_has_the_sampling_of_its_source_unless_one_is_asked_for():
    policies = make_policies(["uniform", "accelerated_sequential_halving"])
    assert [each.sampling for each in plan_contests([make_race()], policies, [5])] == ["independent", "shared"]
    assert [each.sampling for each in plan_contests([make_race()], policies, [5], "shared")] == ["shared", "shared"]


def test_a_policy_named_twice_or_with_its_own_defaults_runs_once():
    assert list(make_policies(["uniform", "uniform", "ucb-e", "ucb_e"])) == ["uniform", "ucb_e"]


def test_a_plan_that_fails_is_found_out_before_any_contest_runs():
    class Refusing(Uniform):
        def plan(self, problem):
            raise BudgetError("too little for me.")

    with pytest.raises(BudgetError, match="too little for me"):
        plan_contests([make_race()], {"refusing": Refusing()}, [5])


def test_results_come_in_the_order_of_the_contests_though_a_later_one_ends_first(monkeypatch):
    second_is_done = threading.Event()

    def simulate(policy, race, *, budget, num_runs, num_recommended, **settings):
        if budget == 20:
            assert second_is_done.wait(10)
        second_is_done.set()
        return runs_of(num_runs, num_recommended)

    monkeypatch.setattr("gembench.experiment.simulate", simulate)
    contests = plan_contests([make_race()], make_policies(["uniform"]), [5, 4])
    results = list(run_contests(contests, Settings(num_runs=3)))
    assert [result.row.queries_per_model for result in results] == [5, 4]
    assert results[0].measures.rank.tolist() == [4, 4, 4]  # model 0 has no right answer, and each other has more


def test_the_first_failure_stops_what_has_not_started(monkeypatch):
    started, failure_was_seen = [], threading.Event()

    def simulate(policy, race, *, budget, **settings):
        started.append(budget)
        if budget != 20:
            failure_was_seen.wait(10)
        raise ContractError("no.")

    monkeypatch.setattr("gembench.experiment.simulate", simulate)
    monkeypatch.setattr("gembench.experiment.NUM_CONTESTS_AT_ONCE", 1)
    contests = plan_contests([make_race()], make_policies(["uniform"]), [5, 4, 3, 2])
    with pytest.raises(ContractError):
        next(run_contests(contests, Settings(num_runs=3)))
    failure_was_seen.set()
    for thread in threading.enumerate():
        if thread.name.startswith("contest"):
            thread.join(10)
    assert set(started) <= {20, 16}


def test_only_policies_on_one_tensor_at_one_budget_are_compared(monkeypatch):
    monkeypatch.setattr(
        "gembench.experiment.simulate",
        lambda policy, race, *, num_runs, num_recommended, **settings: runs_of(num_runs, num_recommended),
    )
    contests = plan_contests([make_race("oak"), make_race("ash")], make_policies(["uniform", "ucb"]), [5, 4])
    comparisons = compare_results(list(run_contests(contests, Settings(num_runs=3))))
    assert [(each.tensor, each.queries_per_model, set(each.policies)) for each in comparisons] == [
        (tensor, num_each, {"uniform", "ucb"}) for tensor in ("oak", "ash") for num_each in (5, 4)
    ]


def known_of(answers=HISTORY[:, :0:-1], prior=(np.nan,) * 6, name=None):
    """What is known before the race of `knowing`."""
    history = History(answers, ("others.zarr",), ("sha256:1",), num_shared=20) if len(answers) else None
    return LoadedBackground(Background(answers, np.asarray(prior, np.float32)), history, name)


def race_of_knowing():
    return dataclasses.replace(
        make_race(), models=tuple(MODELS), race=Race(CORRECT.astype(np.uint8), np.ones(6), np.ones(6))
    )


@pytest.mark.parametrize("policy", [AskWhereOthersWereRight(), WarmsUp()])
def test_a_policy_that_can_use_a_history_is_told_it_and_its_row_says_so(policy):
    (contest,) = plan_contests([race_of_knowing()], {"knowing": policy}, [1], known={"tree": known_of()})
    (result,) = run_contests([contest], Settings(num_runs=5, top_k=(1,)))
    # The one query that all others had right: only model 2 has it right, and 3 models are better.
    assert result.runs.recommended[:, 0].tolist() == [2] * 5
    row = result.row
    assert (row.mean_rank, row.distinct_queries_mean, row.sampling) == (4, 1, "shared")
    assert (row.history_tensors, row.history, row.prior) == (("others.zarr",), ("sha256:1",), None)


def test_a_policy_that_can_use_a_prior_is_told_it():
    known = known_of(HISTORY[:0, 1:], [0, 0, 0, 0, 2, np.nan], "downloads")
    (contest,) = plan_contests([race_of_knowing()], {"knowing": AskWhereOthersWereRight()}, [1], known={"tree": known})
    (result,) = run_contests([contest], Settings(num_runs=5, top_k=(1,)))
    # Right or not, model 4 has 2 more than any other's 0 or 1.
    assert result.runs.recommended[:, 0].tolist() == [4] * 5
    assert (result.row.history, result.row.prior) == ((), "downloads")


def test_a_policy_that_names_another_for_a_prior_is_raced_as_that_one():
    known = known_of(HISTORY[:0, 1:], [0, 0, 0, 0, 2, np.nan], "downloads")
    (contest,) = plan_contests([race_of_knowing()], {"primed": IsPrimed()}, [1], known={"tree": known})
    (result,) = run_contests([contest], Settings(num_runs=5, top_k=(1,)))
    assert result.runs.recommended[:, 0].tolist() == [4] * 5
    assert (result.row.prior, result.row.sampling) == ("downloads", "shared")


def test_a_history_goes_before_a_prior():
    known = known_of(prior=[1] * 6, name="downloads")
    (contest,) = plan_contests([race_of_knowing()], {"primed": IsPrimed()}, [1], known={"tree": known})
    assert (contest.known, contest.sampling) == (None, "independent")


def test_without_a_history_nobody_is_warm():
    known = known_of(HISTORY[:0, 1:], [1] * 6, "downloads")
    for each in ({}, {"tree": known}, {"another": known_of()}):
        (contest,) = plan_contests([race_of_knowing()], {"warms_up": WarmsUp()}, [1], known=each)
        assert (contest.known, contest.sampling) == (None, "independent")


def test_a_policy_that_cannot_use_what_is_known_is_not_said_to_have_known_it():
    contests = plan_contests([race_of_knowing()], make_policies(["uniform"]), [1], known={"tree": known_of()})
    (result,) = run_contests(contests, Settings(num_runs=2))
    assert (result.row.history, result.row.history_tensors, result.row.prior) == ((), (), None)


def test_a_policy_that_chooses_its_queries_has_its_own_sampling_whatever_is_asked_for():
    policies = {"knowing": AskWhereOthersWereRight(), "uniform": Uniform()}
    contests = plan_contests([race_of_knowing()], policies, [1], "independent")
    assert [contest.sampling for contest in contests] == ["shared", "independent"]


def test_the_plan_of_the_policy_that_is_raced_is_what_is_checked():
    class Warm(AskWhereOthersWereRight):
        def plan(self, problem):
            raise BudgetError("too little when warm.")

    class Cold(Uniform):
        warm = Warm()

    plan_contests([race_of_knowing()], {"cold": Cold()}, [1])
    with pytest.raises(BudgetError, match="too little when warm"):
        plan_contests([race_of_knowing()], {"cold": Cold()}, [1], known={"tree": known_of()})
