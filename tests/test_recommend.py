import numpy as np
import pytest

from gembench.experiment import Settings, make_policies, plan_contests, run_contests
from gembench.load_race import LoadedRace
from gembench.policies.catalog import policy_spec
from gembench.race import Race
from gembench.recommend import explain, recommend
from gembench.runs import Runs

NUM_MODELS = 100


@pytest.fixture
def results_of(monkeypatch):
    """Makes results of which the ranks, and the seconds or loads of each policy, are written by hand.

    `results_of({"oak": {"ucb": [R ranks]}}, seconds={"ucb": 3.0})`; what is not given is 1.
    """

    def make(ranks, *, seconds=None, loads=None):
        races = []
        for tensor in ranks:
            correct = np.tril(np.ones((NUM_MODELS, NUM_MODELS), np.uint8))[::-1]  # model m is the one of rank m + 1
            races.append(
                LoadedRace(
                    tensor=tensor,
                    digest="sha256:0",
                    min_coverage=0.5,
                    models=tuple(f"model-{model}" for model in range(NUM_MODELS)),
                    race=Race(correct, np.ones(NUM_MODELS), np.ones(NUM_MODELS)),
                    cost_source="recorded",
                    left_out_models=(),
                    num_left_out_queries=0,
                )
            )
        tensor_of = {id(each.race): each.tensor for each in races}

        def simulate(policy, race, *, num_runs, **settings):
            name = policy_spec(policy)
            rank = np.resize(ranks[tensor_of[id(race)]][name], num_runs)
            return Runs(
                recommended=(rank - 1).astype(np.int32)[:, None],
                pulls=np.full(num_runs, 200),
                model_loads=np.full(num_runs, (loads or {}).get(name, 1)),
                cost_seconds=np.full(num_runs, float((seconds or {}).get(name, 1))),
                best_pulls=np.full(num_runs, 2),
                best_correct=np.full(num_runs, 1),
                distinct_queries=np.full(num_runs, 2.0),
            )

        monkeypatch.setattr("gembench.experiment.simulate", simulate)
        (num_runs,) = {len(each) for of_tensor in ranks.values() for each in of_tensor.values()}
        contests = plan_contests(races, make_policies(list(next(iter(ranks.values())))), [2])
        return list(run_contests(contests, Settings(num_runs=num_runs, top_k=(1,))))

    return make


def verdicts(recommendation):
    return {each.policy: each.verdict for each in recommendation.standings}


def test_the_policy_with_the_lowest_mean_rank_is_recommended_though_it_costs_more(results_of):
    chosen = recommend(
        results_of({"oak": {"uniform": [30] * 50, "ucb": [8, 12] * 25, "ttts": [20] * 50}}, seconds={"ucb": 900})
    )
    assert chosen.policy == "ucb"
    assert verdicts(chosen) == {
        "ucb": "recommended",
        "ttts": "worse for certain",
        "uniform": "worse for certain",
    }
    assert list(verdicts(chosen)) == ["ucb", "ttts", "uniform"]


def test_between_policies_that_are_as_good_the_cost_decides(results_of):
    """Ranks 10 and 10.5 in the mean, one or the other ahead by turns."""
    ranks = {"oak": {"ucb": [5, 15] * 50, "ttts": [15, 6] * 50}}
    cheaper = recommend(results_of(ranks, seconds={"ucb": 210, "ttts": 1}, loads={"ucb": 4000, "ttts": 300}))
    assert verdicts(cheaper) == {"ucb": "as good", "ttts": "recommended"}
    dearer = recommend(results_of(ranks, seconds={"ucb": 1, "ttts": 210}))
    assert verdicts(dearer) == {"ucb": "recommended", "ttts": "as good"}
    same = recommend(results_of(ranks))
    assert same.policy == "ucb"


def test_a_cheap_policy_certain_to_be_worse_is_never_chosen_however_near_it_is(results_of):
    """One rank behind in every run, 5% of the leader's."""
    ranks = {"oak": {"ucb": [18, 22] * 25, "uniform": [19, 23] * 25}}
    chosen = recommend(results_of(ranks, seconds={"ucb": 1000}))
    assert verdicts(chosen) == {"ucb": "recommended", "uniform": "worse for certain"}


def test_a_policy_certain_to_be_worse_than_any_better_one_is_out_though_the_leader_does_not_tell(results_of):
    """The leader swings; the second is one rank ahead of the cheapest in every run."""
    ranks = {"oak": {"ucb": [1, 39] * 25, "ttts": [20, 21] * 25, "uniform": [21, 22] * 25}}
    assert np.mean(ranks["oak"]["uniform"]) < 1.1 * np.mean(ranks["oak"]["ucb"])
    chosen = recommend(results_of(ranks, seconds={"ucb": 9, "ttts": 5, "uniform": 1}))
    assert verdicts(chosen) == {"ucb": "as good", "ttts": "recommended", "uniform": "worse for certain"}


