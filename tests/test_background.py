"""Histories: brought into the order of a race, and refused where they would give it away."""

import re
from pathlib import Path

import numpy as np
import pytest
from knowing import CORRECT, HISTORY, HISTORY_QUERIES, MODELS, QUERIES

from gembench.background import load_background, load_history, read_history
from gembench.data.digest import content_digest
from gembench.data.embedded import load_embedded
from gembench.data.families import make_family
from gembench.data.schema import make_tensor
from gembench.data.tensor import write_tensor
from gembench.errors import CorruptTensorError, TensorNotFoundError, UsageError
from gembench.load_race import load_race, race_names


@pytest.fixture
def write(tmp_path):
    """Writes answers as a tensor and returns its path."""

    def write(name, correct, models, queries, **more):
        path = str(tmp_path / f"{name}.zarr")
        write_tensor(make_tensor(np.asarray(correct, np.int8), models, queries, **more), path)
        return path

    return write


@pytest.fixture
def race(write):
    """Three models on q1 to q4."""
    return load_race(write("race", [[1, 0, 0, 1], [0, 1, 0, 0], [1, 1, 1, 0]], ["a", "b@v1", "c"], queries(1, 2, 3, 4)))


def queries(*numbers):
    return [f"q{number}" for number in numbers]


def others(number, prefix="other"):
    return [f"{prefix}-{each}" for each in range(number)]


# What a history is


def test_answers_come_in_the_order_of_the_race_and_missing_where_there_is_none(write, race):
    # q2 is not in it, q9 is not in the race, and the second model never answered q4.
    history = write("history", [[1, 0, 1, 0], [1, -1, 1, 0]], others(2), queries(3, 4, 9, 1))
    loaded = load_history(race, [history])
    assert loaded.answers.tolist() == [[0, -1, 1, 0], [0, -1, 1, -1]]
    assert loaded.answers.dtype == np.int8
    assert loaded.num_shared == 3
    assert loaded.tensors == (history,)


def test_queries_that_the_race_leaves_out_are_left_out_of_the_history(write):
    # Model b never answered q2.
    race = load_race(write("race", [[1, 0, 0], [0, -1, 1]], ["a", "b"], queries(1, 2, 3)))
    history = write("history", [[0, 1, 0]], ["other"], queries(3, 2, 1))
    assert load_history(race, [history]).answers.tolist() == [[0, 0]]


def test_the_histories_of_families_are_the_answers_of_their_tensor(write):
    """Cell by cell, looked up by name."""
    rng = np.random.default_rng(1)
    correct = rng.integers(0, 2, (30, 40)).astype(np.uint8)
    names, ids = others(30, "m"), [f"task/{query}" for query in range(40)]
    family = make_family(correct, 7, num_models=8, num_queries=25, num_histories=20)
    racers, asked = [names[model] for model in family.models], [ids[query] for query in family.queries]
    race = load_race(write("race", correct[np.ix_(family.models, family.queries)], racers, asked))
    known = [names[model] for model in family.history]
    history = load_history(race, [write("history", correct[family.history], known, ids)])
    by_name = {(names[m], ids[q]): correct[m, q] for m in range(30) for q in range(40)}
    assert history.answers.tolist() == [[by_name[model, query] for query in asked] for model in known]


def test_several_tensors_are_stacked_in_their_order(write, race):
    first = write("first", [[0, 0, 0, 0], [1, 1, 0, 0]], others(2, "x"), queries(1, 2, 3, 4))
    second = write("second", [[1, 1, 1]], ["y"], queries(4, 3, 2))
    history = load_history(race, [second, first])
    assert history.answers.tolist() == [[-1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0]]
    assert history.tensors == (second, first)
    assert history.num_shared == load_history(race, [first, second]).num_shared == 4  # The second lacks q1.


def test_their_digests_are_those_of_the_tensors(write, race):
    cells, names = [[0, 0, 0, 0]], ["other"]
    path = write("history", cells, names, queries(1, 2, 3, 4))
    tensor = make_tensor(np.asarray(cells, np.int8), names, queries(1, 2, 3, 4))
    assert load_history(race, [path]).digests == (content_digest(tensor),)


