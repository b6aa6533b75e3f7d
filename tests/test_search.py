"""A search makes the simulator's decisions, survives models that fail, and pays for nothing twice."""

import functools

import numpy as np
import pytest

from gembench.load_race import load_race
from gembench.policies.catalog import CATALOG, make_policy
from gembench.policy import Problem
from gembench.pulls import NOT_ASKED, UNGRADED, Reply
from gembench.race import Race
from gembench.search import NobodyLeftError, Search
from gembench.simulate import simulate

every_policy = pytest.mark.parametrize("name", CATALOG)


def cut(race, num_models, num_queries):
    correct = np.ascontiguousarray(race.correct[:num_models, :num_queries])
    return Race(correct, race.load_seconds[:num_models], race.query_seconds[:num_models])


@functools.cache
def race_named(tensor):
    """A recorded tensor whole, a part of a generated tree with more models than a first cut keeps, a random one."""
    if tensor == "recorded":
        return load_race("smollm2-135m").race
    if tensor == "tree":
        return cut(load_race("mistral-7b").race, 130, 97)
    correct = np.random.default_rng(5).random((13, 31)) < np.linspace(0.2, 0.9, 13)[:, None]
    return Race(correct.astype(np.uint8), np.ones(13), np.ones(13))


class Models:
    """Models that answer from a matrix; some fail at their so-manieth query. Remembers what was paid for."""

    def __init__(self, correct, fails_after=None, dies_at_ask=None):
        self.correct = correct.astype(np.int8)
        self.fails_after = fails_after or {}
        self.dies_at_ask = dies_at_ask
        self.asks = []
        self.paid = set()
        self.num_bought_twice = 0

    def __call__(self, wanted):
        if len(self.asks) == self.dies_at_ask:
            raise KeyboardInterrupt
        self.asks.append({model: queries.tolist() for model, queries in wanted})
        return {model: self.reply(model, queries) for model, queries in wanted}

    def reply(self, model, queries):
        answers = np.full(len(queries), NOT_ASKED, np.int8)
        for place, query in enumerate(queries.tolist()):
            if (model, query) not in self.paid:
                if len([cell for cell in self.paid if cell[0] == model]) == self.fails_after.get(model):
                    return Reply(answers, has_failed=True)
                self.paid.add((model, query))
            answers[place] = self.correct[model, query]
        return Reply(answers)


def search_over(models, policy, queries_per_model=6, **settings):
    num_models, num_queries = models.correct.shape
    search = Search(policy, num_models, num_queries, queries_per_model * num_models, models, **settings)
    return search, search.run()


@every_policy
@pytest.mark.parametrize(
    ("tensor", "num_seeds"),
    [
        ("random", 1),
        pytest.param("recorded", 5, marks=pytest.mark.slow),
        pytest.param("tree", 5, marks=pytest.mark.slow),
        pytest.param("random", 5, marks=pytest.mark.slow),
    ],
)
def test_a_search_is_a_run_of_the_simulator_ask_by_ask(name, tensor, num_seeds):
    race, policy = race_named(tensor), make_policy(name)
    budget = 6 * len(race.correct)
    for seed in range(num_seeds):
        runs = simulate(
            policy, race, budget=budget, num_runs=3, seed=seed, num_recommended=len(race.correct), with_digests=True
        )
        search, ending = search_over(Models(race.correct), policy, seed=seed, run=2)
        assert ending == "plan"
        assert search.decision_digest == runs.decision_digests[2]
        assert search.ranking() == runs.recommended[2].tolist()
        assert (search.pulls, search.model_loads.sum()) == (runs.pulls[2], runs.model_loads[2])


@pytest.mark.parametrize("name", ["uniform", "ucb_e", "accelerated_sequential_halving"])
def test_a_search_that_can_pay_for_everything_buys_everything(name):
    race = race_named("random")
    search, _ = search_over(Models(race.correct), make_policy(name), queries_per_model=99)
    assert (search.answers == race.correct).all()
    accuracy = race.correct.mean(axis=1)
    assert (np.diff(accuracy[search.ranking()]) <= 0).all()


@pytest.mark.parametrize(
    "name", [name for name in CATALOG if make_policy(name).plan(Problem(13, 31, 78))[0].num_models == 13]
)
def test_models_that_fail_at_once_leave_a_race_planned_without_them(name):
    race = race_named("random")
    out = {0, 7, 12}
    models = Models(race.correct, fails_after=dict.fromkeys(out, 0))
    search, _ = search_over(models, make_policy(name), sampling="shared", seed=4)
    left = [model for model in range(13) if model not in out]
    without = Race(np.ascontiguousarray(race.correct[left]), race.load_seconds[left], race.query_seconds[left])
    runs = simulate(
        make_policy(name),
        without,
        budget=6 * 13,  # what the others would have had is theirs
        num_runs=1,
        seed=4,
        sampling="shared",
        num_recommended=10,
        with_digests=True,
    )
    assert search.failed == out
    assert search.decision_digest == runs.decision_digests[0]
    assert search.ranking() == [left[place] for place in runs.recommended[0]]


@pytest.mark.parametrize("name", ["accelerated_sequential_halving", "bayes_elim", "sequential_halving"])
def test_the_place_of_a_model_that_fails_later_goes_to_the_next_best(name):
    race = race_named("random")
    undisturbed = Models(race.correct)
    search_over(undisturbed, make_policy(name), queries_per_model=12)
    first, second = undisturbed.asks[:2]
    for lost in second:
        disturbed = Models(race.correct, fails_after={lost: len(first[lost])})
        search, _ = search_over(disturbed, make_policy(name), queries_per_model=12)
        again = disturbed.asks[2]
        newcomers = set(again) - set(second)
        assert set(second) - set(again) == {lost}
        assert len(newcomers) == 1
        assert disturbed.asks[:2] == undisturbed.asks[:2]
        # Nobody who stayed out scored more in the first round than who came in.
        right = {model: race.correct[model, queries].sum() for model, queries in first.items()}
        stayed_out = set(first) - set(again) - {lost}
        assert max(right[model] for model in stayed_out) <= min(right[model] for model in newcomers)
        assert lost not in search.ranking()


