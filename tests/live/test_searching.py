"""A search over workers decides as over recorded answers, asks nothing twice, and outlives what goes wrong."""

import contextlib
from collections import Counter
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tiny_suite import Puppet, Swapping, TinySuite, query_of

from gembench.data.outcomes import Outcome
from gembench.data.recording import Recording
from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import Checkpoint, EvaluatorFailure, EvaluatorLost
from gembench.evaluate.replay import replayed
from gembench.live.events import CanaryAsked, WorkerLost
from gembench.live.row import Candidate
from gembench.live.searching import AnswersTakenBackError, LiveSource, PaidAnswers
from gembench.live.workers import Workers
from gembench.policies.catalog import make_policy
from gembench.pulls import ENOUGH_UNGRADED, NOT_ASKED, UNGRADED, Reply
from gembench.search import Search

NUM_MODELS, NUM_QUERIES = 9, 12
MATRIX = (np.random.default_rng(3).random((NUM_MODELS, NUM_QUERIES)) < np.linspace(0.2, 0.9, NUM_MODELS)[:, None]) * 1
NAMES = [f"m{number}" for number in range(NUM_MODELS)]
CRASH = EvaluatorFailure(ModelStatus.ENGINE_CRASHED, "it crashed")

every_kind_of_policy = pytest.mark.parametrize("policy", ["uniform", "ucb_e", "ttts", "sequential_halving"])
one_or_two_workers = pytest.mark.parametrize("num_workers", [1, 2])


@pytest.fixture
def store(tmp_path):
    return tmp_path / "out.zarr"


def fetch(rows):
    for row in rows:
        yield Candidate(row.id, Checkpoint(row.id, Path(row.id)), architecture="llama", fingerprint={"weights": row.id})


class Ground:
    """What lies between a search and puppets.

    `asks` remembers what searches wanted, as {model: queries} each.
    """

    def __init__(self, recording, suite, names, puppets, canary_every):
        self.recording = recording
        self.journal = recording.journal
        self.journal.add_queries((query.id, {"task": query.task}) for query in suite.queries)
        self.journal.add_models((name, {}) for name in names)
        self.events = []
        self.asks = []
        self.workers = Workers(
            suite, puppets, self.journal, commit_every=1, canary_every=canary_every, on_event=self.events.append
        )
        self.source = LiveSource(self.journal, self.workers, fetch)
        self.answers = PaidAnswers(self.journal, names, self.source)
        self._shape = len(names), len(suite.queries)

    def search(self, policy, queries_per_model=4, **settings):
        num_models, num_queries = self._shape
        budget = queries_per_model * num_models
        return Search(
            make_policy(policy), num_models, num_queries, budget, self.answers, on_ask=self._on_ask, **settings
        )

    def run(self, policy, queries_per_model=4, **settings):
        search = self.search(policy, queries_per_model, **settings)
        search.run()
        return search

    def status_of(self, name):
        (row,) = (row for row in self.journal.models() if row.id == name)
        return row.status, row.message

    @property
    def cells(self):
        """(model, query) → correct, of all that is in the journal."""
        return {
            (row.id, query): correct
            for row in self.journal.models()
            for query, correct in self.journal.correct(row.position)
        }

    def _on_ask(self, stage, repeat, wanted):
        self.asks.append({NAMES[model]: queries.tolist() for model, queries in wanted})


@contextlib.contextmanager
def ground(store, puppets, rows=MATRIX, canary_every=None):
    names = NAMES[: len(rows)]
    for puppet in puppets:
        puppet.rows = dict(zip(names, np.asarray(rows).tolist(), strict=True))
    with Recording(store) as recording:
        made = Ground(recording, TinySuite(len(rows[0])), names, puppets, canary_every)
        try:
            yield made
        finally:
            made.workers.stop()


def replay_of(policy, answer, queries_per_model=4, shape=MATRIX.shape, **settings):
    search = Search(make_policy(policy), *shape, queries_per_model * shape[0], answer, **settings)
    search.run()
    return search


