"""Logs are added to a tensor."""

import random

import numpy as np
import pytest
from fake_format import reads, write_log
from fake_imports import A, run, values
from tensor_examples import full_tensor

from gembench.data.recording import JOURNAL_SUFFIX
from gembench.data.schema import make_tensor
from gembench.data.tensor import open_tensor, write_tensor
from gembench.errors import SourceError, TensorExistsError, TensorNotFoundError, UsageError

pytestmark = pytest.mark.usefixtures("fake_catalog")


def test_appending_logs_gives_what_importing_all_at_once_gives(logs, store, tmp_path):
    rng = random.Random(1)
    for model in range(4):
        rows = [[f"t/{query}", rng.choice([0, 0.5, 1])] for query in range(model, model + 5)]
        write_log(logs / f"{model}.json", {"identity": {"model": f"org/{3 - model}"}, "rows": rows})
    once = run(logs, tmp_path / "once.zarr")
    run([logs / "2.json"], store)
    run([logs / "0.json", logs / "3.json"], store, append=True)
    last = run([logs / "1.json"], store, append=True)
    assert last.content_digest == once.content_digest
    assert len(open_tensor(store).attrs["imports"]) == 3


def test_appending_keeps_all_else_that_the_tensor_holds(logs, store):
    before = full_tensor().isel(model=[3, 1, 0, 2, 5, 4]).assign(temperature=("model", np.arange(6.0)), note=((), 3))
    before["model_status"] = ("model", np.asarray(["ok"] * 6, object))
    write_tensor(before, store)
    write_log(logs / "a.json", {**A, "rows": [["arc/0", 1], ["t/new", 0]]})
    run(logs, store, append=True)
    after = open_tensor(store)
    assert after.sizes == {"model": 7, "query": 6}
    old = after.sel(model=before["model"].values, query=before["query"].values)
    for name in before.variables:
        np.testing.assert_array_equal(old[name].values.astype(before[name].dtype), before[name].values, str(name))
    new = after.sel(model="org/a")
    assert new["correct"].sel(query=["arc/0", "arc/1", "t/new"]).values.tolist() == [1, -1, 0]
    assert (str(new["model_status"].values), str(new["parent"].values)) == ("ok", "")
    assert np.isnan(new["downloads"])
    assert after.attrs["suite"] == "tests"


@pytest.mark.parametrize(("kept", "expected"), [("first", 1), ("last", 0)])
def test_a_tensor_that_is_added_to_counts_as_the_first(logs, store, kept, expected):
    write_tensor(make_tensor(np.array([[1]], np.int8), ["org/a"], ["t/1"], tasks=["t"]), store)
    write_log(logs / "a.json", {**A, "rows": [["t/1", 0]]})
    with pytest.raises(SourceError, match="org/a: the tensor and"):
        run(logs, store, append=True)
    assert values(store) == {"org/a": {"t/1": 1}}
    run(logs, store, append=True, on_conflict=kept)
    assert values(store) == {"org/a": {"t/1": expected}}


def test_appending_the_same_logs_again_changes_nothing(logs, store):
    write_log(logs / "a.json", {**A, "rows": [["t/1", 1 / 3], ["t/2", 1]]})  # a third is rounded to float32
    first = run(logs, store)
    again = run(logs, store, append=True)
    assert (again.content_digest, again.conflicts) == (first.content_digest, [])


def test_there_must_be_something_to_append_to_and_nothing_else_is_overwritten_unasked(logs, store):
    write_log(logs / "a.json", {**A, "rows": [["t/1", 1]]})
    with pytest.raises(TensorNotFoundError):
        run(logs, store, append=True)
    run(logs, store)
    (logs / "reads.txt").unlink()
    with pytest.raises(TensorExistsError):
        run(logs, store)
    assert reads(logs) == []  # it is said before anything is read
    run(logs, store, overwrite=True)


def test_a_recording_is_not_appended_to(logs, store):
    write_log(logs / "a.json", {**A, "rows": [["t/1", 1]]})
    run(logs, store)
    store.with_name(store.name + JOURNAL_SUFFIX).touch()
    with pytest.raises(UsageError, match="a recording writes this tensor anew"):
        run(logs, store, append=True)


def test_a_store_whose_folder_is_missing_is_refused_before_anything_is_read(logs, tmp_path):
    write_log(logs / "a.json", {**A, "rows": [["t/1", 1]]})
    with pytest.raises(UsageError, match="make it first"):
        run(logs, tmp_path / "nowhere" / "out.zarr")
    assert reads(logs) == []
