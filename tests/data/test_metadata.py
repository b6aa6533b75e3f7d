"""What others say of models, put into a tensor; and the table that says it."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gembench.data.coordinates import coordinates_of
from gembench.data.digest import content_digest
from gembench.data.metadata import Metadata, Missing, annotate, annotate_all, with_metadata
from gembench.data.metadata_file import read_metadata
from gembench.data.schema import check_tensor, make_tensor
from gembench.data.tensor import open_tensor, write_tensor
from gembench.errors import SourceError

MODELS = ["org/a@main", "org/a@v2", "org/b", "plain"]


@pytest.fixture
def tensor():
    return make_tensor(
        np.asarray([[1, 0], [0, 1], [1, 1], [0, 0]], np.int8),
        MODELS,
        ["q1", "q2"],
        model_coordinates={"license": ["mit", "", "mit", ""], "created": ["2025-01-01", "", "", ""]},
    )


def known(tensor):
    return dict(zip(MODELS, coordinates_of(tensor, "model", MODELS), strict=True))


# The tensor


def test_a_row_fills_what_is_unknown_stands_over_what_is_known_and_says_nothing_where_it_is_empty(tensor):
    rows = {"org/b": {"downloads": 7, "license": "apache-2.0"}, "plain": {"downloads": 0, "license": "", "likes": None}}
    assert known(with_metadata(tensor, rows)) == {
        "org/a@main": {"license": "mit", "created": "2025-01-01"},
        "org/a@v2": {},
        "org/b": {"downloads": 7, "license": "apache-2.0"},
        "plain": {"downloads": 0},
    }


def test_a_row_of_a_repository_speaks_of_all_its_revisions_and_one_of_a_revision_goes_before(tensor):
    rows = {"org/a": {"downloads": 5}, "org/a@v2": {"downloads": 6}, "org/b@v1": {"downloads": 9}}
    downloads = {model: row.get("downloads") for model, row in known(with_metadata(tensor, rows)).items()}
    assert downloads == {"org/a@main": 5, "org/a@v2": 6, "org/b": None, "plain": None}


def test_the_content_stays_the_same_and_the_tensor_is_written_and_read_back(tensor, tmp_path):
    rows = {"org/a": {"downloads": 5, "created": "2025-03-01", "parent": "org/base"}, "plain": {"num_parameters": 10}}
    annotated, _ = annotate(tensor, Metadata("here", rows))
    check_tensor(annotated)
    assert content_digest(annotated) == content_digest(tensor)
    write_tensor(annotated, tmp_path / "t.zarr")
    again = open_tensor(tmp_path / "t.zarr")
    assert known(again) == known(annotated)
    assert known(again)["org/a@v2"] == {"downloads": 5, "created": "2025-03-01", "parent": "org/base"}


def test_the_report_names_the_models_that_are_missing_and_the_rows_that_are_nobody_s(tensor):
    metadata = Metadata(
        "table",
        {"org/a": {"downloads": 5}, "org/b": {"downloads": None}, "org/c": {"downloads": 1}},
        problems={"plain": "it is a secret"},
        is_of_others_too=True,
    )
    _, report = annotate(tensor, metadata)
    assert (report.num_models, report.num_known, report.filled) == (4, 2, {"downloads": 2})
    assert report.missing == [Missing("org/b", "its row says nothing"), Missing("plain", "it is a secret")]
    assert report.unknown == ["org/c"]


def test_later_sources_stand_over_earlier_ones_and_the_tensor_notes_each_that_said_anything(tensor):
    sources = [
        Metadata("first", {"org/b": {"downloads": 1, "likes": 1}}),
        Metadata("silent", {}),
        Metadata("last", {"org/b": {"downloads": 2}}),
    ]
    annotated, reports = annotate_all(tensor, sources)
    assert known(annotated)["org/b"] == {"downloads": 2, "likes": 1, "license": "mit"}
    assert [report.num_known for report in reports] == [1, 0, 1]
    noted = annotated.attrs["metadata"]
    assert [(one["source"], one["filled"]) for one in noted] == [
        ("first", {"downloads": 1, "likes": 1}),
        ("last", {"downloads": 1}),
    ]


# The table


def read(tmp_path, text, name="table.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_metadata(str(path))


def test_a_table_is_read_with_its_empty_values_quotes_and_byte_order_mark(tmp_path):
    table = read(
        tmp_path,
        "\ufeffmodel, downloads,num_parameters,license,created\r\n"
        '"org/a, the first",12,1.5e9,mit,2025-01-31\r\n'
        "\r\n"
        "org/b, ,,,2025-01-31T10:00:00+00:00\r\n",
    )
    assert table.source == "table.csv"
    assert table.rows == {
        "org/a, the first": {
            "downloads": 12,
            "num_parameters": 1_500_000_000,
            "license": "mit",
            "created": "2025-01-31",
        },
        "org/b": {"created": "2025-01-31T10:00:00+00:00"},
    }


def test_a_packed_table_is_unpacked(tmp_path):
    assert read(tmp_path, gzip.compress(b"model,likes\na,3\n"), "table.csv.gz").rows == {"a": {"likes": 3}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "model,dowloads\na,1\n",
            "line 1: unknown column 'dowloads'; there are model, revision, parent, base, downloads",
        ),
        ("downloads\n1\n", "line 1: no column 'model'"),
        ("model,likes,likes\na,1,2\n", "line 1: a column occurs twice"),
        ("model,likes\na,1\na,2\n", "line 3: 'a' has a row already, in line 2"),
        ("model,likes\na,1\nb\n", "line 3: has 1 values and the header 2"),
        ("model,likes\n,1\n", "line 2: the model has no name"),
        ("model,likes\na,many\n", "line 2: likes is 'many'; write a whole number"),
        ("model,likes\na,-1\n", "line 2: likes is '-1'"),
        ("model,likes\na,1.5\n", "line 2: likes is '1.5'"),
        ("model,likes\na,inf\n", "line 2: likes is 'inf'"),
        (f"model,likes\na,{2**63}\n", "line 2: likes is '9223372036854775808'"),
        ("model,created\na,yesterday\n", "line 2: created is 'yesterday'; write a date such as 2025-01-31"),
        ('model,license\na,"mit\n', "after line 2: "),
        ("", "line 1: no column 'model'"),
        ("model,likes\n", "no model has a row"),
        (b"model,license\na,\xff\n", "cannot be read as a table: 'utf-8' codec"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_in_one_line_that_names_file_and_line(tmp_path, text, problem):
    with pytest.raises(SourceError) as raised:
        read(tmp_path, text)
    assert str(raised.value).startswith(f"{tmp_path / 'table.csv'}")
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_table_that_is_not_there_or_not_packed_as_it_is_named_is_refused(tmp_path):
    with pytest.raises(SourceError, match="cannot be read as a table"):
        read_metadata(str(tmp_path / "nowhere.csv"))
    with pytest.raises(SourceError, match="cannot be read as a table"):
        read(tmp_path, "model,likes\na,3\n", "table.csv.gz")
    with pytest.raises(SourceError, match="cannot be read as a table"):
        read_metadata("nothing://of/this.csv")


PIECES = st.sampled_from(
    ["model", "likes", "created", "a", "b", "1", "2025-01-01", ",", '"', "\n", "\r\n", " ", "\x00", "é"]
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(text=st.one_of(st.binary(max_size=80), st.lists(PIECES, max_size=30).map(lambda parts: "".join(parts).encode())))
def test_no_bytes_make_a_traceback(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "fuzzed.csv"
    path.write_bytes(b"model,likes\n" + text if len(text) % 2 else text)
    problem, rows = "", {}
    try:
        rows = read_metadata(str(path)).rows
    except SourceError as error:
        problem = str(error)
    assert bool(problem) != bool(rows)
    assert "\n" not in problem
