"""A search by a policy that chooses queries is the simulator's run, ask by ask; and goes on when models fail."""

import numpy as np
import pytest
from query_play import background_of, related_models

from gembench.policies.catalog import CHOOSING, make_policy
from gembench.policies.gem import Gem
from gembench.pulls import NOT_ASKED, UNGRADED, Reply
from gembench.query_policy import Background
from gembench.race import Race
from gembench.search import Search
from gembench.simulate import simulate

CORRECT, HISTORY = related_models(9, 40, 1, 12)
BUDGET = 9 * 6
# Warm, with a history; the first of them chooses queries only then.
FAST = ["gem", "anchor_points", "model_selector", "paired_elimination", "top_two_shared", "doubly_robust"]
choosing = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in CHOOSING]
)


class Models:
    """Answers from a table; a model that fails says so in place of its answers."""

    def __init__(self, correct, failing=(), ungraded=()):
        self.correct = correct
        self.failing = failing
        self.ungraded = ungraded
        self.asked = []

    def __call__(self, wanted):
        replies = {}
        for model, queries in wanted:
            self.asked += [(model, query) for query in queries.tolist()]
            answers = self.correct[model, queries].astype(np.int8)
            if model in self.ungraded:
                answers[::2] = UNGRADED
            failed = model in self.failing and len(self.asked) > self.failing[model]
            replies[model] = Reply(np.full_like(answers, NOT_ASKED) if failed else answers, has_failed=failed)
        return replies


def search_with(models, name, history=HISTORY, **settings):
    background = None if history is None else background_of(history, 9)
    search = Search(make_policy(name), 9, 40, BUDGET, models, background=background, **settings)
    return search, search.run()


@choosing
@pytest.mark.parametrize("history", [HISTORY, None], ids=["warm", "cold"])
def test_a_search_is_a_run_of_the_simulator_ask_by_ask(name, history):
    race = Race(CORRECT.astype(np.uint8), np.ones(9), np.ones(9))
    background = None if history is None else background_of(history, 9)
    settings = {"budget": BUDGET, "seed": 3, "num_runs": 2, "num_recommended": 9, "with_digests": True}
    runs = simulate(make_policy(name), race, background=background, **settings)
    search, ending = search_with(Models(CORRECT), name, history, seed=3, run=1)
    assert ending == "plan"
    assert search.decision_digest == runs.decision_digests[1]
    assert search.ranking() == runs.recommended[1].tolist()
    assert (search.pulls, search.model_loads.sum()) == (runs.pulls[1], runs.model_loads[1])


def test_a_search_with_a_prior_is_a_run_of_the_simulator_ask_by_ask():
    background = Background(np.zeros((0, 40), np.int8), np.asarray([3, 1, np.nan, 4, 1, 5, 9, 2, 6], np.float32))
    race = Race(CORRECT.astype(np.uint8), np.ones(9), np.ones(9))
    runs = simulate(Gem(), race, budget=BUDGET, num_runs=2, num_recommended=9, with_digests=True, background=background)
    search = Search(Gem(), 9, 40, BUDGET, Models(CORRECT), background=background, run=1)
    assert search.run() == "plan"
    assert search.decision_digest == runs.decision_digests[1]
    assert search.ranking() == runs.recommended[1].tolist()


def test_models_that_fail_leave_a_search_with_a_prior_to_the_others():
    background = Background(np.zeros((0, 40), np.int8), np.arange(9, dtype=np.float32))
    models = Models(CORRECT, failing={4: 0, 8: 12})
    search = Search(Gem(), 9, 40, BUDGET, models, background=background)
    assert search.run() in ("plan", "budget")
    assert search.failed == {4, 8}
    assert sorted(search.ranking()) == [0, 1, 2, 3, 5, 6, 7]


@choosing
def test_no_cell_is_asked_twice_and_the_budget_holds(name):
    models = Models(CORRECT)
    search, _ = search_with(models, name)
    assert len(set(models.asked)) == len(models.asked) == search.pulls <= BUDGET


@pytest.mark.parametrize("name", FAST)
def test_models_that_fail_leave_the_race_to_the_others(name):
    best = int(CORRECT.sum(axis=1).argmax())
    # One at its first query, the best after all have answered one.
    models = Models(CORRECT, failing={4: 0, best: 12})
    search, ending = search_with(models, name)
    assert ending in ("plan", "budget")
    assert search.failed == {4, best}
    assert not {4, best} & set(search.ranking())
    assert len(search.ranking()) == 7
    assert search.pulls <= BUDGET


@pytest.mark.parametrize("name", ["gem", "top_two_shared"])
def test_answers_without_a_grade_stop_nothing(name):
    search, ending = search_with(Models(CORRECT, ungraded=(1, 2)), name)
    assert ending == "plan"
    assert (search.answers == UNGRADED).any()
    assert len(search.ranking()) == 9
