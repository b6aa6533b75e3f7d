"""What the schema refuses, and how it says so."""

import re

import numpy as np
import pytest
import xarray as xr
from tensor_examples import full_tensor

from gembench.data import cells
from gembench.data.outcomes import Outcome
from gembench.data.schema import SCHEMA_VERSION, check_structure, check_tensor, make_tensor
from gembench.errors import NewerSchemaError, SchemaError


def assert_refused(dataset: xr.Dataset, *said: str) -> None:
    with pytest.raises(SchemaError) as caught:
        check_tensor(dataset)
    message = str(caught.value)
    assert "\n" not in message
    for words in said:
        assert words in message


def with_cell(name: str, value: float) -> xr.Dataset:
    dataset = full_tensor()
    dataset[name][2, 3] = value
    return dataset


def test_a_tensor_with_everything_in_it_is_accepted():
    check_tensor(full_tensor())


def test_without_outcomes_a_cell_was_answered_where_it_is_right_or_wrong_and_not_asked_elsewhere():
    tensor = make_tensor(np.array([[1, 0, -1]], np.int8), ["m"], ["a", "b", "c"])
    assert tensor["outcome"].values.tolist() == [[1, 1, 0]]
    assert tensor["outcome"].attrs["flag_meanings"].split()[1] == "answered"


@pytest.mark.parametrize("name", ["model", "query", "correct", "outcome"])
def test_a_missing_variable_is_named(name):
    assert_refused(full_tensor().drop_vars(name), f"no variable {name!r}")


def test_extra_variables_are_welcome():
    check_tensor(full_tensor().assign(temperature=("model", np.ones(6)), anything=((), 3)))


def test_transposed_cells_are_refused():
    assert_refused(full_tensor().transpose("query", "model"), "('query', 'model')", "transpose")


def test_the_reserved_dimension_trial_is_refused_with_the_way_out():
    dataset = full_tensor()
    dataset["correct"] = dataset["correct"].expand_dims(trial=2)
    assert_refused(dataset, "'trial'", "select one trial")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("correct", np.float64),
        ("correct", np.uint8),
        ("correct", bool),
        ("correct", np.int16),
        ("outcome", np.int8),
        ("score", np.float64),
        ("downloads", str),
        ("parent", "S5"),
        ("load_seconds", np.int64),
        ("created", np.float64),
    ],
)
def test_a_wrong_type_is_refused_and_both_types_are_named(name, dtype):
    dataset = full_tensor()
    dataset[name] = dataset[name].astype(dtype)
    assert_refused(dataset, repr(name), f"type {dataset[name].dtype}", "convert")


@pytest.mark.parametrize("value", [2, -2, 127, -128])
def test_a_value_that_is_neither_right_nor_wrong_nor_missing_is_refused_with_its_place(value):
    assert_refused(with_cell("correct", value), f"'correct' is {value}", "'org/model-2@main'", "'arc/3'", "-1")


@pytest.mark.parametrize("outcome", [Outcome.NOT_ASKED, Outcome.TRUNCATED, Outcome.UNGRADED, Outcome.FAILED])
@pytest.mark.parametrize("correct", [0, 1])
def test_a_cell_that_was_not_answered_is_neither_wrong_nor_right(outcome, correct):
    dataset = full_tensor()
    dataset["correct"][0, 1], dataset["score"][0, 1], dataset["outcome"][0, 1] = correct, 0.0, outcome
    assert_refused(dataset, f"'outcome' is {outcome}", "'org/model-0@main'", "'arc/1'")


def test_an_answered_cell_must_be_right_or_wrong():
    dataset = full_tensor()
    dataset["correct"][0, 1], dataset["score"][0, 1] = -1, np.nan
    assert_refused(dataset, "'outcome' is 1", "'org/model-0@main'", "'arc/1'")


@pytest.mark.parametrize("outcome", [Outcome.NOT_ASKED, Outcome.TRUNCATED, Outcome.UNGRADED, Outcome.FAILED])
def test_every_failure_may_stand_where_nothing_was_answered(outcome):
    dataset = full_tensor()
    dataset["correct"][0, 1], dataset["score"][0, 1], dataset["outcome"][0, 1] = -1, np.nan, outcome
    check_tensor(dataset)


def test_an_outcome_without_a_name_is_refused():
    assert_refused(with_cell("outcome", 5), "'outcome' is 5", "0 to 4")


def test_outcomes_that_name_their_values_otherwise_are_refused():
    dataset = full_tensor()
    dataset["outcome"].attrs["flag_meanings"] = "answered not_asked truncated ungraded failed"
    assert_refused(dataset, "'outcome'", "flag_meanings")


