"""Recording with an evaluator whose every move is set: what is asked, what is committed, what becomes of failures."""

import threading
from pathlib import Path

import numpy as np
import pytest
from tiny_suite import Puppet, TinySuite

from gembench.data.outcomes import Outcome
from gembench.data.recording import Recording
from gembench.data.status import ModelStatus
from gembench.data.tensor import open_tensor
from gembench.errors import TensorError, UsageError
from gembench.evaluate.evaluator import Answer, Checkpoint, EvaluatorFailure, EvaluatorLost
from gembench.live.events import CellsCommitted, ModelEnded, WorkerLost
from gembench.live.record import record
from gembench.live.row import Candidate
from gembench.live.workers import WorkersLostError

CRASH = EvaluatorFailure(ModelStatus.ENGINE_CRASHED, "it crashed")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "out.zarr"


def fetch(rows, released=None, **changes):
    for row in rows:
        release = (lambda model=row.id: released.append(model)) if released is not None else (lambda: None)
        yield Candidate(
            row.id, Checkpoint(row.id, Path(row.id)), fingerprint={"weights": row.id}, release=release, **changes
        )


def run(store, models, evaluators, suite=None, **options):
    suite = suite or TinySuite()
    with Recording(store) as recording:
        journal = recording.journal
        journal.agree_on({"suite": dict(suite.settings)})
        journal.add_queries((query.id, {"task": query.task}) for query in suite.queries)
        journal.add_models((model, {}) for model in models)
        return record(models, options.pop("fetch", fetch), suite, evaluators, recording, **options)


def statuses(store):
    return dict(zip(open_tensor(store)["model"].values, open_tensor(store)["model_status"].values, strict=True))


def test_every_model_answers_every_query_and_the_grades_are_right(store):
    suite = TinySuite(9)

    class Wrong(Puppet):
        def answer(self, requests):
            for position, answer in super().answer(requests):
                is_generated = answer.log_likelihood is None
                yield position, Answer(text="0", prompt_tokens=3) if self.loaded[-1] == "b" and is_generated else answer

    run(store, ["a", "b"], [Wrong()], suite)
    tensor = open_tensor(store)
    assert tensor["correct"].values.tolist() == [[1] * 9, [0, 1] * 4 + [0]]
    assert (tensor["outcome"].values == Outcome.ANSWERED).all()
    assert (tensor["seconds"].values > 0).all()
    assert tensor["prompt_tokens"].values[0].tolist() == [3, 12] * 4 + [3]
    assert tensor["completion_tokens"].values[0].tolist() == [1, 0] * 4 + [1]
    assert (tensor["load_seconds"].values > 0).all()
    assert statuses(store) == {"a": "ok", "b": "ok"}


def test_the_seconds_of_a_model_add_up_to_the_time_that_it_took(store):
    events = []
    run(store, ["a"], [Puppet(seconds_per_answer=0.005)], commit_every=3, on_event=events.append)
    (ended,) = (event for event in events if isinstance(event, ModelEnded))
    total = open_tensor(store)["seconds"].values.sum()
    assert 20 * 0.005 <= total <= ended.seconds


def test_what_does_not_fit_or_cannot_be_graded_is_missing_and_never_wrong(store):
    class Odd(Puppet):
        def answer(self, requests):
            for position, answer in super().answer(requests):
                prompt = getattr(requests[position], "prompt", None) or requests[position].context
                if prompt == "3 + 4 =":
                    answer = Answer(is_too_long=True)
                elif prompt == "4 + 5 =":
                    answer = Answer(text="ungradable")
                yield position, answer

    run(store, ["a"], [Odd()])
    tensor = open_tensor(store)
    expected = [Outcome.ANSWERED] * 3 + [Outcome.TRUNCATED, Outcome.UNGRADED] + [Outcome.ANSWERED] * 5
    assert tensor["outcome"].values.tolist() == [expected]
    assert tensor["correct"].values.tolist() == [[1, 1, 1, -1, -1, 1, 1, 1, 1, 1]]
    assert np.isnan(tensor["score"].values[0, 3:5]).all()


def test_a_failing_model_keeps_what_it_answered_and_the_others_go_on(store):
    released = []
    puppet = Puppet(
        fail_after={"a": (7, CRASH)},
        fail_to_load={"b": EvaluatorFailure(ModelStatus.WEIGHT_MISMATCH, "b: a tensor is missing")},
    )

    def fetch_three(rows):
        yield from fetch([row for row in rows if row.id != "gone"], released)
        yield Candidate("gone", EvaluatorFailure(ModelStatus.NOT_FOUND, "no such repository"))

    run(store, ["a", "b", "c", "gone"], [puppet], fetch=fetch_three, commit_every=2)
    tensor = open_tensor(store)
    # Backwards, 7 answers are the three choices of 9, the one of 8 and the three of 7.
    assert tensor["correct"].values.tolist() == [[-1] * 7 + [1] * 3, [-1] * 10, [1] * 10, [-1] * 10]
    assert statuses(store) == {"a": "engine_crashed", "b": "weight_mismatch", "c": "ok", "gone": "not_found"}
    assert tensor["model_message"].values.tolist() == ["it crashed", "a tensor is missing", "", "no such repository"]
    assert released == ["a", "b", "c"]