def failing(number, num_answered):
    """Answers from the matrix; one model fails once it has answered so many queries."""
    seen = set()

    def reply(model, queries):
        answers = np.full(len(queries), NOT_ASKED, np.int8)
        for place, query in enumerate(queries.tolist()):
            if model == number and query not in seen:
                if len(seen) == num_answered:
                    return Reply(answers, has_failed=True)
                seen.add(query)
            answers[place] = MATRIX[model, query]
        return Reply(answers)

    return lambda wanted: {model: reply(model, queries) for model, queries in wanted}


def queries_asked(puppets):
    return {(model, query_of(request)) for puppet in puppets for model, request in puppet.asked}


@every_kind_of_policy
@one_or_two_workers
def test_a_search_decides_as_over_recorded_answers_and_asks_everything_once(store, policy, num_workers):
    expected = replay_of(policy, partial(replayed, MATRIX), seed=2)
    puppets = [Puppet() for _ in range(num_workers)]
    with ground(store, puppets) as live:
        search = live.run(policy, seed=2)
        assert search.decision_digest == expected.decision_digest
        assert search.ranking() == expected.ranking()
        wanted = {(model, query) for ask in live.asks for model, queries in ask.items() for query in queries}
        assert live.cells == {cell: MATRIX[NAMES.index(cell[0]), cell[1]] for cell in wanted}
        assert queries_asked(puppets) == wanted
        assert max(Counter(asked for puppet in puppets for asked in puppet.asked).values()) == 1
        assert live.answers.num_new_cells == len(wanted) == search.pulls


@pytest.mark.parametrize("policy", ["ucb_e", "ttts"])
def test_a_model_asked_again_and_again_is_loaded_once(store, policy):
    puppet = Puppet()
    with ground(store, [puppet]) as live:
        search = live.run(policy)
    models_asked = [model for ask in live.asks for model in sorted(ask)]
    num_switches = sum(left != right for left, right in pairwise(models_asked))
    assert len(puppet.loaded) == 1 + num_switches < search.pulls
    assert [puppet.loaded.count(name) for name in NAMES] == search.model_loads.tolist()


def test_in_each_round_the_model_that_is_held_answers_first_and_unloaded(store):
    puppet = Puppet()
    with ground(store, [puppet]) as live:
        live.run("sequential_halving")
    held, loaded = None, []
    for ask in live.asks:
        in_turn = sorted(ask, key=lambda name: (name != held, name))
        loaded += [name for name in in_turn if name != held]
        held = in_turn[-1]
    assert puppet.loaded == loaded


def test_the_last_two_stay_each_with_its_own_worker(store):
    puppets = [Puppet(), Puppet()]
    with ground(store, puppets) as live:
        for query in range(4):
            live.source.ask({"m4": [query], "m1": [query]})
        for query in (4, 5):
            live.source.ask({"m4": [query]})
        for query in (4, 5):
            live.source.ask({"m1": [query]})
    assert [puppet.loaded for puppet in puppets] == [["m1"], ["m4"]]


def test_two_models_that_take_turns_are_held_by_two_workers(store):
    puppets = [Puppet(), Puppet()]
    with ground(store, puppets) as live:
        live.source.ask({"m1": [0], "m2": [0], "m3": [0]})
        for query in range(1, 6):
            live.source.ask({"m7": [query]})
            live.source.ask({"m8": [query]})
    loaded = [name for puppet in puppets for name in puppet.loaded]
    assert (loaded.count("m7"), loaded.count("m8")) == (1, 1)


def test_models_that_are_held_come_before_those_that_must_be_loaded(store):
    puppet = Puppet()
    with ground(store, [puppet]) as live:
        live.source.ask({"m0": [0], "m1": [0], "m2": [0]})
        live.source.ask({"m0": [1], "m1": [1], "m2": [1]})
        live.source.ask({"m0": [2], "m1": [2]})
    assert puppet.loaded == ["m0", "m1", "m2", "m0", "m1", "m0"]