def test_a_cheap_policy_is_not_as_good_only_because_nothing_can_be_told(results_of):
    ranks = {"oak": {"ucb": [1, 39] * 3, "uniform": [45, 5] * 3}}
    chosen = recommend(results_of(ranks, seconds={"ucb": 1000}))
    assert verdicts(chosen) == {"ucb": "recommended", "uniform": "higher rank"}  # 20 and 25


def test_every_tensor_weighs_the_same_whatever_its_ranks(results_of):
    """Geometric means 4 and 6 where the arithmetic ones are 8.5 and 6.5."""
    results = results_of({"oak": {"ucb": [1] * 30, "ttts": [4] * 30}, "ash": {"ucb": [16] * 30, "ttts": [9] * 30}})
    chosen = recommend(results)
    assert [(each.policy, each.mean_rank) for each in chosen.standings] == [
        ("ucb", pytest.approx(4)),
        ("ttts", pytest.approx(6)),
    ]
    assert chosen.standings[0].mean_rank_ci == pytest.approx((4, 4))
    assert chosen.better_on == (("ttts", "ash"),)
    assert "better for certain is ttts on ash, but not over all the tensors" in explain(chosen, results)


def test_the_interval_of_the_mean_rank_covers_as_often_as_it_says(results_of):
    """100 reports of 200 runs on two tensors of mean ranks 20.5 and 5.5; fewer than 87 of 100 cover once in 700."""
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(100):
        ranks = {
            "oak": {"ucb": rng.integers(1, 41, 200).tolist()},
            "ash": {"ucb": rng.integers(1, 11, 200).tolist()},
        }
        low, high = recommend(results_of(ranks)).standings[0].mean_rank_ci
        covered += low <= np.sqrt(20.5 * 5.5) <= high
    assert covered >= 87


def test_costs_and_loads_are_means_over_the_tensors(results_of):
    ranks = {tensor: {"ucb": [2] * 20, "ttts": [9] * 20} for tensor in ("oak", "ash")}
    (standing, _) = recommend(results_of(ranks, seconds={"ucb": 7}, loads={"ucb": 40})).standings
    assert (standing.cost_seconds, standing.cost_seconds_ci) == (7, (7, 7))
    assert (standing.model_loads, standing.model_loads_ci) == (40, (40, 40))


def test_the_sentence_gives_ranks_certainty_and_what_the_dearer_policy_costs(results_of):
    ranks = {"oak": {"ucb": [5, 15] * 50, "ttts": [15, 6] * 50, "uniform": [50] * 100}}
    results = results_of(ranks, seconds={"ucb": 210, "ttts": 1}, loads={"ucb": 4000, "ttts": 300})
    assert explain(recommend(results), results) == (
        "Use ttts: mean rank 10.5 of 100 on oak; no policy is better for certain, 1 of 2 others worse for certain. "
        "ucb is as good, within a tenth in rank, but costs 210 times the seconds, 4,000 model loads "
        "against 300."
    )


def test_over_several_tensors_worse_means_on_one_of_them(results_of):
    results = results_of({"oak": {"ucb": [2] * 20, "ttts": [2] * 20}, "ash": {"ucb": [2] * 20, "ttts": [9] * 20}})
    assert "1 of 1 others worse for certain on a tensor or more." in explain(recommend(results), results)


def test_the_mean_rank_on_one_tensor_is_the_tensor_s(results_of):
    """141 / 20 is 7.05, on whose last digit two tables must not disagree."""
    (standing,) = recommend(results_of({"oak": {"ucb": [7] * 19 + [8]}})).standings
    assert standing.mean_rank == 7.05


def test_the_sentence_names_what_is_as_good_as_the_leader_but_not_cheaper(results_of):
    results = results_of({"oak": {"ucb": [5, 15] * 50, "ttts": [15, 6] * 50}}, seconds={"ttts": 3})
    assert "As good, within a tenth in rank, but not cheaper: ttts (3 times the seconds" in explain(
        recommend(results), results
    )


def test_costs_of_nothing_are_no_factor(results_of):
    results = results_of({"oak": {"ucb": [5, 15] * 50, "ttts": [15, 6] * 50}}, seconds={"ucb": 0, "ttts": 0})
    assert "times" not in explain(recommend(results), results)


@pytest.mark.parametrize(
    ("num_runs", "policies", "expected"),
    [
        (19, ("ucb", "ttts"), "19 runs are too few to be sure, 20 or more can tell"),
        (50, ("ucb",), "there was no other policy to hold it against"),
    ],
)
def test_the_sentence_says_where_nothing_is_certain(results_of, num_runs, policies, expected):
    results = results_of({"oak": {policy: [3] * num_runs for policy in policies}})
    assert expected in explain(recommend(results), results)


def test_a_single_run_has_no_intervals(results_of):
    (standing,) = recommend(results_of({"oak": {"ucb": [3]}})).standings
    assert (standing.mean_rank, standing.mean_rank_ci, standing.cost_seconds_ci) == (pytest.approx(3), None, None)
