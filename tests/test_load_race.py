"""From a tensor to a race: where its costs come from, and that damage is noticed before anything is replayed."""

import numpy as np
import pytest

from gembench.data.digest import content_digest
from gembench.data.embedded import load_embedded
from gembench.data.schema import make_tensor
from gembench.data.tensor import write_tensor
from gembench.errors import CorruptTensorError
from gembench.load_race import load_race


def small_tensor():
    correct = np.random.default_rng(0).integers(0, 2, (3, 8)).astype(np.int8)
    return make_tensor(correct, [f"m{row}" for row in range(3)], [f"q{column}" for column in range(8)])


def test_an_embedded_tree_races_at_the_costs_that_it_states():
    loaded, tensor = load_race("mistral-7b"), load_embedded("mistral-7b")
    assert loaded.cost_source == "stated"
    np.testing.assert_array_equal(loaded.race.query_seconds, tensor["query_seconds"].values.astype(np.float64))
    np.testing.assert_array_equal(loaded.race.load_seconds, tensor["load_seconds"].values.astype(np.float64))


def test_a_tensor_that_lost_a_chunk_is_not_raced(tmp_path):
    store = tmp_path / "tensor.zarr"
    write_tensor(small_tensor(), store)
    assert load_race(str(store)).digest == content_digest(small_tensor())
    # Zarr reads a lost chunk as its fill value, which is a valid tensor: only the digest can tell.
    for name in ("correct", "outcome"):
        for chunk in (store / name / "c").rglob("*"):
            if chunk.is_file():
                chunk.unlink()
                break
    with pytest.raises(CorruptTensorError, match="a chunk was lost or changed"):
        load_race(str(store), min_coverage=0)


def test_a_tensor_without_a_digest_is_raced_and_given_one(tmp_path):
    store = tmp_path / "tensor.zarr"
    small_tensor().to_zarr(store, consolidated=False)
    assert load_race(str(store)).digest == content_digest(small_tensor())