class Dying(Puppet):
    """Raises once it has given so many answers, of one model or of all."""

    def __init__(self, num_answers, error=KeyboardInterrupt, model=None):
        super().__init__()
        self._num_answers = num_answers
        self._error = error
        self._model = model

    def answer(self, requests):
        self._die_if_due()
        for one in super().answer(requests):
            yield one
            self._die_if_due()

    def _die_if_due(self):
        model = self.loaded[-1]
        num_answers = sum(self._model in (None, name) for name, _ in self.asked)
        if self._model in (None, model) and num_answers >= self._num_answers:
            raise self._error


@every_kind_of_policy
@one_or_two_workers
def test_however_often_a_search_is_interrupted_it_decides_the_same_and_asks_nothing_twice(store, policy, num_workers):
    expected = replay_of(policy, partial(replayed, MATRIX))
    num_interruptions, search = 0, None
    while search is None:
        # Enough answers for any one query, so that it gets on.
        puppets = [Dying(11), *(Puppet() for _ in range(num_workers - 1))]
        with ground(store, puppets) as live:
            paid = set(live.cells)
            with contextlib.suppress(KeyboardInterrupt):
                search = live.run(policy)
            live.workers.stop()
            assert not queries_asked(puppets) & paid
            num_interruptions += search is None
            cells = live.cells
    assert num_interruptions > 1
    assert search.decision_digest == expected.decision_digest
    assert search.ranking() == expected.ranking()
    assert len(cells) == search.pulls == expected.pulls


def test_an_interrupted_search_takes_the_answers_of_models_that_were_done_and_no_others(store):
    whole = Puppet()
    with ground(store, [whole]) as live:
        expected = live.run("sequential_halving", queries_per_model=6)
    first_round, second_round, *_ = live.asks
    # The model that is held answers first; the interruption comes when the second is in the middle of it.
    held = whole.loaded[len(first_round) - 1]
    done, midway, *_ = sorted(second_round, key=lambda name: (name != held, name))
    in_first_round = sum(query_of(request) in first_round[name] for name, request in whole.asked)
    of_done = sum(name == done and query_of(request) in second_round[done] for name, request in whole.asked)
    with ground(store.with_name("again.zarr"), [Dying(in_first_round + of_done + 3)]) as live:
        search = live.search("sequential_halving", queries_per_model=6)
        with pytest.raises(KeyboardInterrupt):
            search.run()
        live.workers.stop()
        before = search.answers.copy()
        search.take_whole_rows(live.answers.known)
        num_of_midway = sum(name == midway for name, _ in live.cells)
    assert len(first_round[midway]) < num_of_midway < len(first_round[midway]) + len(second_round[midway])
    expected_answers = before.copy()
    expected_answers[NAMES.index(done), second_round[done]] = MATRIX[NAMES.index(done), second_round[done]]
    assert (search.answers == expected_answers).all()
    assert (before != expected_answers).any()
    assert (before[before != NOT_ASKED] == expected.answers[before != NOT_ASKED]).all()


def test_what_an_interrupted_first_ask_brought_makes_a_ranking(store):
    # Of the first three models all, of the fourth one query, of the others nothing.
    matrix = np.zeros((5, 6), int)
    matrix[1], matrix[2, :3] = 1, 1
    with ground(store, [Puppet(fail_after={"m3": (3, KeyboardInterrupt())})], matrix) as live:
        search = live.search("uniform", queries_per_model=6)
        with pytest.raises(KeyboardInterrupt):
            search.run()
        live.workers.stop()
        search.take_whole_rows(live.answers.known)
        assert sum(name == "m3" for name, _ in live.cells) == 1
    assert search.ranking()[:2] == [1, 2]
    assert ((search.answers != NOT_ASKED).sum(axis=1) == [6, 6, 6, 0, 0]).all()


