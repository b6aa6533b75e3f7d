"""The complete part: what is left out, that missing never counts as wrong, and what is said when nothing is left."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensor_examples import tensors

from gembench.data import cells
from gembench.data.coverage import complete_part
from gembench.data.schema import make_tensor
from gembench.errors import NothingLeftError, SchemaError, UsageError


def tensor_of(rows, **variables):
    correct = np.array(rows, np.int8)
    models = [f"m{row}" for row in range(correct.shape[0])]
    queries = [f"q{column}" for column in range(correct.shape[1])]
    return make_tensor(correct, models, queries, variables=variables)


GAPPED = [
    [1, 1, 0, 1],
    [-1, -1, -1, 1],
    [0, 1, 1, -1],
    [1, 0, -1, -1],
]


def test_models_under_the_least_coverage_go_first_and_then_the_queries_that_any_other_missed():
    part = complete_part(tensor_of(GAPPED), min_coverage=0.5)
    assert part.models == ("m0", "m2", "m3")
    assert part.left_out_models == ("m1",)
    assert part.queries == ("q0", "q1")
    assert part.num_left_out_queries == 2
    assert part.correct.tolist() == [[1, 1], [0, 1], [1, 0]]
    assert part.accuracy.tolist() == [1.0, 0.5, 0.5]
    assert part.load_seconds is None
    assert part.query_seconds is None


def test_a_model_at_the_least_coverage_stays():
    assert complete_part(tensor_of(GAPPED), min_coverage=0.75).models == ("m0", "m2")
    assert complete_part(tensor_of(GAPPED), min_coverage=0.5).models == ("m0", "m2", "m3")


def test_a_complete_tensor_is_kept_whole_and_contiguous():
    correct = np.random.default_rng(0).integers(0, 2, (20, 30)).astype(np.int8)
    part = complete_part(tensor_of(correct))
    np.testing.assert_array_equal(part.correct, correct)
    assert part.correct.dtype == np.uint8
    assert part.correct.flags.c_contiguous
    assert part.left_out_models == ()
    assert part.num_left_out_queries == 0


@settings(max_examples=100)
@given(tensors(), st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.integers(1, 12))
def test_the_part_is_what_a_slow_loop_finds_whatever_the_blocks(tensor, min_coverage, num_cells):
    correct = tensor["correct"].values.tolist()
    models = [m for m, row in enumerate(correct) if sum(cell >= 0 for cell in row) / len(row) >= min_coverage]
    queries = [q for q in range(len(correct[0])) if all(correct[m][q] >= 0 for m in models)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "CELLS_PER_BLOCK", num_cells)
        if len(models) < 2 or not queries:
            with pytest.raises(NothingLeftError):
                complete_part(tensor, min_coverage=min_coverage)
            return
        part = complete_part(tensor, min_coverage=min_coverage)
    assert part.correct.tolist() == [[correct[m][q] for q in queries] for m in models]
    assert list(part.models) == [tensor["model"].values[m] for m in models]
    assert list(part.queries) == [tensor["query"].values[q] for q in queries]
    assert len(part.models) + len(part.left_out_models) == len(correct)
    assert len(part.queries) + part.num_left_out_queries == len(correct[0])


@pytest.mark.parametrize("num_cells", [4, 8, 1000])
def test_seconds_are_means_over_the_kept_queries_that_have_them(monkeypatch, num_cells):
    monkeypatch.setattr(cells, "CELLS_PER_BLOCK", num_cells)
    seconds = np.array([[1, 3, 50, 50], [np.nan] * 4, [2, np.nan, 50, 50], [5, 6, 50, 50]], np.float32)
    part = complete_part(tensor_of(GAPPED, seconds=seconds, load_seconds=np.array([7.0, np.nan, 8.0, 9.0])))
    assert part.query_seconds.tolist() == [2.0, 2.0, 5.5]
    assert part.load_seconds.tolist() == [7.0, 8.0, 9.0]
    assert part.query_seconds.dtype == part.load_seconds.dtype == np.float64


def test_seconds_that_are_unknown_for_a_kept_model_are_not_made_up():
    seconds = np.ones((4, 4), np.float32)
    seconds[2] = np.nan
    part = complete_part(tensor_of(GAPPED, seconds=seconds, load_seconds=np.array([7.0, 1.0, np.nan, 9.0])))
    assert part.query_seconds is None
    assert part.load_seconds is None


def test_models_without_timed_cells_take_the_seconds_a_query_that_the_tensor_states():
    seconds = np.array([[1, 3, 50, 50], [1] * 4, [np.nan] * 4, [5, 6, 50, 50]], np.float32)
    stated = np.array([7, 8, 0.25, np.nan], np.float32)
    part = complete_part(tensor_of(GAPPED, seconds=seconds, query_seconds=stated))
    assert part.models == ("m0", "m2", "m3")
    assert part.query_seconds.tolist() == [2.0, 0.25, 5.5]
    assert complete_part(tensor_of(GAPPED, query_seconds=stated)).query_seconds is None
    part = complete_part(tensor_of(GAPPED, query_seconds=np.array([7, 8, 0.25, 9], np.float32)))
    assert part.query_seconds.tolist() == [7.0, 0.25, 9.0]


@pytest.mark.parametrize("wrong", [-1.0, np.inf])
def test_seconds_that_cannot_be_are_refused_with_their_model(wrong):
    with pytest.raises(SchemaError, match=r"'load_seconds' is .* for model 'm2'"):
        complete_part(tensor_of(GAPPED, load_seconds=np.array([7.0, 1.0, wrong, 9.0])))
    with pytest.raises(SchemaError, match=r"'query_seconds' is .* for model 'm2'"):
        complete_part(tensor_of(GAPPED, query_seconds=np.array([7, 1, wrong, 9], np.float32)))
    seconds = np.ones((4, 4))
    seconds[3, 0] = wrong
    with pytest.raises(SchemaError, match=r"'seconds' is .* for model 'm3'"):
        complete_part(tensor_of(GAPPED, seconds=seconds))


def test_too_few_models_says_how_many_and_which_coverage_would_do():
    rows = [[1, 1, 1, 1], [1, -1, -1, -1], [-1, -1, -1, -1]]
    with pytest.raises(
        NothingLeftError, match=r"1 of 3 models answered at least 50% of the 4 queries.* to 0\.25"
    ) as err:
        complete_part(tensor_of(rows))
    assert "\n" not in str(err.value)
    assert complete_part(tensor_of(rows), min_coverage=0.25).correct.tolist() == [[1], [1]]


def test_one_model_alone_is_no_race():
    with pytest.raises(NothingLeftError, match=r"1 of 1 models.*needs 2"):
        complete_part(tensor_of([[1, 0]]))


def test_when_a_few_models_spoil_every_query_the_coverage_that_keeps_most_is_suggested():
    rows = [[1, 1, 1, 1, 0], [0, 1, 0, 1, 1], [1, 0, 0, 0, -1], [-1, -1, 1, 1, 1], [1, 1, -1, -1, -1]]
    with pytest.raises(NothingLeftError, match=r"none of the 5 queries .* 5 remaining.*0 to 3.*3 models x 4") as err:
        complete_part(tensor_of(rows), min_coverage=0.4)
    assert "to 0.8" in str(err.value)
    assert complete_part(tensor_of(rows), min_coverage=0.8).correct.shape == (3, 4)


def test_when_each_model_misses_a_different_query_no_coverage_is_suggested():
    rows = 1 - 2 * np.eye(8, dtype=np.int8)
    with pytest.raises(NothingLeftError, match=r"8 remaining models \(each misses 1 to 1 .*by hand") as err:
        complete_part(tensor_of(rows))
    assert "raise" not in str(err.value)


@pytest.mark.parametrize("min_coverage", [-0.1, 1.1, float("nan")])
def test_a_least_coverage_that_is_no_share_is_a_usage_error(min_coverage):
    with pytest.raises(UsageError, match=r"\[0, 1\]"):
        complete_part(tensor_of(GAPPED), min_coverage=min_coverage)
