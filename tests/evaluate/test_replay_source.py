"""A tensor in place of an engine: its cells go into a journal, with what they cost, loaded as the simulator counts."""

from itertools import count

import numpy as np
import pytest

from gembench.data.journal import Journal
from gembench.data.outcomes import Outcome
from gembench.data.status import ModelStatus
from gembench.evaluate.replay import ReplaySource, replayed
from gembench.live.searching import PaidAnswers
from gembench.policies.catalog import make_policy
from gembench.pulls import Pulls
from gembench.search import Search

M, Q = 8, 12
CORRECT = (np.random.default_rng(4).random((M, Q)) < np.linspace(0.2, 0.9, M)[:, None]).astype(np.uint8)
LOAD_SECONDS = np.arange(M) + 1.0
QUERY_SECONDS = (np.arange(M) + 1) / 8
NAMES = [f"org/m{number}" for number in range(M)]


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "j")
    opened.add_queries([(f"q{number}", {}) for number in range(Q)])
    opened.add_models([(name, {}) for name in NAMES])
    yield opened
    opened.close()


@pytest.fixture
def source(journal):
    return ReplaySource(journal, NAMES, CORRECT, LOAD_SECONDS, QUERY_SECONDS)


def test_replies_are_the_recorded_answers():
    replies = replayed(CORRECT, [Pulls(5, np.array([7, 0, 3], np.int32)), Pulls(1, np.array([2], np.int32))])
    assert replies[5].correct.tolist() == CORRECT[5, [7, 0, 3]].tolist()
    assert replies[1].correct.tolist() == CORRECT[1, [2]].tolist()
    assert not any(reply.has_failed for reply in replies.values())


def test_cells_are_committed_as_answered_with_the_recorded_seconds(journal, source):
    source.ask({NAMES[5]: [7, 0], NAMES[2]: [3]})
    rows = journal.models()
    columns = journal.columns(rows[5].position)
    assert columns["query"] == (0, 7)
    assert columns["correct"] == (CORRECT[5, 0], CORRECT[5, 7])
    assert columns["score"] == (float(CORRECT[5, 0]), float(CORRECT[5, 7]))
    assert columns["outcome"] == (Outcome.ANSWERED, Outcome.ANSWERED)
    assert columns["seconds"] == (6 / 8, 6 / 8)
    assert journal.correct(rows[2].position) == [(3, CORRECT[2, 3])]
    assert [rows[number].status for number in (5, 2, 0)] == [ModelStatus.OK, ModelStatus.OK, ModelStatus.PENDING]
    assert rows[5].load_seconds == 6.0


def test_the_model_that_is_loaded_answers_first_and_costs_no_load(journal, source):
    loads = []
    for ask in ([0, 1, 2], [0, 2], [0], [0, 1]):
        # 0, 1 and 2 are loaded; then 2 is held and 0 is loaded; 0 is held; 0 is held, and 1 is loaded.
        query = count()
        source.ask({NAMES[model]: [len(loads) * 3 + next(query)] for model in ask})
        loads.append([cost.num_loads for cost in list(journal.costs().values())[:3]])
    assert loads == [[1, 1, 1], [2, 1, 1], [2, 1, 1], [2, 2, 1]]


@pytest.mark.parametrize("policy", ["uniform", "ucb_e", "ttts", "sequential_halving", "accelerated_sequential_halving"])
def test_a_replayed_search_costs_what_the_simulator_counts(journal, source, policy):
    search = Search(make_policy(policy), M, Q, 5 * M, PaidAnswers(journal, NAMES, source), seed=3)
    search.run()
    costs = journal.costs()
    num_asked = (search.answers >= 0).sum(axis=1)
    assert [costs[name].num_loads for name in NAMES] == search.model_loads.tolist()
    assert [costs[name].load_seconds for name in NAMES] == (search.model_loads * LOAD_SECONDS).tolist()
    assert [costs[name].num_cells for name in NAMES] == num_asked.tolist()
    assert [costs[name].cell_seconds for name in NAMES] == (num_asked * QUERY_SECONDS).tolist()


def test_a_replay_that_is_begun_again_asks_the_source_for_nothing(journal, source):
    policy = make_policy("sequential_halving")
    first = Search(policy, M, Q, 5 * M, PaidAnswers(journal, NAMES, source))
    first.run()
    costs = journal.costs()

    class Silent:
        def ask(self, queries):
            raise AssertionError(queries)

    answers = PaidAnswers(journal, NAMES, Silent())
    second = Search(policy, M, Q, 5 * M, answers)
    second.run()
    assert second.decision_digest == first.decision_digest
    assert (answers.num_new_cells, journal.costs()) == (0, costs)