@every_kind_of_policy
def test_a_model_that_cannot_be_loaded_leaves_its_budget_to_the_others(store, policy):
    puppet = Puppet(fail_to_load={"m3": EvaluatorFailure(ModelStatus.WEIGHT_MISMATCH, "m3: a tensor is missing")})
    expected = replay_of(policy, failing(3, 0))
    with ground(store, [puppet]) as live:
        search = live.run(policy)
        assert live.status_of("m3") == (ModelStatus.WEIGHT_MISMATCH, "a tensor is missing")
    assert search.failed == {3}
    assert search.decision_digest == expected.decision_digest
    assert search.ranking() == expected.ranking()
    assert puppet.loaded.count("m3") == 1


@pytest.mark.parametrize(("policy", "model"), [("uniform", 3), ("sequential_halving", 8), ("ucb_e", 8)])
@pytest.mark.parametrize("num_answers", [1, 5, 9])
def test_a_model_that_fails_midway_keeps_what_it_answered_and_leaves(store, policy, model, num_answers):
    name = NAMES[model]
    puppet = Dying(num_answers, CRASH, name)
    with ground(store, [puppet]) as live:
        search = live.run(policy, queries_per_model=6)
        assert live.status_of(name) == (ModelStatus.ENGINE_CRASHED, "it crashed")
        num_paid = sum(cell[0] == name for cell in live.cells)
        num_loads = len(puppet.loaded)
        again = live.run(policy, queries_per_model=6)
        assert len(puppet.loaded) == num_loads
        assert search.pulls == len(live.cells)
    expected = replay_of(policy, failing(model, num_paid), queries_per_model=6)
    assert search.failed == {model}
    assert (search.answers[model] != NOT_ASKED).sum() == num_paid
    assert search.decision_digest == again.decision_digest == expected.decision_digest
    assert search.ranking() == again.ranking() == expected.ranking()
    assert search.pulls == expected.pulls


def test_a_model_that_failed_is_not_held(store):
    with ground(store, [Dying(1, CRASH, "m0")]) as live:
        live.source.ask({"m0": [0]})
        assert list(live.workers.held) == []
        live.source.ask({"m1": [0]})
        live.source.ask({"m0": [2]})
        assert list(live.workers.held) == []


@pytest.mark.parametrize("lost", [0, 1])
def test_a_model_whose_worker_is_lost_is_taken_up_by_another(store, lost):
    puppets = [Puppet(), Puppet()]
    # The first candidate goes to the first worker, the second to the second.
    puppets[lost].fail_after = {NAMES[lost]: (1, EvaluatorLost("node 7 is gone"))}
    expected = replay_of("sequential_halving", partial(replayed, MATRIX), queries_per_model=8)
    with ground(store, puppets) as live:
        search = live.run("sequential_halving", queries_per_model=8)
        assert [event.model for event in live.events if isinstance(event, WorkerLost)] == [NAMES[lost]]
    assert not search.failed
    assert search.decision_digest == expected.decision_digest
    assert NAMES[lost] in puppets[1 - lost].loaded


def test_a_model_that_is_asked_alone_is_taken_up_by_a_worker_that_was_not_lost_with_it(store):
    puppets = [Puppet(fail_after={"m0": (0, EvaluatorLost("node 7 is gone"))}), Puppet()]
    with ground(store, puppets) as live:
        live.source.ask({"m0": [0]})
        assert live.status_of("m0")[0] == ModelStatus.OK
    assert [puppet.loaded for puppet in puppets] == [["m0"], ["m0"]]


def test_a_model_that_two_workers_were_lost_with_has_failed(store):
    puppets = [Puppet(fail_after={"m1": (0, EvaluatorLost("the node is gone"))}) for _ in range(2)]
    with ground(store, puppets) as live:
        search = live.run("sequential_halving")
        status, message = live.status_of("m1")
        assert status == ModelStatus.ENGINE_CRASHED
        assert "lost 2 times" in message
        assert "the node is gone" in message
    assert search.failed == {1}
    assert [puppet.loaded.count("m1") for puppet in puppets] == [1, 1]


def nothing_to_grade(wanted):
    """The matrix, but of model 2 nothing can be graded."""
    return {
        model: Reply(np.full(len(queries), UNGRADED, np.int8))
        if model == 2
        else Reply(MATRIX[model, queries].astype(np.int8))
        for model, queries in wanted
    }


