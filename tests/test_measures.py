import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gembench.measures import measure, ranks_of
from gembench.runs import Runs


def make_runs(recommended):
    num_runs = len(recommended)
    return Runs(
        recommended=np.asarray(recommended, dtype=np.int32),
        pulls=np.full(num_runs, 10),
        model_loads=np.full(num_runs, 3),
        cost_seconds=np.full(num_runs, 1.5),
        best_pulls=np.full(num_runs, 2),
        best_correct=np.full(num_runs, 1),
        distinct_queries=np.full(num_runs, 2.0),
    )


def test_a_rank_is_one_more_than_the_number_of_strictly_more_accurate_models():
    assert ranks_of(np.array([0.5, 0.7, 0.7, 0.2])).tolist() == [3, 1, 1, 4]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=12))
def test_ranks_agree_with_counting_for_each_model_who_is_better(num_right):
    accuracy = np.array(num_right) / 6
    assert ranks_of(accuracy).tolist() == [1 + sum(other > own for other in num_right) for own in num_right]


def test_rank_accuracy_and_regret_are_those_of_the_first_recommendation_of_each_run():
    measures = measure(make_runs([[2, 0], [1, 2]]), np.array([0.5, 0.25, 0.75]))
    assert measures.rank.tolist() == [1, 3]
    assert measures.accuracy.tolist() == [0.75, 0.25]
    assert measures.simple_regret.tolist() == [0.0, 0.5]


def test_recall_is_the_share_of_the_first_k_recommendations_that_belong_to_the_true_top_k():
    accuracy = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    measures = measure(make_runs([[0, 1, 2], [2, 0, 4], [4, 3, 2]]), accuracy, top_k=(1, 2, 3))
    assert measures.recall[1].tolist() == [1, 0, 0]
    assert measures.recall[2].tolist() == [1, 0.5, 0]
    assert measures.recall[3].tolist() == pytest.approx([1, 2 / 3, 1 / 3])


def test_any_of_the_models_that_tie_for_best_counts_as_the_best():
    measures = measure(make_runs([[1], [2], [0]]), np.array([0.4, 0.8, 0.8]))
    assert measures.rank.tolist() == [1, 1, 3]
    assert measures.recall[1].tolist() == [1, 1, 0]


def test_all_models_that_tie_at_the_edge_of_the_top_k_belong_to_it():
    # Three models tie for second place: any one of them completes the top 2, and none of them is among the top 1.
    accuracy = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    measures = measure(make_runs([[0, 3], [2, 1], [0, 4]]), accuracy, top_k=(1, 2))
    assert measures.recall[2].tolist() == [1, 1, 0.5]
    assert measures.recall[1].tolist() == [1, 0, 1]


def test_a_k_above_the_number_of_models_means_all_models():
    assert measure(make_runs([[1, 0]]), np.array([0.1, 0.2]), top_k=(5,)).recall[5].tolist() == [1]


@pytest.mark.parametrize("k", [0, -1, 3])
def test_a_recall_that_the_runs_cannot_tell_is_refused(k):
    with pytest.raises(ValueError, match=f"top-{k} recall"):
        measure(make_runs([[0, 1]]), np.array([0.1, 0.2, 0.3]), top_k=(k,))