def test_the_same_command_again_asks_nothing_twice(store):
    first = Puppet(fail_after={"b": (4, KeyboardInterrupt())})
    with pytest.raises(KeyboardInterrupt):
        run(store, ["a", "b", "c"], [first], commit_every=2)
    assert statuses(store) == {"a": "ok", "b": "pending", "c": "pending"}
    second = Puppet()
    digest = run(store, ["a", "b", "c"], [second], commit_every=2)
    assert second.loaded == ["b", "c"]
    # Backwards, 4 answers are all of the queries 9 and 8, committed; 2 queries have 3 requests or 1.
    assert sum(model == "b" for model, _ in second.asked) == 20 - 4
    assert digest == run(store.with_name("other.zarr"), ["a", "b", "c"], [Puppet()])
    assert run(store, ["a", "b", "c"], [third := Puppet()]) == digest
    assert third.loaded == []


def test_a_lost_worker_leaves_its_model_to_another(store):
    events = []
    lost = Puppet(fail_after={model: (3, EvaluatorLost("node 7 is gone")) for model in "abcd"})
    run(store, "abcd", [lost, Puppet()], on_event=events.append, commit_every=1)
    assert set(statuses(store).values()) == {"ok"}
    assert (open_tensor(store)["correct"].values == 1).all()


def test_when_all_workers_are_lost_it_says_so_and_keeps_what_was_paid(store):
    lost = Puppet(fail_after={model: (3, EvaluatorLost("gone")) for model in "abc"})
    with pytest.raises(WorkersLostError, match="give the same command again"):
        run(store, "abc", [lost], commit_every=1)
    assert statuses(store) == dict.fromkeys("abc", "pending")
    assert (open_tensor(store)["correct"].values >= 0).sum() == 2  # One query of a, one of b, and then it is given up.


def test_a_model_that_workers_die_of_is_given_up(store):
    class DiesOfA(Puppet):
        def load(self, checkpoint):
            super().load(checkpoint)
            if checkpoint.model == "a":
                raise EvaluatorLost("the node is gone")

    events = []
    run(store, "ab", [DiesOfA()], on_event=events.append)
    assert statuses(store) == {"a": "engine_crashed", "b": "ok"}
    assert sum(isinstance(event, WorkerLost) for event in events) == 2


def test_two_workers_never_have_one_model_at_once(store):
    at_work, lock = set(), threading.Lock()

    class Careful(Puppet):
        def answer(self, requests):
            model = self.loaded[-1]
            with lock:
                assert model not in at_work
                at_work.add(model)
            yield from super().answer(requests)
            with lock:
                at_work.remove(model)

    workers = [Careful(seconds_per_answer=0.001) for _ in range(4)]
    models = [f"m{number}" for number in range(12)]
    run(store, models, workers)
    assert sorted(model for worker in workers for model in worker.loaded) == sorted(models)
    assert set(statuses(store).values()) == {"ok"}


def test_cells_are_committed_in_batches_as_they_complete(store):
    events = []
    run(store, ["a"], [Puppet()], commit_every=4, on_event=events.append)
    assert [event.num_cells for event in events if isinstance(event, CellsCommitted)] == [4, 4, 2]


def test_a_disk_that_takes_no_more_ends_the_recording_with_its_error(store, monkeypatch):
    from gembench.data.journal import Journal

    def full(*args):
        raise TensorError("disk is full")

    monkeypatch.setattr(Journal, "commit", full)
    puppet = Puppet()
    with pytest.raises(TensorError, match="disk is full"):
        run(store, ["a", "b"], [puppet])
    assert puppet.is_closed
    assert puppet.loaded == ["a"]


def test_another_model_of_the_same_name_is_refused(store):
    run(store, ["a"], [Puppet(fail_after={"a": (5, CRASH)})])

    def fetch_other(rows):
        for row in rows:
            yield Candidate(row.id, Checkpoint(row.id, Path(row.id)), fingerprint={"weights": "other"})

    with Recording(store) as recording:
        recording.journal.end("a", ModelStatus.PENDING)
    with pytest.raises(UsageError, match="weights was a and is other now"):
        run(store, ["a"], [Puppet()], fetch=fetch_other)