@every_kind_of_policy
def test_a_model_that_says_nothing_that_can_be_graded_fails_after_eight_answers(store, policy):
    rows = MATRIX.copy()
    rows[2] = -1
    expected = replay_of(policy, nothing_to_grade, 10)
    with ground(store, [Puppet()], rows) as live:
        search = live.run(policy, 10)
        num_asked = sum(name == "m2" for name, _ in live.cells)
        status, message = live.status_of("m2")
    assert (2 in search.failed) == (status == ModelStatus.UNGRADED) == (num_asked >= ENOUGH_UNGRADED)
    if policy == "uniform":
        assert f"none of its {num_asked} answers could be graded" in message
    assert search.decision_digest == expected.decision_digest
    assert search.ranking() == expected.ranking()


def test_a_model_of_which_nothing_can_be_graded_fails_also_in_a_search_that_goes_on(store):
    rows = MATRIX.copy()
    rows[2] = -1
    with ground(store, [Puppet(fail_after={"m5": (0, KeyboardInterrupt())})], rows) as live:
        with pytest.raises(KeyboardInterrupt):
            live.run("uniform", 10)
        live.workers.stop()
        assert len([query for name, query in live.cells if name == "m2"]) == len(live.asks[0]["m2"])
    with ground(store, [Puppet()], rows) as live:
        search = live.run("uniform", 10)
        assert live.status_of("m2")[0] == ModelStatus.UNGRADED
    assert search.failed == {2}
    assert search.decision_digest == replay_of("uniform", nothing_to_grade, 10).decision_digest


def test_a_model_that_fails_before_anything_could_be_graded_keeps_its_reason(store):
    rows = MATRIX.copy()
    rows[2] = -1
    with ground(store, [Dying(4, CRASH, "m2")], rows) as live:
        search = live.run("uniform")
        assert "m2" in [name for name, _ in live.cells]
        assert live.status_of("m2") == (ModelStatus.ENGINE_CRASHED, "it crashed")
    assert search.failed == {2}


def test_single_answers_that_cannot_be_graded_are_missing_and_count_as_the_others_do_on_average(store):
    # Of twelve queries the first model has 6 of 8 right and 4 ungraded, so 9; the second has 8, the third 10.
    rows = np.zeros((3, 12), int)
    rows[0, :6], rows[0, 8:] = 1, -1
    rows[1, :8] = rows[2, :10] = 1
    with ground(store, [Puppet()], rows) as live:
        search = live.run("uniform", queries_per_model=12)
        tensor = live.recording.tensor()
    assert search.ranking() == [2, 0, 1]
    assert not search.failed
    assert tensor["correct"].values.tolist() == rows.tolist()
    # Generations are ungraded, choices do not fit.
    assert tensor["outcome"].values[0, 8:].tolist() == [Outcome.UNGRADED, Outcome.TRUNCATED] * 2
    assert (tensor["outcome"].values[1:] == Outcome.ANSWERED).all()
    assert np.isnan(tensor["score"].values[0, 8:]).all()


def test_a_model_known_from_another_search_of_which_this_one_has_nothing_graded_counts_as_all_do_on_average(store):
    with ground(store, [Puppet()], MATRIX[:3, :6]) as live:
        first, second = (live.search("uniform", 2, sampling="shared", seed=seed).order(0)[:2] for seed in (0, 1))
    assert set(first.tolist()).isdisjoint(second.tolist())
    rows = np.zeros((3, 6), int)
    rows[0, second], rows[1, second] = -1, 1
    with ground(store.with_name("again.zarr"), [Puppet()], rows) as live:
        live.run("uniform", 2, sampling="shared", seed=0)
        search = live.run("uniform", 2, sampling="shared", seed=1)
    assert not search.failed
    # Two right, one as of all four answers the half is right, none.
    assert search.ranking() == [1, 0, 2]


def checks_of(live):
    return [(event.model, event.agrees, event.again) for event in live.events if isinstance(event, CanaryAsked)]


