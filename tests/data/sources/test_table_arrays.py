"""NumPy files as tables."""

import re

import numpy as np
import pytest
from spoiled import read_all

from gembench.data.sources import table
from gembench.data.sources.source import Choice
from gembench.errors import SourceError


def test_an_npz_is_read_as_gembench_reads_it(tmp_path):
    correct = np.array([[1, 0, 255], [0, 0, 1]], np.uint8)
    arrays = {"correct": correct, "models": np.array(["m/a", "m/b"]), "queries": np.array(["x", "y", "z"])}
    np.savez(tmp_path / "t.npz", **arrays, task=np.array(["t", "t", "u"]))
    first, second = read_all(table, tmp_path / "t.npz")
    assert (first.identity, list(first.queries), list(first.tasks)) == (
        {"model": "m/a"},
        ["x", "y", "z"],
        ["t", "t", "u"],
    )
    np.testing.assert_array_equal(first.score, [1, 0, np.nan])
    assert first.correct is None
    assert second.score.tolist() == [0, 0, 1]
    score = np.array([[0.2, 0.9, 0], [0, 0, 0.6]], np.float32)
    outcome = np.array([[1, 1, 4], [1, 1, 1]], np.uint8)
    np.savez(tmp_path / "t.npz", **arrays, score=score, outcome=outcome)
    first, _ = read_all(table, tmp_path / "t.npz")
    assert first.correct[:2].tolist() == [1, 0]
    np.testing.assert_array_equal(first.score, np.array([0.2, 0.9, np.nan], np.float32))
    assert first.outcome.tolist() == [1, 1, 4]
    with pytest.raises(SourceError, match="NumPy files have no columns, metrics or filters"):
        read_all(table, tmp_path / "t.npz", choice=Choice(metric="acc"))


@pytest.mark.parametrize("dtype", [np.int8, np.float64, bool])
def test_an_npy_is_a_matrix_whose_rows_and_columns_are_numbered(tmp_path, dtype):
    stored = np.array([[1, 0], [0, 1]], dtype)
    missing = {np.int8: -1, np.float64: np.nan, bool: False}[dtype]
    stored[0, 1] = missing
    np.save(tmp_path / "runs.npy", stored)
    first, second = read_all(table, tmp_path / "runs.npy")
    assert (first.identity, second.identity) == ({"model": "runs/0"}, {"model": "runs/1"})
    assert list(first.queries) == ["0", "1"]
    np.testing.assert_array_equal(first.score, [1, 0 if dtype is bool else np.nan])
    assert second.score.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3), "of type float64 and shape (3,)"),
        (np.zeros((0, 3)), "shape (0, 3)"),
        (np.array([["a"]]), "of type <U1"),
        (np.array([[0.5, 40.0]]), "40 at [0, 1] is not in [0, 1]; divide percentages by 100"),
        (np.array([[0.5, -1.0]]), "-1 at [0, 1] is not in [0, 1]; save NaN"),
        (np.array([[np.inf]]), "inf at [0, 0] is not in [0, 1]"),
    ],
)
def test_an_npy_of_anything_else_is_refused(tmp_path, array, message):
    np.save(tmp_path / "t.npy", array)
    with pytest.raises(SourceError, match=re.escape(message)):
        read_all(table, tmp_path / "t.npy")
