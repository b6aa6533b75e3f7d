"""Canaries at work: a swap that changes answers is found, and no row that it may have spoilt is kept."""

from pathlib import Path

from tiny_suite import Swapping, TinySuite

from gembench.data.recording import Recording
from gembench.data.status import ModelStatus
from gembench.data.tensor import open_tensor
from gembench.evaluate.evaluator import Checkpoint, EvaluatorFailure
from gembench.live.events import CanaryAsked
from gembench.live.record import record
from gembench.live.row import Candidate


def run(store, models, evaluator, *, canary_every=3, architecture_of=lambda model: "llama"):
    suite = TinySuite()
    events = []

    def fetch(rows):
        for row in rows:
            yield Candidate(row.id, Checkpoint(row.id, Path(row.id)), architecture=architecture_of(row.id))

    with Recording(store) as recording:
        recording.journal.agree_on({"suite": dict(suite.settings)})
        recording.journal.add_queries((query.id, {"task": query.task}) for query in suite.queries)
        recording.journal.add_models((model, {}) for model in models)
        record(models, fetch, suite, [evaluator], recording, canary_every=canary_every, on_event=events.append)
    return [event for event in events if isinstance(event, CanaryAsked)]


def test_the_first_swap_and_every_third_are_checked_by_a_fresh_engine_that_stays(tmp_path):
    evaluator = Swapping()
    checks = run(tmp_path / "o.zarr", list("abcdefgh"), evaluator)
    assert [(check.model, check.agrees) for check in checks] == [("b", True), ("d", True), ("g", True)]
    assert evaluator.starts == [["a", "b"], ["b", "c", "d"], ["d", "e", "f", "g"], ["g", "h"]]
    assert (open_tensor(tmp_path / "o.zarr")["correct"].values == 1).all()


def test_rows_since_the_last_agreement_are_recorded_again_without_swaps(tmp_path):
    evaluator = Swapping(stale_from="c")
    checks = run(tmp_path / "o.zarr", list("abcdef"), evaluator, canary_every=4)
    # Swapped in: b (checked, agrees), c, d, e (the fourth: checked, and the engine that held c is stale).
    assert [(check.model, check.agrees, check.again) for check in checks] == [
        ("b", True, ()),
        ("e", False, ("c", "d", "e")),
    ]
    assert checks[-1].num_cells == 30
    assert evaluator.starts[-4:] == [["f"], ["c"], ["d"], ["e"]]
    tensor = open_tensor(tmp_path / "o.zarr")
    assert (tensor["correct"].values == 1).all()
    assert set(tensor["model_status"].values) == {"ok"}


def test_a_fresh_engine_that_cannot_load_the_model_is_no_agreement(tmp_path):
    class Picky(Swapping):
        def load(self, checkpoint):
            super().load(checkpoint)
            if checkpoint.model == "b" and self.is_fresh:
                raise EvaluatorFailure(ModelStatus.WEIGHT_MISMATCH, "a tensor is missing")

    checks = run(tmp_path / "o.zarr", ["a", "b", "c"], Picky())
    assert [(check.model, check.agrees) for check in checks] == [("b", False)]
    tensor = open_tensor(tmp_path / "o.zarr")
    assert tensor["model_status"].values.tolist() == ["ok", "weight_mismatch", "ok"]
    assert (tensor["correct"].values[1] == -1).all()


def test_each_architecture_has_checks_of_its_own(tmp_path):
    checks = run(tmp_path / "o.zarr", ["l1", "l2", "q1", "q2"], Swapping(), architecture_of=lambda model: model[0])
    # The engine of the puppet takes any architecture, so that q1 is a swap too.
    assert [check.model for check in checks] == ["l2", "q1"]


def test_without_checks_nothing_is_asked_again(tmp_path):
    evaluator = Swapping()
    assert run(tmp_path / "o.zarr", list("abc"), evaluator, canary_every=None) == []
    assert evaluator.starts == [["a", "b", "c"]]
    assert len(evaluator.asked) == 3 * 20