@pytest.mark.parametrize("score", [np.nan, -0.01, 1.01, np.inf])
def test_an_answered_cell_needs_a_score_from_0_to_1(score):
    dataset = full_tensor()
    dataset["score"][0, 1] = score
    assert_refused(dataset, "'score' is", "'org/model-0@main'", "'arc/1'", "[0, 1]")


def test_a_cell_never_answered_has_no_score():
    dataset = full_tensor()
    row, column = np.argwhere(dataset["correct"].values == -1)[0]
    dataset["score"][row, column] = 0.0
    assert_refused(dataset, "'score' is 0.0", f"model-{row}@", f"arc/{column}'", "NaN")


def test_a_wrong_cell_is_found_in_whichever_block_of_rows_it_lies(monkeypatch):
    monkeypatch.setattr(cells, "CELLS_PER_BLOCK", 10)  # Two rows of five queries.
    for row in range(6):
        dataset = full_tensor()
        dataset["correct"][row, 4] = 3
        assert_refused(dataset, f"model-{row}@", "arc/4'")


@pytest.mark.parametrize("name", ["model", "query"])
def test_an_id_that_occurs_twice_is_named_with_its_places(name):
    dataset = full_tensor()
    names = dataset[name].values.copy()
    names[4] = names[1]
    assert_refused(dataset.assign_coords({name: names}), name, repr(names[1]), "first at 1 and 4")


@pytest.mark.parametrize(("bad", "said"), [("", "model 3 has the id ''"), (7, "'model' is 7 at 3")])
def test_an_id_must_be_a_name(bad, said):
    dataset = full_tensor()
    names = dataset["model"].values.copy()
    names[3] = bad
    assert_refused(dataset.assign_coords(model=names), said)


@pytest.mark.parametrize("name", ["model", "query"])
def test_a_tensor_without_models_or_queries_is_refused(name):
    assert_refused(full_tensor().isel({name: slice(0, 0)}), f"no {name} at all")


def test_a_card_that_is_no_string_is_refused_with_its_place():
    parents = ["", "a", 5, "b", "c", "d"]
    dataset = full_tensor().assign_coords(parent=("model", np.array(parents, object)))
    assert_refused(dataset, "'parent' is 5 at 2")


@pytest.mark.parametrize("version", ["1", 0, True, 1.0])
def test_a_schema_version_that_is_no_version_is_refused(version):
    assert_refused(full_tensor().assign_attrs(schema_version=version), "'schema_version'", repr(version))


def test_a_missing_schema_version_is_refused():
    dataset = full_tensor()
    del dataset.attrs["schema_version"]
    assert_refused(dataset, "no attribute 'schema_version'")


def test_a_newer_schema_says_so_before_anything_else_is_looked_at():
    dataset = full_tensor().drop_vars("correct").assign_attrs(schema_version=SCHEMA_VERSION + 1)
    with pytest.raises(NewerSchemaError, match=r"version 2 is newer than 1.*upgrade"):
        check_tensor(dataset)


def test_the_structure_is_checked_without_a_look_at_the_cells():
    check_structure(with_cell("correct", 77))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"correct": np.zeros((3, 2), np.int8)}, r"'correct' has the shape (3, 2)"),
        ({"correct": np.zeros(2, np.int8)}, r"'correct' has the shape (2,)"),
        ({"correct": [[0.0, 1.0], [1.0, 0.0]]}, "type float64"),
        ({"models": ["a", "b", "c"]}, "3 models and 2 queries"),
        ({"models": ["a", "a"]}, "'a' occurs 2 times"),
        ({"models": [], "correct": np.zeros((0, 2), np.int8)}, "no model at all"),
        ({"tasks": ["t"]}, "'task' has the shape (1,)"),
        ({"variables": {"scores": np.zeros((2, 2), np.float32)}}, "no variable 'scores'"),
        ({"variables": {"score": np.zeros((2, 2))}}, "'score' is of type float64"),
        ({"model_coordinates": {"likes": ["many", "few"]}}, "'likes' is of type object"),
        ({"query_coordinates": {"subject": [1, 2]}}, "'subject' is of type int64"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_tensor_is_made(change, said):
    arguments = {"correct": np.zeros((2, 2), np.int8), "models": ["a", "b"], "queries": ["x", "y"], **change}
    with pytest.raises(SchemaError, match=re.escape(said)):
        make_tensor(**arguments)
