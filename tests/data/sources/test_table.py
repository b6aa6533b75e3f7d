"""Tables: long and wide, in every kind of file, by their columns' names; what is no score is refused by line."""

import gzip
import io
import json
import re

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from spoiled import read_all, spoiled_bytes, spoiled_json, survives, with_some, with_very_many

from gembench.data.outcomes import Outcome
from gembench.data.sources import table, table_long
from gembench.data.sources.source import Choice
from gembench.errors import SourceError

A, N = Outcome.ANSWERED, Outcome.NOT_ASKED
LONG = "model,task,query,score\nm1,arc,0,1\nm2,arc,0,0.25\nm1,gsm,0,0\nm1,arc,1,\n"
OBJECTS = [
    {"model": "m1", "task": "arc", "query": 0, "score": True},
    {"model": "m2", "task": "arc", "query": "0", "score": 0.25},
    {"model": "m1", "task": "gsm", "query": 0, "score": "false"},
    {"model": "m1", "task": "arc", "query": 1, "score": None},
]
COLUMNS = {name: [one[name] for one in OBJECTS] for name in ("model", "task")}


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def as_parquet(columns, metadata=None):
    stored = io.BytesIO()
    parquet.write_table(pa.table(columns).replace_schema_metadata(metadata), stored)
    return stored.getvalue()


def packed_zst(text):
    return pa.Codec("zstd").compress(text.encode(), asbytes=True)


def as_lines(objects):
    return "".join(json.dumps(one) + "\n" for one in objects)


LONG_FILES = {
    "long.csv": LONG,
    "marked.csv": "\ufeff" + LONG,
    "windows.csv": LONG.replace("\n", "\r\n"),
    "quoted.csv": LONG.replace("arc", '"arc"'),
    "long.tsv": LONG.replace(",", "\t"),
    "long.csv.gz": gzip.compress(LONG.encode()),
    "two.csv.gz": gzip.compress(LONG[:30].encode()) + gzip.compress(LONG[30:].encode()),
    "long.tsv.zst": packed_zst(LONG.replace(",", "\t")),
    "long.jsonl": as_lines(OBJECTS),
    "gaps.jsonl": as_lines(OBJECTS).replace("\n", "\n\n").replace("null", "NaN"),
    "marked.jsonl": "\ufeff" + as_lines(OBJECTS),
    "long.ndjson.zst": packed_zst(as_lines(OBJECTS)),
    "long.parquet": as_parquet({**COLUMNS, "query": [0, 0, 0, 1], "score": [1.0, 0.25, 0.0, None]}),
    "dictionary.parquet": as_parquet(
        {
            **{name: pa.array(column).dictionary_encode() for name, column in COLUMNS.items()},
            "query": pa.array(["0", "0", "0", "1"], pa.large_string()),
            "score": pa.array([1, 0.25, 0, np.nan], pa.float32()),
        }
    ),
}


@pytest.mark.parametrize("name", LONG_FILES)
def test_a_long_table_is_read_from_every_kind_of_file(tmp_path, name):
    first, second = read_all(table, write(tmp_path / name, LONG_FILES[name]))
    assert (first.identity, second.identity) == ({"model": "m1"}, {"model": "m2"})
    assert list(zip(first.queries, first.tasks, strict=True)) == [("arc/0", "arc"), ("gsm/0", "gsm"), ("arc/1", "arc")]
    assert first.outcome.tolist() == [A, A, N]
    np.testing.assert_array_equal(first.score, [1, 0, np.nan])
    assert (list(second.queries), second.score.tolist()) == (["arc/0"], [0.25])
    assert first.correct is None
    assert first.num_rows + second.num_rows == 4


