"""A number for each model of a race: from its tensor or from a table."""

import gzip
import math
import time

import numpy as np
import pytest

from gembench.data.schema import make_tensor
from gembench.data.tensor import write_tensor
from gembench.errors import SourceError, UsageError
from gembench.load_race import load_race
from gembench.prior import load_prior, read_prior

MODELS = ["org/a@v1", "org/b", "org/left-out", "org/a@v2"]
CORRECT = np.asarray([[1, 0, 1], [0, 0, 1], [-1, -1, 1], [1, 1, 0]], np.int8)


@pytest.fixture
def race(tmp_path):
    """A race of three models, in which the third of the tensor's four is not: it answered too little."""
    tensor = make_tensor(
        CORRECT,
        MODELS,
        ["q1", "q2", "q3"],
        model_coordinates={
            "downloads": [5, 0, 9, math.nan],
            "created": ["1970-01-02", "", "x", "1970-01-03T12:00:00+00:00"],
            "license": ["mit", "", "", ""],
            "likes": [math.nan, math.nan, 3, math.nan],
        },
    )
    tensor = tensor.assign(
        parent_accuracy=("model", [0.25, 0.5, 0.75, 0.125]),
        released=("model", np.array(["1970-01-11", "NaT", "1970-01-01", "1969-12-31"], "datetime64[ns]")),
        too_large=("model", [1.0, 1e300, 1.0, 1.0]),
    )
    write_tensor(tensor, tmp_path / "race.zarr")
    return load_race(str(tmp_path / "race.zarr"))


@pytest.fixture
def table(tmp_path):
    """Writes a table and returns its path."""

    def write(text, name="prior.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("downloads", [5, 0, math.nan]),
        ("parent_accuracy", [0.25, 0.5, 0.125]),
        ("released", [10, math.nan, -1]),
    ],
)
def test_what_the_tensor_says_of_models_is_had_for_those_of_the_race_in_their_order(race, name, expected):
    prior = load_prior(race, name)
    assert prior.dtype == np.float32
    np.testing.assert_array_equal(prior, np.asarray(expected, np.float32))


@pytest.fixture
def in_tokyo():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
def test_dates_that_are_texts_become_days_too_wherever_one_is(tmp_path):
    created = ["1970-01-02", "", "1970-01-03T12:00:00+00:00", "1970-01-03T12:00:00"]
    tensor = make_tensor(np.ones((4, 2), np.int8), list("abcd"), ["q1", "q2"], model_coordinates={"created": created})
    write_tensor(tensor, tmp_path / "dated.zarr")
    prior = load_prior(load_race(str(tmp_path / "dated.zarr")), "created")
    np.testing.assert_array_equal(prior, np.asarray([1, math.nan, 2.5, 2.5], np.float32))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("stars", "knows no 'stars' of its models; there are created, downloads, .*parent_accuracy.*or name a .csv"),
        ("model", "knows no 'model'"),
        ("correct", "knows no 'correct'"),
        ("query", "knows no 'query'"),
        ("license", "'license' is neither numbers nor dates"),
        ("created", "'created' is neither numbers nor dates"),  # One is x.
        ("likes", "the prior likes says nothing of any model"),  # Only of the model that is left out.
        ("too_large", "too_large of org/b is no finite float32"),
    ],
)
def test_what_the_tensor_does_not_say_or_is_no_number_is_refused(race, name, expected):
    with pytest.raises(UsageError, match=expected):
        load_prior(race, name)


def test_an_embedded_tree_knows_downloads():
    race = load_race("mistral-7b")
    assert load_prior(race, "downloads").shape == (race.num_models,)


def test_a_tensor_that_knows_nothing_of_its_models_says_so(tmp_path):
    path = tmp_path / "plain.npz"
    np.savez(path, correct=np.ones((2, 2), np.int8), models=np.array(["a", "b"]), queries=np.array(["q1", "q2"]))
    with pytest.raises(UsageError, match=r"there is nothing of the kind, or name a \.csv of model,value"):
        load_prior(load_race(str(path)), "downloads")