def test_if_the_last_survivors_fail_those_who_left_before_them_are_taken_up_again():
    race = race_named("random")
    undisturbed = Models(race.correct)
    policy = make_policy("accelerated_sequential_halving")
    search_over(undisturbed, policy, queries_per_model=12)
    *_, semifinal, final = undisturbed.asks
    played = {model: sum(len(ask.get(model, ())) for ask in undisturbed.asks[:-1]) for model in final}
    models = Models(race.correct, fails_after=played)
    search, _ = search_over(models, policy, queries_per_model=12)
    assert set(models.asks[-1]) == set(semifinal) - set(final)
    assert set(search.ranking()[:2]) == set(semifinal) - set(final)
    assert search.failed == set(final)


@every_policy
@pytest.mark.parametrize("seed", range(3))
def test_whenever_models_fail_the_budget_holds_and_nobody_who_failed_is_ranked(name, seed):
    race = race_named("random")
    rng = np.random.default_rng(seed)
    fails_after = {int(model): int(rng.integers(0, 12)) for model in rng.permutation(13)[: rng.integers(1, 12)]}
    models = Models(race.correct, fails_after)
    search, _ = search_over(models, make_policy(name), queries_per_model=8, seed=seed)
    assert search.pulls == len(models.paid) <= 8 * 13
    assert sorted([*search.ranking(), *search.failed]) == list(range(13))
    assert all(len([cell for cell in models.paid if cell[0] == model]) == fails_after[model] for model in search.failed)


@every_policy
def test_a_search_begun_again_makes_the_same_decisions_and_pays_for_nothing_twice(name):
    race = race_named("random")
    fails_after = {3: 0, 8: 4}
    whole = Models(race.correct, fails_after)
    expected, _ = search_over(whole, make_policy(name), queries_per_model=8)
    models = Models(race.correct, fails_after)
    for dies_at_ask in (0, 1, 2, len(whole.asks) // 2, len(whole.asks) - 1):
        models.asks, models.dies_at_ask = [], dies_at_ask
        with pytest.raises(KeyboardInterrupt):
            search_over(models, make_policy(name), queries_per_model=8)
    models.asks, models.dies_at_ask = [], None
    search, _ = search_over(models, make_policy(name), queries_per_model=8)
    assert search.decision_digest == expected.decision_digest
    assert search.ranking() == expected.ranking()
    assert models.paid == whole.paid


def test_a_search_in_which_everybody_fails_says_so():
    race = race_named("random")
    with pytest.raises(NobodyLeftError, match="all 13 models failed"):
        search_over(Models(race.correct, dict.fromkeys(range(13), 0)), make_policy("uniform"))
    with pytest.raises(NobodyLeftError):
        search_over(Models(race.correct, dict.fromkeys(range(13), 2)), make_policy("sequential_halving"))


def test_an_answer_that_cannot_be_graded_counts_as_the_others_do_on_average():
    # Twelve queries each: the first model has 6 of 8 right and 4 ungraded, so 9; the second 8 of 12; the third 10.
    answers = np.zeros((3, 12), np.int8)
    answers[0, :6], answers[0, 8:] = 1, UNGRADED
    answers[1, :8] = answers[2, :10] = 1
    search, _ = search_over(Models(answers), make_policy("uniform"), queries_per_model=12)
    assert search.ranking() == [2, 0, 1]
    assert search.pulls == 36


def test_the_caller_may_end_a_search_and_has_a_ranking():
    race = race_named("random")
    models = Models(race.correct)
    search, ending = search_over(
        models, make_policy("ucb_e"), stop=lambda search, wanted: "stop_within" if search.pulls >= 30 else None
    )
    assert ending == "stop_within"
    assert search.pulls == 30
    assert sorted(search.ranking()) == list(range(13))


def test_before_the_first_ask_is_complete_models_are_ranked_by_what_has_come():
    search = Search(make_policy("uniform"), 3, 4, 12, Models(np.eye(3, 4)))
    search.answers[1, :2] = 1
    search.answers[2, :2] = 1, 0
    assert search.ranking() == [1, 2, 0]


@pytest.mark.parametrize("name", ["ucb_e", "accelerated_sequential_halving"])
def test_a_newcomer_in_the_place_of_the_worst_pays_for_its_own_queries_and_hardly_more(name):
    race = race_named("recorded")
    num_models = len(race.correct) - 1
    newcomer = num_models  # the last row
    for seed in range(3):
        models = Models(race.correct)
        settings = {"racing": range(num_models), "seed": seed}
        search = Search(make_policy(name), num_models + 1, 400, 10 * num_models, models, **settings)
        search.run()
        assert newcomer not in search.ranking()
        paid_before = len(models.paid)
        worst = search.ranking()[-1]
        racing = [newcomer if model == worst else model for model in range(num_models)]
        again = Search(make_policy(name), num_models + 1, 400, 10 * num_models, models, **settings | {"racing": racing})
        again.run()
        assert again.plan == search.plan
        assert sorted(again.ranking()) == sorted(racing)
        assert (again.answers[worst] == NOT_ASKED).all()
        num_new = len(models.paid) - paid_before
        num_own = (again.answers[newcomer] != NOT_ASKED).sum()
        assert num_own <= num_new <= num_own + 10  # where it is asked, another is not, and may be asked something new
