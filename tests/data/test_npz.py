"""Reading `.npz` tensors: what is read, and that nothing doubtful is."""

import io
import re

import fsspec
import numpy as np
import pytest

from gembench.data.tensor import open_tensor
from gembench.errors import CorruptTensorError, GembenchError, SchemaError, TensorNotFoundError

ARRAYS = {
    "correct": np.array([[1, 0, 255], [0, 0, 1]], np.uint8),
    "models": np.array(["m/a", "m/b"]),
    "queries": np.array(["x", "y", "z"]),
}


def saved(folder, **changes):
    path = folder / "tensor.npz"
    np.savez_compressed(path, **{name: array for name, array in {**ARRAYS, **changes}.items() if array is not None})
    return path


@pytest.mark.parametrize("correct", [ARRAYS["correct"], np.array([[1, 0, -1], [0, 0, 1]], np.int8)])
def test_right_wrong_and_missing_are_read_signed_and_unsigned(tmp_path, correct):
    tensor = open_tensor(saved(tmp_path, correct=correct))
    assert tensor["correct"].dtype == np.int8
    assert tensor["correct"].values.tolist() == [[1, 0, -1], [0, 0, 1]]
    assert tensor["outcome"].values.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert tensor["model"].values.tolist() == ["m/a", "m/b"]
    assert "task" not in tensor.variables
    assert "score" not in tensor


def test_booleans_tasks_and_half_precision_scores_are_read(tmp_path):
    correct = np.array([[True, False, True]])
    score = np.array([[0.5, 0.0, 1.0]], np.float16)
    path = saved(tmp_path, correct=correct, models=np.array(["m"]), task=np.array(["t", "t", "u"]), score=score)
    tensor = open_tensor(str(path))
    assert tensor["correct"].values.tolist() == [[1, 0, 1]]
    assert tensor["score"].dtype == np.float32
    assert tensor["score"].values.tolist() == [[0.5, 0.0, 1.0]]
    assert tensor["task"].values.tolist() == ["t", "t", "u"]


def test_the_score_of_a_cell_never_answered_is_no_score(tmp_path):
    tensor = open_tensor(saved(tmp_path, score=np.zeros((2, 3), np.float16)))
    assert np.isnan(tensor["score"].values).tolist() == [[False, False, True], [False, False, False]]


def test_an_npz_is_read_from_a_url():
    stored = io.BytesIO()
    np.savez(stored, **ARRAYS)
    with fsspec.open("memory://npz-test/tensor.npz", "wb") as file:
        file.write(stored.getvalue())
    assert open_tensor("memory://npz-test/tensor.npz").sizes == {"model": 2, "query": 3}


def test_pickled_objects_are_refused_and_never_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return pytest.fail, ("a pickle was loaded",)

    models = np.array([Bomb(), Bomb()], object)
    with pytest.raises(SchemaError, match="'models' holds pickled objects"):
        open_tensor(saved(tmp_path, models=models))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"correct": None}, "no array 'correct'"),
        ({"models": None}, "no array 'models'"),
        ({"queries": None}, "no array 'queries'"),
        ({"correct": np.zeros(3, np.uint8)}, "'correct' has 1 dimensions"),
        ({"correct": np.zeros((3, 2), np.uint8)}, "'correct' has the shape (3, 2)"),
        ({"correct": np.full((2, 3), 2, np.uint8)}, "'correct' is 2 at [0, 0]"),
        ({"correct": np.full((2, 3), 256, np.int64)}, "'correct' is 256 at [0, 0]"),
        ({"correct": np.zeros((2, 3), np.float32)}, "'correct' is of type float32"),
        ({"models": np.array([1, 2])}, "'models' is of type int64"),
        ({"models": np.array(["a", "a"])}, "'a' occurs 2 times"),
        ({"models": np.array(["a", ""])}, "model 1 has the id ''"),
        ({"task": np.array(["t"])}, "'task' has the shape (1,)"),
        ({"score": np.zeros((2, 2), np.float16)}, "'score' has the shape (2, 2)"),
        ({"score": np.zeros((2, 3), np.int8)}, "'score' is of type int8"),
        ({"score": np.full((2, 3), np.nan, np.float16)}, "'score' is nan for model 'm/a', query 'x'"),
        ({"score": np.full((2, 3), 1.5, np.float16)}, "'score' is 1.5"),
        ({"correct": np.zeros((0, 3), np.uint8), "models": np.array([], "<U1")}, "no model at all"),
    ],
)
def test_what_is_no_tensor_is_refused_in_one_line_that_names_the_file(tmp_path, changes, said):
    path = saved(tmp_path, **changes)
    with pytest.raises(SchemaError, match=re.escape(said)) as caught:
        open_tensor(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path):
    with pytest.raises(TensorNotFoundError, match=r"nowhere\.npz") as caught:
        open_tensor(tmp_path / "nowhere.npz")
    assert caught.value.exit_code == 2


def test_a_file_that_is_no_zip_is_corrupt(tmp_path):
    path = tmp_path / "tensor.npz"
    np.save(tmp_path / "array.npy", ARRAYS["correct"])
    for content in (b"", b"PK\x03\x04", (tmp_path / "array.npy").read_bytes(), saved(tmp_path).read_bytes()[:200]):
        path.write_bytes(content)
        with pytest.raises(CorruptTensorError, match=r"not an \.npz file, or cut short"):
            open_tensor(path)


def test_one_damaged_byte_anywhere_is_noticed_or_harmless(tmp_path):
    path = saved(tmp_path)
    content = path.read_bytes()
    expected = open_tensor(path)
    for position in range(len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
        try:
            found = open_tensor(path)
        except GembenchError:
            continue
        assert found.identical(expected)