def test_a_table_gives_numbers_by_name_and_a_name_without_revision_speaks_of_all(race, table):
    path = table("model,value\norg/b,1e3\norg/a,-2.5\norg/a@v2,7\nnobody,9\n")
    assert load_prior(race, path).tolist() == [-2.5, 1000, 7]


def test_what_a_table_leaves_out_or_empty_is_unknown(race, table):
    prior = load_prior(race, table('value,model\n,org/a@v1\n" 3 ",org/a@v2\n'))
    np.testing.assert_array_equal(prior, np.asarray([math.nan, math.nan, 3], np.float32))


def test_a_table_may_be_at_a_url(race, table):
    assert load_prior(race, "file://" + table("model,value\norg/b,1\n"))[1] == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "line 1: the columns should be model and value"),
        ("model,downloads\norg/b,1\n", "line 1: the columns should be model and value"),
        ("model\norg/b\n", "line 1: the columns should be model and value"),
        ("model,value\norg/b,many\n", "line 2: 'many' is no number"),
        ("model,value\norg/b,1\norg/b,2\n", "line 3: 'org/b' has a row already, in line 2"),
        ("model,value\norg/b,1,2\n", "line 2: has 3 values and the header 2"),
        ("model,value\n,1\n", "line 2: the model has no name"),
        (b"\xff\xfe\x00", "cannot be read as a table"),
        (gzip.compress(b"model,value\norg/b,1\n", mtime=0), "cannot be read as a table"),
    ],
)
def test_a_table_that_is_none_is_refused_with_file_and_line(race, table, text, expected):
    with pytest.raises(SourceError, match=expected) as raised:
        load_prior(race, table(text))
    assert "prior.csv" in str(raised.value)


def test_a_table_that_is_not_there_is_refused(race, tmp_path):
    with pytest.raises(SourceError, match=r"gone\.csv: cannot be read as a table"):
        load_prior(race, str(tmp_path / "gone.csv"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model,value\nnobody,1\n", "says nothing of any model"),
        ("model,value\n", "says nothing of any model"),
        ("model,value\norg/b,inf\n", "of org/b is no finite float32"),
        ("model,value\norg/b,1e39\n", "of org/b is no finite float32"),
    ],
)
def test_a_table_that_says_nothing_of_the_race_or_no_finite_number_is_refused(race, table, text, expected):
    with pytest.raises(UsageError, match=expected):
        load_prior(race, table(text))


FACTS = [{"downloads": 5, "created": "1970-01-02", "license": "mit", "likes": None}, {"created": ""}, {"downloads": 0}]


@pytest.mark.parametrize(("name", "expected"), [("downloads", [5, math.nan, 0]), ("created", [1, math.nan, math.nan])])
def test_of_models_without_a_tensor_it_is_what_is_known_of_them(name, expected):
    prior = read_prior(name, ["org/a", "org/b", "org/c"], FACTS, "smoke")
    np.testing.assert_array_equal(prior, np.asarray(expected, np.float32))


def test_of_models_without_a_tensor_a_table_says_it_too(table):
    path = table("model,value\norg/a,3\norg/x,1\n")
    prior = read_prior(path, ["org/a@v7", "org/b"], [{}, {}], "smoke")
    np.testing.assert_array_equal(prior, np.asarray([3, math.nan], np.float32))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("likes", "no 'likes' of any model is known; there are created, downloads, license, or name a .csv"),
        ("license", "'license' of the models is neither numbers nor dates, and so no prior."),
    ],
)
def test_what_nobody_knows_of_models_or_is_no_number_is_no_prior(name, words):
    with pytest.raises(UsageError, match=words):
        read_prior(name, ["org/a", "org/b", "org/c"], FACTS, "smoke")