def test_of_duplicates_the_first_stays(write, race):
    rows = [[0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    first = write("first", rows, others(3, "x"), queries(1, 2, 3, 4))  # the third answers as the first does
    second = write("second", [[0, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 1]], ["x-1", "z", "w"], queries(1, 2, 3, 4))
    # x-1 is there already, and z answers as x-1 did.
    assert load_history(race, [first, second]).answers.tolist() == [[0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1]]


def test_a_tensor_named_twice_counts_once(write, race):
    path = write("history", [[0, 0, 0, 0]], ["other"], queries(1, 2, 3, 4))
    history = load_history(race, [path, path])
    assert (len(history.answers), history.tensors) == (1, (path,))


def test_models_that_answered_none_of_the_race_s_queries_are_left_out(write, race):
    history = write("history", [[-1, -1, 1], [0, 0, -1]], others(2), queries(1, 2, 9))
    assert load_history(race, [history]).answers.tolist() == [[0, 0, -1, -1]]


def test_a_history_of_which_nothing_is_left_is_refused(write, race):
    history = write("history", [[-1, -1, 1]], ["other"], queries(1, 2, 9))
    with pytest.raises(UsageError, match=r"no model of .*history\.zarr answered a query of the race"):
        load_history(race, [history])


# Queries that are too few


def test_half_of_the_queries_are_enough(write, race):
    history = write("history", [[0, 1, 1]], ["other"], queries(7, 4, 2))
    assert load_history(race, [history]).answers.tolist() == [[-1, 1, -1, 1]]


def test_fewer_are_refused_with_their_number(write, race):
    enough = write("enough", [[0, 0]], ["x"], queries(1, 2))
    history = write("history", [[0, 1, 1]], ["other"], queries(7, 4, 8))
    with pytest.raises(UsageError, match=r"history\.zarr: 1 of the race's 4 queries are in it.*needs half"):
        load_history(race, [enough, history])


def test_a_tensor_of_another_suite_is_refused():
    race = load_race("smollm2-135m")
    with pytest.raises(UsageError, match=r"mistral-7b: 0 of the race's 400 queries"):
        load_history(race, ["mistral-7b"])


# Histories that know the race


@pytest.mark.parametrize(
    ("model", "racer"), [("a", "a"), ("a@v9", "a"), ("b@v1", "b@v1"), ("b@v2", "b@v1"), ("b", "b@v1")]
)
def test_a_model_of_the_race_is_refused_under_any_revision(write, race, model, racer):
    history = write("history", [[0, 0, 0, 0], [0, 0, 1, 1]], ["other", model], queries(1, 2, 3, 4))
    with pytest.raises(UsageError, match=rf"its model '{model}' is '{racer}' of the race; a history is of other model"):
        load_history(race, [history])


def test_a_name_that_only_begins_like_one_of_the_race_is_another_model(write, race):
    history = write("history", [[0, 0, 0, 0], [0, 0, 1, 1]], ["a-chat", "org/a"], queries(1, 2, 3, 4))
    assert len(load_history(race, [history]).answers) == 2


def test_the_race_s_own_tensor_is_refused_and_all_its_models_are_counted(race):
    with pytest.raises(UsageError, match=r"'a' is 'a' of the race \(and 2 more are there\)"):
        load_history(race, [race.tensor])


def test_a_model_of_the_race_is_refused_even_if_it_answered_nothing(write, race):
    history = write("history", [[0, 0, 0, 0], [-1, -1, -1, -1]], ["other", "c"], queries(1, 2, 3, 4))
    with pytest.raises(UsageError, match="'c' is 'c' of the race"):
        load_history(race, [history])


@pytest.mark.parametrize(
    ("row", "num_answered"),
    [([1, 1, 1, 0], 4), ([1, -1, 1, 0], 3), ([-1, -1, 1, 0], 2)],
)
def test_a_copy_under_another_name_is_refused(write, race, row, num_answered):
    history = write("history", [[0, 0, 0, 0], row], ["x", "copycat"], queries(1, 2, 3, 4))
    expected = rf"'copycat' answers all of the {num_answered} shared queries that it answered just as 'c' of the race"
    with pytest.raises(UsageError, match=expected):
        load_history(race, [history])


def test_a_copy_is_found_in_a_tensor_of_further_queries(write, race):
    history = write("history", [[1, 0, 1, 1, 1]], ["copycat"], queries(8, 4, 3, 2, 1))
    with pytest.raises(UsageError, match="just as 'c' of the race"):
        load_history(race, [history])


@pytest.mark.parametrize("row", [[1, 1, 0, 0], [0, 1, 1, 0], [1, -1, 0, 0], [-1, -1, 1, -1]])
def test_who_answers_one_query_otherwise_or_too_few_to_tell_is_no_copy(write, race, row):
    history = write("history", [row], ["other"], queries(1, 2, 3, 4))
    assert load_history(race, [history]).answers.tolist() == [row]


def test_among_many_rows_the_one_copy_is_found(write):
    """1,500 queries: sums of products must be exact, and two answers of one model changed are a model of its own."""
    rng = np.random.default_rng(2)
    correct = rng.integers(0, 2, (20, 1500)).astype(np.int8)
    ids = [f"task/{query}" for query in range(1500)]
    race = load_race(write("race", correct, others(20, "racer"), ids))
    near = correct.copy()
    near[:, 3] ^= 1
    assert len(load_history(race, [write("near", near, others(20), ids)]).answers) == 20
    near[13] = correct[13]
    with pytest.raises(UsageError, match=r"'other-13' answers all of the 1,500 .* just as 'racer-13'"):
        load_history(race, [write("copy", near, others(20), ids)])


def test_where_nobody_knows_the_answers_names_alone_are_compared(write):
    history = write("history", [[1, 1]], ["copycat"], queries(1, 2))
    assert read_history([history], ["a", "b"], queries(2, 1)).answers.tolist() == [[1, 1]]
    with pytest.raises(UsageError, match="'copycat' is 'copycat@v2' of the race"):
        read_history([history], ["a", "copycat@v2"], queries(2, 1))


# Tensors that cannot be read


def test_a_history_that_is_not_there_is_a_tensor_not_found(race, tmp_path):
    with pytest.raises(TensorNotFoundError, match=r"gone\.zarr"):
        load_history(race, [str(tmp_path / "gone.zarr")])


def test_a_history_that_lost_a_chunk_is_not_used(write, race, tmp_path):
    path = write("history", [[0, 1, 0, 1], [1, 1, 0, 0]], others(2), queries(1, 2, 3, 4))
    for name in ("correct", "outcome"):  # As in a race, only the digest can tell.
        next(each for each in (tmp_path / "history.zarr" / name / "c").rglob("*") if each.is_file()).unlink()
    with pytest.raises(CorruptTensorError, match="a chunk was lost or changed"):
        load_history(race, [path])


# A background


def test_the_example_of_the_documentation_makes_a_race_and_its_history(tmp_path, monkeypatch):
    page = (Path(__file__).parent.parent / "docs" / "history.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1])
    race = load_race("race.zarr")
    history = load_history(race, ["others.zarr"])
    tensor = load_embedded("smollm2-135m")
    assert list(race.models) == tensor["model"].values[:25].tolist()
    place = {query: number for number, query in enumerate(tensor["query"].values)}
    columns = [place[query] for query in race_names(race).queries]
    distinct = dict.fromkeys(map(tuple, tensor["correct"].values[25:, columns].tolist()))
    assert [tuple(row) for row in history.answers.tolist()] == list(distinct)


def test_a_background_without_a_prior_knows_nothing_of_the_race_s_models(write):
    race = load_race(write("race", CORRECT, MODELS, QUERIES))
    known = load_background(race, [write("history", HISTORY, others(3), HISTORY_QUERIES)])
    assert known.background.history.tolist() == HISTORY[:, :0:-1].tolist()
    assert np.isnan(known.background.prior).tolist() == [True] * 6
    assert known.prior is None


def test_a_background_without_a_history_has_one_of_no_models(write):
    downloads = [7, 0, 5, 1, 2, 3]
    race = load_race(write("race", CORRECT, MODELS, QUERIES, model_coordinates={"downloads": downloads}))
    known = load_background(race, [], "downloads")
    assert known.background.history.shape == (0, 20)
    assert known.background.prior.tolist() == downloads
    assert (known.history, known.prior) == (None, "downloads")
