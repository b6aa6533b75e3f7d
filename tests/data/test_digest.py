"""The digest: blind to how a tensor is written, and to nothing else."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensor_examples import full_tensor, tensors

from gembench.data import cells
from gembench.data.digest import content_digest, verify_digest
from gembench.data.outcomes import Outcome
from gembench.data.schema import make_tensor
from gembench.data.tensor import open_tensor, write_tensor
from gembench.errors import CorruptTensorError, SchemaError


def test_the_digest_is_what_its_definition_gives_by_hand():
    tensor = make_tensor(np.array([[1, -1], [0, 1]], np.int8), ["b", "a"], ["y", "x"], tasks=["t", "u"])
    row_a, row_b = b"\x01\x00" + b"\x01\x01", b"\xff\x01" + b"\x00\x01"  # Columns x, y: correct, then outcome.

    def framed(text):
        return len(text).to_bytes(8, "little") + text

    content = b"gembench tensor content 1\n" + b"2 2 False True\n"
    content += framed(b"x") + framed(b"u") + framed(b"y") + framed(b"t")
    content += framed(b"a") + hashlib.sha256(row_a).digest() + framed(b"b") + hashlib.sha256(row_b).digest()
    assert content_digest(tensor) == "sha256:" + hashlib.sha256(content).hexdigest()


@settings(max_examples=50)
@given(tensors(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_columns_does_not_matter(tensor, random):
    rows, columns = list(range(tensor.sizes["model"])), list(range(tensor.sizes["query"]))
    random.shuffle(rows)
    random.shuffle(columns)
    assert content_digest(tensor.isel(model=rows, query=columns)) == content_digest(tensor)


@settings(max_examples=50)
@given(tensors(), st.data())
def test_any_one_changed_cell_changes_it(tensor, data):
    row = data.draw(st.integers(0, tensor.sizes["model"] - 1))
    column = data.draw(st.integers(0, tensor.sizes["query"] - 1))
    changed = tensor.copy(deep=True)
    correct = int(tensor["correct"][row, column])
    if correct >= 0:
        changed["correct"][row, column] = 1 - correct
    else:
        changed["outcome"][row, column] = Outcome.FAILED
    assert content_digest(changed) != content_digest(tensor)


def test_any_other_change_of_content_changes_it():
    tensor = full_tensor()
    others = [tensor.drop_vars("score"), tensor.drop_vars("task"), tensor.isel(model=slice(1, None))]
    for name in ("model", "query", "task"):
        changed = tensor[name].values.copy()
        changed[3] = changed[3] + "x"
        others.append(tensor.assign_coords({name: (tensor[name].dims, changed)}))
    rescored = tensor.copy(deep=True)
    rescored["score"][0, 0] = np.nextafter(rescored["score"][0, 0], np.float32(0))
    swapped = tensor.assign_coords(model=tensor["model"].values[[1, 0, 2, 3, 4, 5]])
    digests = {content_digest(other) for other in [tensor, rescored, swapped, *others]}
    assert len(digests) == 3 + len(others)


def test_zeros_and_missing_scores_have_one_form():
    tensor = make_tensor(
        np.array([[0, -1]], np.int8), ["m"], ["x", "y"], variables={"score": np.array([[0.0, np.nan]], np.float32)}
    )
    other = tensor.copy(deep=True)
    other["score"].values[:] = np.array([[0x80000000, 0xFFC00001]], np.uint32).view(np.float32)
    assert content_digest(other) == content_digest(tensor)


def test_chunking_and_blocks_do_not_matter(tmp_path, monkeypatch):
    tensor = full_tensor()
    expected = content_digest(tensor)
    tensor.to_zarr(tmp_path / "a.zarr", zarr_format=3, consolidated=False, encoding={"correct": {"chunks": (4, 2)}})
    for num_cells in (1, 10, 15, 1000):
        monkeypatch.setattr(cells, "CELLS_PER_BLOCK", num_cells)
        assert content_digest(tensor) == expected
        assert content_digest(open_tensor(tmp_path / "a.zarr")) == expected


def test_a_tensor_carries_its_digest_and_one_changed_cell_is_noticed(tmp_path):
    digest = write_tensor(full_tensor(), tmp_path / "t.zarr")
    opened = open_tensor(tmp_path / "t.zarr").load()
    assert verify_digest(opened) == digest
    opened["correct"][0, 0] = 0
    with pytest.raises(CorruptTensorError, match=digest):
        verify_digest(opened)


def test_a_tensor_without_a_digest_cannot_be_verified():
    with pytest.raises(SchemaError, match="'content_digest'"):
        verify_digest(full_tensor())
