"""What a tensor says of its models and queries, as plain values, and only what it says."""

import numpy as np

from gembench.data.coordinates import coordinates_of
from gembench.data.schema import make_tensor
from gembench.data.tensor import open_tensor, write_tensor


def tensor():
    return make_tensor(
        np.zeros((3, 2), np.int8),
        ["org/a", "org/b", "org/c"],
        ["q/0", "q/1"],
        tasks=["sums", "sums"],
        model_coordinates={
            "base": ["", "org/a", "org/a"],
            "license": ["mit", "", "apache-2.0"],
            "downloads": [7.0, np.nan, 0.0],
            "num_parameters": [3_085_938_688, 1, 2],
            "created": np.array(["2025-01-01", "NaT", "2025-03-02T10:00"], dtype="datetime64[ns]"),
        },
        query_coordinates={"subject": ["", "hard ones"]},
    )


def test_what_is_known_of_models_comes_as_plain_values_and_the_rest_is_left_out():
    first, second, third = coordinates_of(tensor(), "model", ["org/a", "org/b", "org/c"])
    assert first.pop("created").startswith("2025-01-01")
    assert third.pop("created").startswith("2025-03-02T10:00")
    assert first == {"license": "mit", "downloads": 7, "num_parameters": 3_085_938_688}
    assert second == {"base": "org/a", "num_parameters": 1}
    assert third == {"base": "org/a", "license": "apache-2.0", "downloads": 0, "num_parameters": 2}
    for facts in (first, second, third):
        assert {type(value) for value in facts.values()} <= {str, int}


def test_of_queries_likewise():
    assert coordinates_of(tensor(), "query", ["q/1", "q/0"]) == [
        {"task": "sums", "subject": "hard ones"},
        {"task": "sums"},
    ]


def test_those_that_are_asked_for_in_their_order():
    assert [facts["num_parameters"] for facts in coordinates_of(tensor(), "model", ["org/c", "org/b"])] == [2, 1]


def test_a_tensor_read_from_disk_says_the_same(tmp_path):
    write_tensor(tensor(), tmp_path / "o.zarr")
    ids = ["org/a", "org/b", "org/c"]
    assert coordinates_of(open_tensor(tmp_path / "o.zarr"), "model", ids) == coordinates_of(tensor(), "model", ids)


def test_a_tensor_that_knows_nothing_says_nothing():
    bare = make_tensor(np.zeros((1, 1), np.int8), ["a"], ["q"])
    assert coordinates_of(bare, "model", ["a"]) == [{}]