def test_a_table_is_read_from_a_url(tmp_path):
    for name in ("long.csv", "long.csv.gz", "long.parquet", "long.jsonl"):
        content = LONG_FILES[name]
        with fsspec.open(f"memory://table-test/{name}", "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        first, _ = read_all(table, f"memory://table-test/{name}")
        assert list(first.queries) == ["arc/0", "gsm/0", "arc/1"]
    assert len(table.find_logs(["memory://table-test"])) == 4


@pytest.mark.parametrize("name", ["wide.csv", "wide.parquet", "pandas.csv"])
def test_a_wide_table_has_a_row_a_model_and_a_column_a_query(tmp_path, name):
    text = "model,007,a.b,b\nm1,1,0.5,\nm2,true,0,1\n"
    content = {
        "wide.csv": text,
        "pandas.csv": text.removeprefix("model"),
        "wide.parquet": as_parquet(
            {"model": ["m1", "m2"], "007": [1, 1], "a.b": [0.5, 0.0], "b": pa.array([None, True])}
        ),
    }[name]
    first, second = read_all(table, write(tmp_path / name, content))
    assert list(first.queries) == ["007", "a.b", "b"]
    np.testing.assert_array_equal(first.score, [1, 0.5, np.nan])
    assert first.outcome.tolist() == [A, A, N]
    assert second.score.tolist() == [1, 0, 1]
    assert set(first.tasks) == {""}


def test_what_was_guessed_is_said_once_and_what_was_chosen_is_taken(tmp_path):
    text = "Model Name,model_id,Question_ID,item,score,exact_match\nx,m,q1,i1,0.5,1\nx,n,q1,i2,0.5,0\n"
    path = write(tmp_path / "t.csv", text)
    first, second = read_all(table, path)
    (remark,) = first.remarks
    assert remark.message == "taken by their names: model=model_id, query=Question_ID, value=score; others by --columns"
    assert not second.remarks
    assert first.settings == {"columns": {"model": "model_id", "query": "Question_ID", "value": "score"}}
    columns = {"model": "model_id", "query": "item", "value": "exact_match"}
    first, second = read_all(table, path, choice=Choice(columns=columns))
    assert not first.remarks
    assert (list(first.queries), first.score.tolist(), second.score.tolist()) == (["i1"], [1], [0])
    first, _ = read_all(table, path, choice=Choice(metric="exact_match"))
    assert first.score.tolist() == [1]


def test_a_column_that_was_chosen_is_not_guessed_for_anything_else(tmp_path):
    path = write(tmp_path / "t.csv", "id,score\nm,1\n")
    (log,) = read_all(table, path, choice=Choice(columns={"model": "id"}))
    assert (log.identity, list(log.queries)) == ({"model": "m"}, ["score"])


def test_a_column_that_is_not_there_or_says_nothing_is_refused_with_those_that_are(tmp_path):
    path = write(tmp_path / "t.csv", "who,what,how\na,b,1\n")
    for columns, message in [
        ({"model": "whom"}, "no column 'whom', chosen for model. There are 'who', 'what', 'how'"),
        ({"who": "who"}, "a column cannot be 'who'; name columns of model, query, value, task"),
        ({"query": "what"}, "no column of value; say --columns value=NAME"),
        ({"query": "what", "value": "how"}, "no column of models; say --columns model=NAME"),
        ({}, "neither a long table (no columns of queries and values) nor a wide one"),
    ]:
        with pytest.raises(SourceError, match=re.escape(message)):
            read_all(table, path, choice=Choice(columns=columns))
    (log,) = read_all(table, path, choice=Choice(columns={"model": "who", "query": "what", "value": "how"}))
    assert log.identity == {"model": "a"}
    with pytest.raises(SourceError, match="tables have no filters"):
        read_all(table, path, choice=Choice(filter_name="strict"))
    path = write(tmp_path / "t.jsonl", '{"who": "a", "score": 1}\n')
    with pytest.raises(SourceError, match="no columns of queries and values"):
        read_all(table, path)


def test_scores_beside_what_is_right_keep_both(tmp_path):
    text = "model,query,score,correct\nm,a,0.9,0\nm,b,0.1,1\nm,c,,\n"
    (log,) = read_all(table, write(tmp_path / "t.csv", text))
    assert log.correct[:2].tolist() == [0, 1]
    np.testing.assert_array_equal(log.score, [0.9, 0.1, np.nan])
    with pytest.raises(SourceError, match="line 2: the row has a score, and is not said to be right or wrong"):
        read_all(table, write(tmp_path / "t.csv", "model,query,score,correct\nm,a,0.9,\n"))
    with pytest.raises(SourceError, match=r"line 2: 'correct': 0\.5 is neither 1"):
        read_all(table, write(tmp_path / "t.csv", "model,query,score,correct\nm,a,0.9,0.5\n"))


def test_a_failure_is_no_wrong_answer_even_where_the_table_has_a_score_for_it(tmp_path):
    text = "model,query,score,outcome\nm,a,0,failed\nm,b,0,answered\nm,c,,ungraded\nm,d,,not_asked\n"
    (log,) = read_all(table, write(tmp_path / "t.csv", text))
    np.testing.assert_array_equal(log.score, [np.nan, 0, np.nan, np.nan])
    assert log.outcome.tolist() == [Outcome.FAILED, A, Outcome.UNGRADED, N]
    with pytest.raises(SourceError, match="line 2: the row has an outcome that is none of not_asked, answered"):
        read_all(table, write(tmp_path / "t.csv", "model,query,score,outcome\nm,a,0,lost\n"))
    with pytest.raises(SourceError, match="line 2: the row is answered, but has no score"):
        read_all(table, write(tmp_path / "t.csv", "model,query,score,outcome\nm,a,,answered\n"))


def test_what_a_table_says_of_models_and_queries_is_kept(tmp_path):
    text = (
        "model,query,score,revision,downloads,likes,subject,seconds,repeats\n"
        "m,a,1,main,12,many,algebra,0.5,3\nm,b,1,main,12,many,,,\n"
    )
    (log,) = read_all(table, write(tmp_path / "t.csv", text))
    assert log.identity == {"model": "m", "revision": "main"}
    assert log.model_columns == {"revision": "main", "downloads": 12}
    assert log.query_columns == {"subject": ["algebra", ""]}
    np.testing.assert_array_equal(log.seconds, [0.5, np.nan])
    assert log.repeats.tolist() == [3, 1]
    assert any("'likes' is 'many'" in remark.message for remark in log.remarks)


def test_an_id_gets_its_task_only_where_it_has_it_not_and_gembench_wrote_it_not(tmp_path):
    columns = {"model": ["m", "m"], "query": ["arc/0", "1"], "task": ["arc", "arc"], "score": [1.0, 0.0]}
    (log,) = read_all(table, write(tmp_path / "t.parquet", as_parquet(columns)))
    assert list(log.queries) == ["arc/0", "arc/1"]
    (log,) = read_all(table, write(tmp_path / "t.parquet", as_parquet(columns, {"gembench": "0.1"})))
    assert list(log.queries) == ["arc/0", "1"]


def test_an_id_that_gets_its_task_can_become_one_that_is_there_and_is_refused(tmp_path):
    text = "model,query,task,score\nm,arc/0,arc,1\nm,0,arc,0\n"
    with pytest.raises(SourceError, match="line 3: model 'm' answers 'arc/0' a second time, as row 1 does"):
        read_all(table, write(tmp_path / "t.csv", text))


BAD_VALUES = {
    "72.5": "72.5 is not in [0, 1]; if these are percentages, divide them by 100",
    "87%": "'87%' is neither a number in [0, 1] nor true or false; write percentages as shares of 1",
    "-1": "-1 is not in [0, 1]; leave the cells of queries that were never answered empty",
    "1e9": "1e+09 is not in [0, 1]; scale the scores",
    "inf": "inf is not in [0, 1]",
    "C": "'C' is neither a number in [0, 1] nor true or false",
}


@pytest.mark.parametrize("value", BAD_VALUES)
def test_what_is_no_score_is_refused_by_file_line_and_column(tmp_path, value):
    for name, content, place in [
        ("long.csv", f'model,query,note,score\nm,a,"two\nlines",1\n\nm,b,,{value}\n', "line 5: 'score': "),
        ("wide.csv", f"model,a,b\nm,1,1\nn,1,{value}\n", "line 3: 'b': "),
        (
            "t.jsonl",
            f'{{"model":"m","query":"a"}}\n\n{{"model":"m","query":"b","score":"{value}"}}',
            "line 3: 'score': ",
        ),
        ("t.parquet", as_parquet({"model": ["m"], "query": ["a"], "score": [value]}), "row 1: 'score': "),
    ]:
        path = write(tmp_path / name, content)
        with pytest.raises(SourceError, match=re.escape(f"{path}, {place}{BAD_VALUES[value]}")):
            read_all(table, path)


BAD_FILES = {
    "empty.csv": ("", "it is empty"),
    "one.csv": ("model\nm\n", "one column only, 'model'"),
    "semicolons.csv": ("model;query;score\nm;a;1\n", "separated by something other than commas"),
    "header.csv": ("model,query,score\n", "a header and no row"),
    "wide-header.csv": ("model,a,b\n", "a header and no row"),
    "cut.csv": ("model,query,score\nm,a,1\nm,b", "line 3: 2 fields, where the header has 3"),
    "latin.csv": (b"model,query,score\nm,a,1\nm,\xe9,1\n", "line 3: it is not UTF-8"),
    "nameless.csv": ("model,query,score\n,a,1\n", "line 2: 'model' is empty"),
    "queryless.csv": ("model,query,score\nm,a,1\nm,,1\n", "line 3: 'query' is empty"),
    "twice.csv": ("model,query,score\nm,a,1\nn,a,1\nm,a,1\n", "line 4: model 'm' answers 'a' a second time, as row 1"),
    "wide-twice.csv": ("model,a,b\nm,1,1\nm,1,1\n", "line 3: a second row of model 'm', after row 1"),
    "columns-twice.csv": ("model,a,a\nm,1,1\n", "two columns are called 'a'"),
    "no-name.csv": ("model,a,\nm,1,1\n", "a column has no name"),
    "no-model.csv": ("model,a,b\n,1,1\n", "line 2: the row has no model"),
    "cut.csv.gz": (gzip.compress(LONG.encode())[:-20], "Truncated compressed stream"),
    "not.csv.gz": (LONG, "incorrect header check"),
    "empty.jsonl": ("\n\n", "it is empty"),
    "cut.jsonl": (as_lines(OBJECTS)[:-20], "line 4: it is cut short, or not JSON"),
    "list.jsonl": ("[1, 2]\n", "line 1: no JSON object stands there"),
    "deep.jsonl": ("[" * 100_000, "line 1: it is cut short, or not JSON"),
    "latin.jsonl": (b'{"model": "\xe9"}', "line 1: it is"),
    "key-twice.jsonl": ('{"model":"m","query":"a","score":0,"score":1}', "line 1: a key stands twice"),
    "nested.jsonl": ('{"model":"m","query":"a","score":{"acc":1}}', "holds values of type struct"),
    "mixed.jsonl": (
        '{"model":"m","query":"a","score":1}\n{"model":"m","query":"b","score":[]}',
        "line 2: 'score': '[]'",
    ),
    "huge.jsonl": ('{"model":"m","query":"a","score":1' + "0" * 400 + "}", "line 1: 'score': inf is not"),
    "list-model.jsonl": ('{"model":["m"],"query":"a","score":1}', "the column of model, holds values of type list"),
    "not.parquet": (LONG, "cannot be read"),
    "cut.parquet": (LONG_FILES["long.parquet"][:-10], "cannot be read"),
    "no.npz": (LONG, "not an .npz file"),
    "no.npy": (LONG, "not an .npy file of plain numbers"),
    "table.xlsx": (b"PK", "a table of unknown kind"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_none_is_refused_by_name_and_line(tmp_path, name):
    content, message = BAD_FILES[name]
    path = write(tmp_path / name, content)
    with pytest.raises(SourceError, match=re.escape(message)) as caught:
        read_all(table, path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_line_of_ten_megabytes_is_read_and_one_without_an_end_is_not(tmp_path, monkeypatch):
    long_text = "x" * (10 << 20)
    (log,) = read_all(table, write(tmp_path / "t.csv", f"model,query,response,score\nm,a,{long_text},1\n"))
    assert log.score.tolist() == [1]
    line = json.dumps({"model": "m", "query": "a", "response": long_text, "score": 1})
    (log,) = read_all(table, write(tmp_path / "t.jsonl", line))
    assert log.score.tolist() == [1]
    monkeypatch.setattr("gembench.data.sources.streams.MAX_LINE_BYTES", 1 << 20)
    with pytest.raises(SourceError, match="line 1: it is longer than 1,048,576 bytes"):
        read_all(table, tmp_path / "t.jsonl")


def test_line_breaks_in_texts_end_no_block(tmp_path, monkeypatch):
    monkeypatch.setattr("gembench.data.sources.table_csv.BLOCK_BYTES", 64)
    rows = "".join(f'm,"{number}\nof\nmany",1\n' for number in range(100))
    (log,) = read_all(table, write(tmp_path / "t.csv", "model,query,score\n" + rows))
    assert list(log.queries) == [f"{number}\nof\nmany" for number in range(100)]


def test_what_an_archive_can_cost_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(table_long, "MAX_ROWS", 1000)
    rows = "model,query,score\n" + "".join(f"m,{number},1\n" for number in range(1001))
    with pytest.raises(SourceError, match="more than 1,000 rows"):
        read_all(table, write(tmp_path / "bomb.csv.gz", gzip.compress(rows.encode())))
    monkeypatch.setattr("gembench.data.sources.table_arrays.MAX_BYTES", 1000)
    arrays = {"correct": np.zeros((100, 100), np.int8), "models": np.array(["m"]), "queries": np.array(["q"])}
    np.savez_compressed(tmp_path / "bomb.npz", **arrays)
    with pytest.raises(SourceError, match=r"unpacks to 10,\d+ bytes, more than 1,000"):
        read_all(table, tmp_path / "bomb.npz")


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


def test_tables_are_found_in_folders_and_other_files_are_none(tmp_path):
    for name in ("b.csv", "a.jsonl", "notes.txt", "c.CSV", "d.parquet.txt"):
        write(tmp_path / name, LONG_FILES["long.jsonl"] if name == "a.jsonl" else LONG)
    assert [log.files[0].rsplit("/", 1)[-1] for log in table.find_logs([str(tmp_path)])] == [
        "a.jsonl",
        "b.csv",
        "c.CSV",
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no table"):
        table.find_logs([str(tmp_path / "empty")])


NUMBERS = st.floats(0, 1) | st.integers(0, 1)
CELLS = st.dictionaries(
    st.tuples(st.sampled_from(["m", "n", 'ä|é,"']), st.sampled_from(["a", "b\nc", " d ", "007"])), NUMBERS, min_size=1
)


@settings(
    max_examples=100, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cells=CELLS, seed=st.integers(0, 99))
def test_any_cells_in_any_order_are_read_back_exactly(tmp_path, cells, seed):
    rows = list(cells.items())
    np.random.default_rng(seed).shuffle(rows)

    def quoted(text):
        return '"' + text.replace('"', '""') + '"'

    lines = [f"{quoted(model)},{quoted(query)},{value!r}" for (model, query), value in rows]
    path = write(tmp_path / "t.csv", "\n".join(["model,query,score", *lines]))
    found = {
        (log.identity["model"], query): score
        for log in read_all(table, path)
        for query, score in zip(log.queries, log.score.tolist(), strict=True)
    }
    assert found == cells


NPZ = io.BytesIO()
np.savez(NPZ, correct=np.eye(2, dtype=np.int8), models=np.array(["a", "b"]), queries=np.array(["x", "y"]))
NPY = io.BytesIO()
np.save(NPY, np.eye(2))
WIDE = "model,a,b\nm,1,0.5\nn,,1\n"
RICH = "model,query,score,correct,outcome,seconds,downloads,subject\nm,a,1,1,answered,2,5,s\nn,a,0,,failed,,x,\n"
SPOILED = {
    "long.csv": spoiled_bytes(LONG.encode()),
    "rich.csv": spoiled_bytes(RICH.encode()),
    "wide.tsv": spoiled_bytes(WIDE.replace(",", "\t").encode()),
    "long.csv.gz": spoiled_bytes(gzip.compress(LONG.encode())),
    "long.csv.zst": spoiled_bytes(packed_zst(LONG)),
    "long.parquet": spoiled_bytes(LONG_FILES["long.parquet"]),
    "dictionary.parquet": spoiled_bytes(LONG_FILES["dictionary.parquet"]),
    "t.npz": spoiled_bytes(NPZ.getvalue()),
    "t.npy": spoiled_bytes(NPY.getvalue()),
    "lines.jsonl": st.lists(spoiled_json(OBJECTS[0]), max_size=4).map(b"\n".join),
    "shuffled.jsonl": spoiled_json(OBJECTS).map(lambda text: text.strip(b"[]").replace(b"}, {", b"}\n{")),
}
FILES = st.sampled_from(list(SPOILED)).flatmap(lambda name: st.tuples(st.just(name), SPOILED[name]))


@with_some(file=FILES)
def test_whatever_is_wrong_in_a_table_is_one_clear_line(tmp_path, file):
    name, content = file
    survives(table, write(tmp_path / name, content))


@with_very_many(file=FILES)
def test_whatever_is_wrong_in_a_table_is_one_clear_line_often(tmp_path, file):
    name, content = file
    survives(table, write(tmp_path / name, content))