def four_models():
    """The third is the best, the fourth the next."""
    rows = np.zeros((4, 12), int)
    rows[0, ::4], rows[1, ::3], rows[2], rows[3, :10] = 1, 1, 1, 1
    return rows


def test_rows_that_a_bad_swap_spoilt_are_taken_back_and_the_search_begun_anew_decides_by_the_right_answers(store):
    rows = four_models()
    puppet = Swapping(stale_from="m2")
    expected = replay_of("sequential_halving", partial(replayed, rows), queries_per_model=6, shape=rows.shape)
    with ground(store, [puppet], rows, canary_every=4) as live:
        # Swapped in: m1 (the first swap is checked, and agrees), m2, m3, and in the second round another, the fourth.
        with pytest.raises(AnswersTakenBackError):
            live.run("sequential_halving", queries_per_model=6)
        ((_, agrees, _), (checked, agrees_again, again)) = checks_of(live)
        assert (agrees, agrees_again) == (True, False)
        assert again == ("m2", "m3", checked)
        # Not all of them are in the ask in which it came out: those stay taken back.
        elsewhere = set(again) - set(live.asks[-1])
        assert elsewhere
        assert not elsewhere & {name for name, _ in live.cells}
        assert {live.status_of(name)[0] for name in elsewhere} == {ModelStatus.PENDING}
        search = live.run("sequential_halving", queries_per_model=6)
        assert live.cells == {cell: rows[NAMES.index(cell[0]), cell[1]] for cell in live.cells}
        # A model that is held needs no engine of its own.
        num_starts, (held,) = len(puppet.starts), live.workers.held
        live.source.ask({held: [query for query in range(12) if (held, query) not in live.cells]})
        assert len(puppet.starts) == num_starts
        assert live.status_of(held)[0] == ModelStatus.OK
    assert search.decision_digest == expected.decision_digest
    assert search.ranking() == expected.ranking()
    assert (search.answers == expected.answers).all()
    # After the failed check every model has an engine of its own.
    first = next(number for number, held in enumerate(puppet.starts) if "m2" in held)
    assert [len(held) for held in puppet.starts[first + 1 :]] == [1] * (len(puppet.starts) - first - 1)
    assert len(puppet.starts[first]) > 1


def test_a_model_that_is_held_already_is_no_swap_and_not_checked_again(store):
    puppet = Swapping()
    with ground(store, [puppet], canary_every=3) as live:
        live.source.ask({"m0": [0], "m1": [0]})
        for query in range(9):
            live.source.ask({"m2": [query]})
        assert checks_of(live) == [("m1", True, ())]
        live.source.ask({"m3": [0]})
    # m1 is the first swap, m3 the third.
    assert [model for model, _, _ in checks_of(live)] == ["m1", "m3"]
    assert puppet.starts == [["m0", "m1"], ["m1", "m2", "m3"], ["m3"]]


def test_a_model_that_a_fresh_engine_cannot_load_is_not_taken_to_be_held(store):
    class Picky(Swapping):
        def load(self, checkpoint):
            super().load(checkpoint)
            if checkpoint.model == "m1" and self.is_fresh:
                raise EvaluatorFailure(ModelStatus.WEIGHT_MISMATCH, "a tensor is missing")

    with ground(store, [Picky()], four_models()[:2], canary_every=2) as live:
        with pytest.raises(AnswersTakenBackError):
            live.run("uniform")
        search = live.run("uniform")
        assert live.status_of("m1") == (ModelStatus.WEIGHT_MISMATCH, "a tensor is missing")
    assert search.failed == {1}


def test_one_query_that_nobody_can_be_graded_on_does_not_end_a_search(store):
    with ground(store, [Puppet()]) as live:
        first = live.search("ucb_e", sampling="shared").order(0)[0]
    rows = MATRIX.copy()
    rows[:, first] = -1
    with ground(store.with_name("again.zarr"), [Puppet()], rows) as live:
        assert not live.run("ucb_e", sampling="shared").failed
